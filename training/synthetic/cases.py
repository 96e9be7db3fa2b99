"""One whole case: facts, head, lesions, key images, screens, files, and the truth of each."""

from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace
from numpy.random import Generator

from domain.stroke import PREDICTED
from training.synthetic import hostile
from training.synthetic.facts import NEW_CENTRE, Facts, Plan, facts, stream
from training.synthetic.head import Lesion
from training.synthetic.hostile import File
from training.synthetic.keyimages import Shot, choose
from training.synthetic.lesions import coarse_mask, lesions_of
from training.synthetic.phone import LOCATED_SHARE, Kind, file_of, photographed, shrunk
from training.synthetic.scan import Map, Sequence, old_spots, scanned
from training.synthetic.territories import VOXEL_ML, Atlas
from training.synthetic.viewer import LAYOUTS, MARKED_SHARE, Look, TextBox, look, screen, turned

Channel = Literal["screenshot", "screen-photo"]

SCREEN_PHOTO_SHARE: Final = 0.3
DOCUMENT_SHARE: Final = 0.3
TECHNIQUE: Final[dict[Sequence, str]] = {
    "mri-dwi": "DWI b1000",
    "mri-adc": "ADC",
    "mri-flair": "FLAIR",
}

SHORTCUT: Final = ("pacs", "web")
SHORTCUT_SHARE: Final = 0.9
SHORTCUT_MARKED: Final = 0.6
SHORTCUT_GAMMA: Final = 1.6
"""In mode `shortcut` the first viewer, its display's curve, and marks on heads go with cardioembolic in
nine cases of ten, and against it in the test split. A curve outlives a stretch of contrast, which
brightness alone does not."""

STRANGERS_FROM: Final = 1_000_000_000


class Picture(Struct, frozen=True, kw_only=True):
    """One file and its truth: the shot it shows, what each of its pixels is (see `scan`), its text."""

    data: bytes
    kind: Kind
    channel: Channel
    located: bool
    shot: Shot
    truth: Map
    texts: tuple[TextBox, ...]


class Case(Struct, frozen=True, kw_only=True):
    """A made-up case. `territories`: millilitres of acute lesion by territory and side."""

    facts: Facts
    layout: str
    lesion_ml: float
    territories: dict[str, float]
    pictures: tuple[Picture, ...]
    hostile_kind: str | None
    hostile_file: File | None


class Person(Struct, frozen=True):
    """A head with its acute and old lesions, and the scanner it lies in."""

    atlas: Atlas
    acute: tuple[Lesion, ...]
    old: tuple[Lesion, ...]
    centre: str


def case(plan: Plan, number: int) -> Case:
    """Case `number` of a plan: the same bytes in any process, whatever else was drawn before."""
    known = facts(plan, number)
    person = _person(plan, known)
    lesion = coarse_mask(person.acute, person.atlas)
    screens = stream(plan, number, "screens")
    seen = look_of(plan, known, screens)
    shots = choose(lesion, plan.hardness, stream(plan, number, "images"))
    kind = _hostile_kind(plan, number)
    return Case(
        facts=known,
        layout=seen.layout,
        lesion_ml=round(float(lesion.sum() * VOXEL_ML), 2),
        territories=person.atlas.supplied(lesion),
        pictures=_pictures(plan, person, shots, seen, screens),
        hostile_kind=kind,
        hostile_file=hostile.make(kind, stream(plan, number, "hostile")) if kind else None,
    )


def _person(plan: Plan, known: Facts) -> Person:
    atlas = Atlas.draw(stream(plan, known.number, "anatomy"))
    rng = stream(plan, known.number, "lesions")
    acute = lesions_of(known.finding, atlas, rng)
    return Person(atlas, acute, old_spots(atlas, rng), known.centre)


def look_of(plan: Plan, known: Facts, rng: Generator) -> Look:
    """The viewer that a case is looked at in, and how."""
    names, follows = list(LAYOUTS), rng.random() < SHORTCUT_SHARE
    layout, marked, gamma = names[rng.integers(len(names))], MARKED_SHARE, 1.0
    if plan.mode == "shortcut":
        is_true = follows != (known.split == "test")
        says_first = (known.cause == PREDICTED[0]) == is_true
        layout = SHORTCUT[0 if says_first else 1]
        marked, gamma = (SHORTCUT_MARKED, SHORTCUT_GAMMA) if says_first else (MARKED_SHARE, 1.0)
    seen = look(known.number, layout, marked, known.centre == NEW_CENTRE, rng)
    return seen._replace(gamma=gamma)


def _pictures(
    plan: Plan, person: Person, shots: tuple[Shot, ...], seen: Look, rng: Generator
) -> tuple[Picture, ...]:
    channel: Channel = "screen-photo" if rng.random() < SCREEN_PHOTO_SHARE else "screenshot"
    made: list[Picture] = []
    for shot in shots:
        if shot.duplicate_of is not None:
            made.append(_again(made[shot.duplicate_of], shot))
            continue
        whom = _stranger(plan, int(rng.integers(STRANGERS_FROM))) if shot.stranger else person
        made.append(_picture(whom, shot, channel, seen, rng))
    return tuple(made)


def _stranger(plan: Plan, number: int) -> Person:
    """Somebody else, who is nobody's case."""
    return _person(plan, facts(plan, STRANGERS_FROM + number))


def _again(picture: Picture, shot: Shot) -> Picture:
    return replace(picture, shot=replace(picture.shot, duplicate_of=shot.duplicate_of))


def _picture(person: Person, shot: Shot, channel: Channel, seen: Look, rng: Generator) -> Picture:
    slices = [
        scanned(person.atlas, person.acute, person.old, z, shot.sequence, person.centre, rng)
        for z in shot.heights_mm
    ]
    shown = screen(slices, seen, TECHNIQUE[shot.sequence], shot.mirrored, rng)
    by_camera = channel == "screen-photo"
    if by_camera:
        shown = photographed(shown, rng)
    shown = turned(shown, shot.turned_degrees)
    kind: Kind = "document" if rng.random() < DOCUMENT_SHARE else "photo"
    located = by_camera and kind == "document" and bool(rng.random() < LOCATED_SHARE)
    if kind == "photo":
        shown = shrunk(shown)
    return Picture(
        data=file_of(shown.canvas, kind, by_camera, located, rng),
        kind=kind,
        channel=channel,
        located=located,
        shot=shot,
        truth=shown.truth,
        texts=shown.texts,
    )


def _hostile_kind(plan: Plan, number: int) -> str | None:
    rng = stream(plan, number, "hostile")
    kind = hostile.DRAWN[rng.integers(len(hostile.DRAWN))]
    return kind if rng.random() < plan.hostile else None
