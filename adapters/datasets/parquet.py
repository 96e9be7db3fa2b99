"""Rows as Parquet, a file per split; the schema follows from the row's type.

What JSON has and Parquet has not gets named columns: a mapping becomes a list of pairs, sorted by
key; a pair a struct. Written with pinned settings, so that one version of pyarrow always gives the
same bytes.
"""

import heapq
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import inspect

from adapters.datasets.layout import TABLES
from projections.rows import Row, encode

WRITER: dict[str, Any] = {
    "version": "2.6",
    "data_page_version": "1.0",
    "compression": "zstd",
    "compression_level": 3,
    "store_schema": False,
}
ROW_GROUP_ROWS = 2048
SETTINGS = {name: str(value) for name, value in WRITER.items()} | {
    "row_group_rows": str(ROW_GROUP_ROWS)
}
VERSION: str = pa.__version__

PAIRS = {"context": ("code", "value"), "events": ("sequence", "id")}
"""What the two halves of a field's pairs are called."""


# From the row's type to a schema, and values there and back


def _arrow(kind: inspect.Type, name: str) -> Any:
    match kind:
        case inspect.UnionType(types=types):
            (inner,) = [each for each in types if not isinstance(each, inspect.NoneType)]
            return _arrow(inner, name)
        case inspect.StructType(fields=fields):
            return pa.struct({each.encode_name: _arrow(each.type, each.name) for each in fields})
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            return pa.list_(_arrow(item, name))
        case inspect.TupleType(item_types=(left, right)):
            return _pair(name, left, right)
        case inspect.DictType(key_type=key, value_type=value):
            return pa.list_(_pair(name, key, value))
        case inspect.IntType():
            return pa.int64()
        case inspect.BoolType():
            return pa.bool_()
        case inspect.StrType() | inspect.LiteralType() | inspect.UUIDType():
            return pa.string()
    raise TypeError(f"no Parquet type is known for {kind}")


def _pair(name: str, left: inspect.Type, right: inspect.Type) -> Any:
    first, second = names_of(name)
    return pa.struct({first: _arrow(left, name), second: _arrow(right, name)})


def names_of(field: str) -> tuple[str, str]:
    return PAIRS.get(field, ("key", "value"))


ROW = inspect.type_info(Row)
SCHEMA = pa.schema(list(_arrow(ROW, "row")))


def rendered(value: Any, kind: inspect.Type = ROW, name: str = "row") -> Any:
    """A decoded row as Parquet has it."""
    match kind:
        case _ if value is None:
            return None
        case inspect.UnionType(types=types):
            return rendered(value, _present(types), name)
        case inspect.StructType(fields=fields):
            return {
                each.encode_name: rendered(value.get(each.encode_name), each.type, each.name)
                for each in fields
            }
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            return [rendered(each, item, name) for each in value]
        case inspect.TupleType():
            return dict(zip(names_of(name), value, strict=True))
        case inspect.DictType():
            return [dict(zip(names_of(name), item, strict=True)) for item in sorted(value.items())]
    return value


def restored(value: Any, kind: inspect.Type = ROW, name: str = "row") -> Any:
    """What `rendered` was given."""
    match kind:
        case _ if value is None:
            return None
        case inspect.UnionType(types=types):
            return restored(value, _present(types), name)
        case inspect.StructType(fields=fields):
            return {
                each.encode_name: restored(value[each.encode_name], each.type, each.name)
                for each in fields
            }
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            return [restored(each, item, name) for each in value]
        case inspect.TupleType():
            return list(value.values())
        case inspect.DictType():
            return dict(item.values() for item in value)
    return value


def _present(types: Iterable[inspect.Type]) -> inspect.Type:
    return next(each for each in types if not isinstance(each, inspect.NoneType))


# Files


class Tables:
    """Takes rows sorted by case, in any mixture of splits; holds a row group of each at most."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / TABLES
        self._folder.mkdir()
        self._waiting: dict[str, list[bytes]] = {}
        self._writers: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self._writers.values():
            writer.close()

    def add(self, split: str, line: bytes) -> None:
        waiting = self._waiting.setdefault(split, [])
        waiting.append(line)
        if len(waiting) == ROW_GROUP_ROWS:
            self._flush(split)

    def finish(self) -> None:
        for split in sorted(self._waiting):
            self._flush(split)

    def _flush(self, split: str) -> None:
        if lines := self._waiting[split]:
            records = [rendered(msgspec.json.decode(line)) for line in lines]
            table = pa.Table.from_pylist(records, schema=SCHEMA)
            self._writer(split).write_table(table, row_group_size=ROW_GROUP_ROWS)
            self._waiting[split] = []

    def _writer(self, split: str) -> Any:
        if split not in self._writers:
            file = self._folder / f"{split}.parquet"
            self._writers[split] = pq.ParquetWriter(file, SCHEMA, **WRITER)
        return self._writers[split]


def lines_in(files: Iterable[Path]) -> Iterator[bytes]:
    """The canonical rows of all files, sorted by case. Raises OSError, ValueError (as pyarrow's
    errors are) and msgspec.ValidationError for what is no row."""
    rows = heapq.merge(*(_rows_in(file) for file in files), key=lambda row: row.case)
    return (encode(row) for row in rows)


def _rows_in(file: Path) -> Iterator[Row]:
    with pq.ParquetFile(file) as opened:
        for batch in opened.iter_batches(batch_size=ROW_GROUP_ROWS):
            for record in batch.to_pylist():
                yield msgspec.convert(restored(record), Row)
