"""Thrift's compact protocol, in which Parquet describes a file: structures to plain values and back.

A structure is a mapping of field number to ``Field``; what is not looked at goes through unchanged. The protocol:
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, _MAP, STRUCT = range(1, 13)
_INTEGERS = (I16, I32, I64)
_LONG_LIST = 15


class Field(NamedTuple):
    """A value and its kind; that of a list is ``(kind of its elements, elements)``, that of a flag is in the kind."""

    kind: int
    value: Any


Struct = Mapping[int, Field]


class ThriftError(ValueError):
    """Bytes that are no structure, or one with a kind of value that Parquet does not use."""


def decode(data: bytes | memoryview, start: int = 0) -> tuple[dict[int, Field], int]:
    """The structure that begins at ``start``, and where it ends.

    Raises:
        ThriftError: there is none.
    """
    try:
        return _structure(memoryview(data), start)
    except IndexError:
        raise ThriftError(f"a structure of {len(data)} bytes has no end") from None


def encode(structure: Struct) -> bytes:
    """The bytes of a structure."""
    out = bytearray()
    _put_structure(out, structure)
    return bytes(out)


def _structure(data: memoryview, at: int) -> tuple[dict[int, Field], int]:
    found: dict[int, Field] = {}
    number = 0
    while True:
        head = data[at]
        at += 1
        if head == 0:
            return found, at
        step, kind = head >> 4, head & 15
        if step:
            number += step
        else:
            number, at = _integer(data, at)
        value, at = _value(data, at, kind)
        found[number] = Field(kind, value)


def _value(data: memoryview, at: int, kind: int) -> tuple[Any, int]:
    if kind in _INTEGERS:
        return _integer(data, at)
    if kind == BINARY:
        size, at = _unsigned(data, at)
        if at + size > len(data):
            raise IndexError
        return bytes(data[at : at + size]), at + size
    if kind == STRUCT:
        return _structure(data, at)
    if kind in (LIST, SET):
        return _list(data, at)
    if kind in (TRUE, FALSE):
        return None, at
    if kind in (BYTE, DOUBLE):
        size = 1 if kind == BYTE else 8
        return bytes(data[at : at + size]), at + size
    raise ThriftError(f"a value of kind {kind} at byte {at}")


def _list(data: memoryview, at: int) -> tuple[tuple[int, list[Any]], int]:
    size, kind = data[at] >> 4, data[at] & 15
    at += 1
    if size == _LONG_LIST:
        size, at = _unsigned(data, at)
    found = []
    for _ in range(size):
        if kind in (TRUE, FALSE):  # a byte in a list
            value, at = data[at], at + 1
        else:
            value, at = _value(data, at, kind)
        found.append(value)
    return (kind, found), at


def _unsigned(data: memoryview, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[at]
        at += 1
        result |= (byte & 127) << shift
        if byte < 128:
            return result, at
        shift += 7


def _integer(data: memoryview, at: int) -> tuple[int, int]:
    value, at = _unsigned(data, at)
    return (value >> 1) ^ -(value & 1), at


def _put_structure(out: bytearray, structure: Struct) -> None:
    before = 0
    for number in sorted(structure):
        kind, value = structure[number]
        if 0 < number - before <= 15:
            out.append((number - before) << 4 | kind)
        else:
            out.append(kind)
            _put_integer(out, number)
        before = number
        _put_value(out, kind, value)
    out.append(0)


def _put_value(out: bytearray, kind: int, value: Any) -> None:
    if kind in _INTEGERS:
        _put_integer(out, value)
    elif kind == BINARY:
        _put_unsigned(out, len(value))
        out += value
    elif kind == STRUCT:
        _put_structure(out, value)
    elif kind in (LIST, SET):
        _put_list(out, *value)
    elif kind in (BYTE, DOUBLE):
        out += value


def _put_list(out: bytearray, kind: int, values: list[Any]) -> None:
    if len(values) < _LONG_LIST:
        out.append(len(values) << 4 | kind)
    else:
        out.append(_LONG_LIST << 4 | kind)
        _put_unsigned(out, len(values))
    for value in values:
        if kind in (TRUE, FALSE):
            out.append(value)
        else:
            _put_value(out, kind, value)


def unsigned(value: int) -> bytes:
    """A number without a sign, seven bits a byte."""
    out = bytearray()
    _put_unsigned(out, value)
    return bytes(out)


def _put_unsigned(out: bytearray, value: int) -> None:
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)


def _put_integer(out: bytearray, value: int) -> None:
    _put_unsigned(out, value << 1 if value >= 0 else ~(value << 1))
