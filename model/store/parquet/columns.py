"""Encoded columns of a Parquet file: made from values, or found in a file that lies there.

Floats and flags are encoded here: as they stand, behind a bit a row where any is missing, packed by LZ4. General
writers look for repeated values first, which among floats costs more than all the rest and finds little that LZ4 does
not. The format: https://github.com/apache/parquet-format; numbers of fields are those of its ``parquet.thrift``.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from model.store.hashing import bits
from model.store.parquet import thrift
from model.store.parquet.thrift import Field, Struct

MAGIC = b"PAR1"
_TYPES = {pl.Boolean: 0, pl.Float32: 4, pl.Float64: 5}
_PLAIN, _RLE, _LZ4_RAW, _OPTIONAL, _DATA_PAGE = 0, 3, 7, 1, 0
_ROWS_OF_A_PAGE = 1 << 20
_DATA_AT, _DICTIONARY_AT, _PACKED_BYTES = 9, 11, 7
_ELSEWHERE = (10, 14, 15)
"""What a column says of places outside its pages (index pages, Bloom filter), which are not taken along."""


@dataclass(frozen=True)
class Column:
    """A column's pages, and what a file's footer says of them."""

    element: Struct
    """Name and type (SchemaElement)."""
    described: Struct
    """ColumnMetaData; its offsets count from the first page."""
    pages: tuple[bytes | memoryview | pa.Buffer, ...]

    @property
    def name(self) -> str:
        """What the column is called."""
        return str(self.element[4].value, "utf-8")

    @property
    def size(self) -> int:
        """Bytes of all pages."""
        return int(self.described[_PACKED_BYTES].value)

    def at(self, offset: int) -> dict[int, Field]:
        """ColumnMetaData of a file in which the first page lies at ``offset``."""
        moved = dict(self.described)
        for number in (_DATA_AT, _DICTIONARY_AT):
            if number in moved:
                moved[number] = Field(thrift.I64, moved[number].value + offset)
        return moved


def encodes(dtype: pl.DataType) -> bool:
    """Whether :func:`encoded` takes columns of this type."""
    return dtype in _TYPES


def encoded(column: pl.Series) -> Column:
    """The pages of a column of floats or flags; the same values give the same bytes."""
    name, physical = column.name.encode(), _TYPES[type(column.dtype)]
    pages: list[bytes | pa.Buffer] = []
    packed = unpacked = 0
    held = column.rechunk()
    for first in range(0, len(held), _ROWS_OF_A_PAGE):
        part = held.slice(first, _ROWS_OF_A_PAGE)
        body = b"".join(_body(part))
        values = pa.Codec("lz4_raw").compress(body)
        head = _page_head(len(part), len(body), values.size)
        pages += [head, values]
        packed, unpacked = packed + len(head) + values.size, unpacked + len(head) + len(body)
    element = {
        1: Field(thrift.I32, physical),
        3: Field(thrift.I32, _OPTIONAL),
        4: Field(thrift.BINARY, name),
    }
    described = {
        1: Field(thrift.I32, physical),
        2: Field(thrift.LIST, (thrift.I32, [_PLAIN, _RLE])),
        3: Field(thrift.LIST, (thrift.BINARY, [name])),
        4: Field(thrift.I32, _LZ4_RAW),
        5: Field(thrift.I64, len(column)),
        6: Field(thrift.I64, unpacked),
        _PACKED_BYTES: Field(thrift.I64, packed),
        _DATA_AT: Field(thrift.I64, 0),
    }
    return Column(element, described, tuple(pages))


def found_in(file: memoryview) -> tuple[int, dict[str, Column]]:
    """Rows and columns of a Parquet file that has plain columns in one row group.

    Args:
        file: all of its bytes; the columns' pages are views of them.

    Raises:
        ValueError: it is another kind of file, or none.
    """
    if file[:4] != MAGIC or file[-4:] != MAGIC:
        raise ValueError(f"{len(file)} bytes that do not begin and end as a Parquet file does")
    try:
        (size,) = struct.unpack("<I", file[-8:-4])
        said, _ = thrift.decode(file[-8 - size : -8])
        elements, groups = said[2].value[1], said[4].value[1]
        if len(groups) != 1 or len(elements) != len(groups[0][1].value[1]) + 1:
            raise ValueError(
                f"{len(groups)} row groups and {len(elements) - 1} columns, nested ones counted with parts"
            )
        columns = [
            _found(file, element, chunk[3].value)
            for element, chunk in zip(elements[1:], groups[0][1].value[1], strict=True)
        ]
        rows = int(said[3].value)
    except (struct.error, LookupError, RecursionError, TypeError) as problem:
        raise ValueError(f"{len(file)} bytes that are no Parquet file ({problem})") from problem
    return rows, {column.name: column for column in columns}


def footer(rows: int, columns: Iterable[Column]) -> bytes:
    """What stands behind the pages of the columns, which follow one another from byte 4 on."""
    listed = list(columns)
    offset, chunks = len(MAGIC), []
    for column in listed:
        chunks.append({2: Field(thrift.I64, 0), 3: Field(thrift.STRUCT, column.at(offset))})
        offset += column.size
    root = {4: Field(thrift.BINARY, b"root"), 5: Field(thrift.I32, len(listed))}
    group = {
        1: Field(thrift.LIST, (thrift.STRUCT, chunks)),
        2: Field(thrift.I64, sum(column.described[6].value for column in listed)),
        3: Field(thrift.I64, rows),
        6: Field(thrift.I64, offset - len(MAGIC)),
    }
    by_type = {1: Field(thrift.STRUCT, {})}
    document = thrift.encode(
        {
            1: Field(thrift.I32, 1),
            2: Field(thrift.LIST, (thrift.STRUCT, [root, *(column.element for column in listed)])),
            3: Field(thrift.I64, rows),
            4: Field(thrift.LIST, (thrift.STRUCT, [group])),
            6: Field(thrift.BINARY, b"gogooku"),
            7: Field(thrift.LIST, (thrift.STRUCT, [by_type] * len(listed))),  # how minima and maxima compare
        }
    )
    return document + struct.pack("<I", len(document)) + MAGIC


def _found(file: memoryview, element: Struct, described: Mapping[int, Field]) -> Column:
    places = [described[number].value for number in (_DATA_AT, _DICTIONARY_AT) if number in described]
    start = min(places)
    own = {number: field for number, field in described.items() if number not in _ELSEWHERE}
    pages = file[start : start + described[_PACKED_BYTES].value]
    found = Column(element, own, (pages,))
    return Column(element, found.at(-start), (pages,))


def _body(part: pl.Series) -> tuple[bytes | memoryview, ...]:
    """Which rows have a value (a run, or a bit a row), and the values that are there.

    Straight from the Arrow buffers: asking the Series takes a query for each answer.
    """
    rows = len(part)
    if part.null_count():
        array = part.to_arrow()
        there = bits(array.buffers()[0], array)
        mask = np.packbits(there, bitorder="little").tobytes()
        levels = thrift.unsigned(len(mask) << 1 | 1) + mask
        part = part.filter(pl.Series(there.view(np.bool_)))
    else:
        levels = thrift.unsigned(rows << 1) + b"\1"
    return struct.pack("<I", len(levels)), levels, _values(part)


def _values(part: pl.Series) -> memoryview:
    """The values of a column without missing ones; flags take a bit each."""
    if not len(part):
        return memoryview(b"")
    array = part.to_arrow()
    held = array.buffers()[1]
    if part.dtype == pl.Boolean:
        return np.packbits(bits(held, array), bitorder="little").data
    width = array.type.bit_width // 8
    return memoryview(held)[array.offset * width : (array.offset + len(array)) * width]


def _page_head(rows: int, unpacked: int, packed: int) -> bytes:
    return thrift.encode(
        {
            1: Field(thrift.I32, _DATA_PAGE),
            2: Field(thrift.I32, unpacked),
            3: Field(thrift.I32, packed),
            5: Field(
                thrift.STRUCT,
                {
                    1: Field(thrift.I32, rows),
                    2: Field(thrift.I32, _PLAIN),
                    3: Field(thrift.I32, _RLE),
                    4: Field(thrift.I32, _RLE),
                },
            ),
        }
    )
