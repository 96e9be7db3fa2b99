"""What is written beside a case: its truth as JSON, and a map of each picture's pixels as PNG."""

from hashlib import sha256
from io import BytesIO
from typing import Final

import msgspec
from msgspec import Struct
from PIL import Image

from training.synthetic import NOTICE, VERSION
from training.synthetic.cases import Case, Picture
from training.synthetic.facts import Plan
from training.synthetic.oracle import posterior
from training.synthetic.scan import HEAD, LESION, Map
from training.synthetic.viewer import TextBox

CASE_FILE: Final = "case.json"
PALETTE: Final = (0, 0, 0, 110, 110, 110, 255, 60, 40)
"""Outside a head black, head grey, acute lesion red."""


class PictureTruth(Struct, frozen=True, kw_only=True):
    """Of one file: how it came, what it shows, how many of its pixels are head and lesion."""

    file: str
    truth: str
    sha256: str
    width: int
    height: int
    kind: str
    channel: str
    modality: str
    heights_mm: tuple[float, ...]
    head_px: int
    lesion_px: int
    duplicate_of: int | None
    stranger: bool
    turned_degrees: int
    mirrored: bool
    exif_place: bool
    texts: tuple[TextBox, ...]


class HostileTruth(Struct, frozen=True, kw_only=True):
    file: str
    sha256: str
    kind: str


class CaseTruth(Struct, frozen=True, kw_only=True):
    """Of a case. `posterior_permille`: the oracle's chance of a cardioembolic cause; None where that
    is no question."""

    notice: str
    generator: str
    mode: str
    difficulty: float
    seed: int
    number: int
    id: str
    cause: str
    drawn_as: str
    pattern: str
    split: str
    site: str
    layout: str
    age_band: str
    af: str
    hypertension: str
    posterior_permille: int | None
    lesion_ml: float
    main_ml: float
    blobs: int
    rosary: bool
    territories: dict[str, float]
    pictures: tuple[PictureTruth, ...]
    hostile: HostileTruth | None


def truth_of(plan: Plan, case: Case) -> CaseTruth:
    known, chance = case.facts, posterior(plan, case.facts)
    return CaseTruth(
        notice=NOTICE["en"],
        generator=VERSION,
        mode=plan.mode,
        difficulty=plan.hardness,
        seed=plan.seed,
        number=known.number,
        id=str(known.id),
        cause=known.cause,
        drawn_as=known.drawn_as,
        pattern=known.finding.pattern,
        split=known.split,
        site=known.centre,
        layout=case.layout,
        age_band=known.age_band,
        af=known.af,
        hypertension=known.hypertension,
        posterior_permille=None if chance is None else round(1000 * chance),
        lesion_ml=case.lesion_ml,
        main_ml=known.finding.main_ml,
        blobs=known.finding.blobs,
        rosary=known.finding.rosary,
        territories=case.territories,
        pictures=tuple(_picture(at, one) for at, one in enumerate(case.pictures, 1)),
        hostile=_hostile(case),
    )


def files_of(plan: Plan, case: Case) -> dict[str, bytes]:
    """Every file of a case's folder, by name."""
    told = truth_of(plan, case)
    files = {CASE_FILE: msgspec.json.format(msgspec.json.encode(told)) + b"\n"}
    for picture, name in zip(case.pictures, told.pictures, strict=True):
        files |= {name.file: picture.data, name.truth: as_png(picture.truth)}
    if case.hostile_file and told.hostile:
        files[told.hostile.file] = case.hostile_file.data
    return files


def as_png(truth: Map) -> bytes:
    """A picture of 0 (outside), 1 (head) and 2 (acute lesion) in three colours."""
    image, out = Image.fromarray(truth, "P"), BytesIO()
    image.putpalette(PALETTE)
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()


def _picture(at: int, one: Picture) -> PictureTruth:
    ending = "png" if one.data.startswith(b"\x89PNG") else "jpg"
    height, width = one.truth.shape
    lesion = int((one.truth == LESION).sum())
    return PictureTruth(
        file=f"{at:02d}.{ending}",
        truth=f"{at:02d}.truth.png",
        sha256=sha256(one.data).hexdigest(),
        width=width,
        height=height,
        kind=one.kind,
        channel=one.channel,
        modality=one.shot.sequence,
        heights_mm=one.shot.heights_mm,
        head_px=int((one.truth == HEAD).sum()) + lesion,
        lesion_px=lesion,
        duplicate_of=one.shot.duplicate_of,
        stranger=one.shot.stranger,
        turned_degrees=one.shot.turned_degrees,
        mirrored=one.shot.mirrored,
        exif_place=one.located,
        texts=one.texts,
    )


def _hostile(case: Case) -> HostileTruth | None:
    if case.hostile_file is None or case.hostile_kind is None:
        return None
    file, data = case.hostile_file
    return HostileTruth(
        file=f"hostile-{file}", sha256=sha256(data).hexdigest(), kind=case.hostile_kind
    )
