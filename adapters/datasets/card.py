"""The card: what a person, and Hugging Face's `datasets`, reads first."""

import json
from collections import Counter
from collections.abc import Iterable

from adapters.datasets.layout import TABLES, Images, Manifest
from projections.rows import Row


class Tally:
    """What the card counts, row after row."""

    def __init__(self) -> None:
        self.images = 0
        self.patients: set[str] = set()
        self.causes: Counter[str] = Counter()
        self.splits: Counter[str] = Counter()
        self.origins: Counter[str] = Counter()

    def add(self, row: Row) -> None:
        self.images += len(row.images)
        self.patients.add(row.patient)
        self.causes[row.label.cause if row.label else "no label"] += 1
        self.splits[row.split] += 1
        self.origins[row.origin] += 1


def card(manifest: Manifest, tally: Tally, images: Images) -> str:
    return CARD_TEXT.format(
        front_matter=_front_matter(manifest, tally.splits),
        manifest=manifest,
        tally=tally,
        patients=len(tally.patients),
        causes=_counted(tally.causes),
        splits=_counted(tally.splits),
        origins=_counted(tally.origins),
        images=IMAGES_TEXT[images],
    )


def _front_matter(manifest: Manifest, splits: Iterable[str]) -> str:
    """YAML, in which a JSON string is a string. Without rows there are no files to configure."""
    lines = [
        f"pretty_name: {json.dumps(manifest.spec.name, ensure_ascii=False)}",
        "tags: [medical, mri, stroke]",
    ]
    files = [f"  - split: {split}\n    path: {TABLES}/{split}.parquet" for split in sorted(splits)]
    if files:
        lines += ["configs:", "- config_name: default", "  data_files:", *files]
    return "\n".join(lines)


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{word} {counter[word]}" for word in sorted(counter)) or "none"


IMAGES_TEXT: dict[Images, str] = {
    "copy": "An image's file is `images/<sha256>.png` (or `.webp`).",
    "reference": "The images are not here: in the object store they lie, encrypted, at"
    " `case/<case>/<sha256>`.",
}
CARD_TEXT = """\
---
{front_matter}
---
# Dataset {manifest.spec.name}

Research data of ictus: de-identified images of ischaemic stroke and what became known of its cause.
Not for clinical use.

| | |
|---|---|
| root | `{manifest.root}` |
| cases | {manifest.rows} |
| patients | {patients} |
| images | {tally.images} |
| causes | {causes} |
| splits | {splits} |
| origins | {origins} |
| ledger | `{manifest.ledger}` as of event {manifest.as_of} |
| hash of that event | `{manifest.head_sha256}` |
| spec | `{manifest.spec_sha256}` |
| made by | {manifest.projector} |

The root is the RFC 6962 Merkle tree hash over the lines of `rows.ndjson`, sorted by case; each row
names the events it was made from. `parquet/` holds the same rows, a file per split:
`datasets.load_dataset(FOLDER, split="train")` loads one. {images}

`ictus dataset verify FOLDER` checks all of it.
"""
