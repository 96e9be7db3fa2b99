"""What every profile makes of some drawn pictures, as hashes: `python -m tests.workers.made_hashes PROFILE`
writes them anew, which is right only while nobody has ingested with that profile."""

import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from workers.ingest import pipeline, result
from workers.ingest.outcome import Ingested, Pixels, Refused, Stop
from workers.ingest.sheet import Sheet

FOLDER = Path(__file__).parents[1] / "data" / "ingest"
PICTURES = sorted(path for path in FOLDER.iterdir() if path.suffix != ".json")


def hashes(data: bytes, profile: str) -> dict[str, Any]:
    """Of the pixels read, the masks, and all that is kept; or the reason why nothing is."""
    read = pipeline.read(data)
    if not isinstance(read, Pixels):
        return {"outcome": told(read.outcome)}
    sheet = Sheet(rgb=read.array(), by_camera=read.by_camera)
    try:
        pipeline.run(pipeline.LOOKING[profile], sheet)
    except Stop as stop:
        return {"outcome": told(stop.refused)}
    kept = result.outcome_of(sheet)
    return {
        "outcome": "ingested",
        "read": digest(sheet.rgb),
        "heads": digest(sheet.mask),
        "text": digest(sheet.text),
        "pixels": kept.pixel_sha256,
        "derivative": kept.sha256,
        "phash": kept.phash,
        "fingerprints": list(kept.fingerprints),
        **({"sequences": list(kept.sequences)} if kept.sequences else {}),
    }


def told(outcome: Ingested | Refused) -> str:
    """In words that a field added later does not change."""
    return repr(outcome).replace(", modality=None", "")


def digest(pixels: NDArray[Any]) -> str:
    return sha256(f"{pixels.shape}|{pixels.dtype}|".encode() + pixels.tobytes()).hexdigest()


def all_hashes(profile: str) -> dict[str, dict[str, Any]]:
    """By the picture's name."""
    return {path.name: hashes(path.read_bytes(), profile) for path in PICTURES}


def golden(profile: str) -> Path:
    return FOLDER / f"{profile}.json"


def main() -> None:
    for profile in sys.argv[1:]:
        text = json.dumps(all_hashes(profile), indent=1, sort_keys=True)
        golden(profile).write_text(text + "\n")


if __name__ == "__main__":
    main()
