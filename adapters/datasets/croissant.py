"""The folder as Croissant 1.1 describes it: each file with its hash, each split with its fields.

See docs.mlcommons.org/croissant. Fields follow from the Parquet schema; what lies deeper than a list of
structs is left to Parquet.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from adapters.datasets.layout import ROWS, TABLES, Manifest
from adapters.datasets.parquet import SCHEMA

PARQUET_FORMAT, LINES_FORMAT = "application/x-parquet", "application/jsonlines"


def croissant(
    manifest: Manifest, splits: Iterable[str], files: Mapping[str, str]
) -> dict[str, Any]:
    """`files` gives the SHA-256 (hex) of rows and tables by path."""
    tables = {split: f"{TABLES}/{split}.parquet" for split in sorted(splits)}
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": manifest.spec.name,
        "description": "De-identified images of ischaemic stroke and what became known of its"
        f" cause, as of event {manifest.as_of} of ledger {manifest.ledger}. Not for clinical use.",
        "version": "1.0.0",
        "identifier": manifest.root,
        "isBasedOn": f"urn:uuid:{manifest.ledger}",
        "distribution": [
            _file(ROWS, LINES_FORMAT, files[ROWS]),
            *(_file(path, PARQUET_FORMAT, files[path]) for path in tables.values()),
        ],
        "recordSet": [_records(split, path) for split, path in tables.items()],
    }


def _file(path: str, kind: str, digest: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "contentUrl": path,
        "encodingFormat": kind,
        "sha256": digest,
    }


def _records(split: str, path: str) -> dict[str, Any]:
    fields = [_field(f"{split}/{column.name}", path, column) for column in SCHEMA]
    return {"@type": "cr:RecordSet", "@id": split, "name": split, "field": fields}


def _field(name: str, path: str, column: Any) -> dict[str, Any]:
    listed = pa.types.is_list(column.type)
    inner = column.type.value_type if listed else column.type
    field = {"@type": "cr:Field", "@id": name, "name": column.name}
    if listed:
        field["repeated"] = True
    if not pa.types.is_struct(inner):
        return field | _leaf(path, column.name, inner)
    below = [part for part in inner if not pa.types.is_nested(part.type)]
    return field | {"subField": [_part(field, path, column.name, part) for part in below]}


def _part(parent: Mapping[str, Any], path: str, column: str, part: Any) -> dict[str, Any]:
    field = {"@type": "cr:Field", "@id": f"{parent['@id']}/{part.name}", "name": part.name}
    leaf = _leaf(path, column, part.type)
    leaf["source"]["transform"] = {"jsonPath": f"$.{part.name}"}
    return field | ({"repeated": True} if "repeated" in parent else {}) | leaf


def _leaf(path: str, column: str, kind: Any) -> dict[str, Any]:
    return {
        "dataType": "sc:Integer" if pa.types.is_integer(kind) else "sc:Text",
        "source": {"fileObject": {"@id": path}, "extract": {"column": column}},
    }


CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
