"""Thrift's compact protocol: what is encoded is decoded again, and the footers of real files go through unchanged."""

import struct
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.store.parquet import thrift
from model.store.parquet.thrift import Field, ThriftError, decode, encode

NUMBERS = {thrift.I16: 15, thrift.I32: 31, thrift.I64: 63}


def _plain() -> st.SearchStrategy[Field]:
    kinds = {kind: st.integers(-(2**bits), 2**bits - 1) for kind, bits in NUMBERS.items()}
    values = {**kinds, thrift.BINARY: st.binary(max_size=300), thrift.DOUBLE: st.binary(min_size=8, max_size=8)}
    flags = st.sampled_from([Field(thrift.TRUE, None), Field(thrift.FALSE, None)])
    return st.one_of(flags, *(st.builds(Field, st.just(kind), value) for kind, value in values.items()))


def _with_more(inner: st.SearchStrategy[Field]) -> st.SearchStrategy[Field]:
    structure = st.dictionaries(st.integers(1, 40), inner, max_size=4)
    nested = structure.map(lambda held: Field(thrift.STRUCT, held))
    many = st.lists(structure, max_size=20).map(lambda held: Field(thrift.LIST, (thrift.STRUCT, held)))
    return nested | many


STRUCTURES = st.dictionaries(st.integers(1, 300), st.recursive(_plain(), _with_more, max_leaves=20), max_size=6)


@given(STRUCTURES)
def test_a_structure_comes_back(structure: dict[int, Field]) -> None:
    encoded = encode(structure)
    assert decode(encoded) == (structure, len(encoded))


@given(STRUCTURES, st.data())
def test_a_structure_that_is_cut_off_is_refused(structure: dict[int, Field], data: st.DataObject) -> None:
    encoded = encode(structure)
    with pytest.raises(ThriftError, match="has no end"):
        decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


def test_known_bytes() -> None:
    """From the protocol's specification: zigzag numbers, field numbers as steps, a long step in full."""
    structure = {1: Field(thrift.I32, -1), 2: Field(thrift.BINARY, b"ab"), 40: Field(thrift.I64, 300)}
    assert encode(structure) == bytes([0x15, 0x01, 0x18, 0x02]) + b"ab" + bytes([0x06, 0x50, 0xD8, 0x04, 0x00])


def test_a_footer_of_another_writer_goes_through_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pl.DataFrame({"x": range(100), "y": ["a", None] * 50, "z": [0.5] * 100}).write_parquet(path, statistics=True)
    content = path.read_bytes()
    (size,) = struct.unpack("<I", content[-8:-4])
    structure, end = decode(content[-8 - size : -8])
    assert end == size
    assert encode(structure) == content[-8 - size : -8]
