"""What another model would have told: every case as it stood, asked again, in an order that never varies."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import msgspec
from msgspec import Struct

from commands import objects
from commands.ports import Damaged, Erased, Missing
from domain import advice
from domain.case import Case, PredictionDeclined, PredictionProduced
from domain.events import CASE, Recorded, fold
from domain.stroke import LEVEL_INSTRUMENTAL, PREDICTED
from ictus.wiring import House
from workers.inference.classifier import Classifier, NothingToSee
from workers.inference.context import Context
from workers.inference.manifest import MANIFEST_FILE

NOTHING, ABSTAINED = "", "abstained"

Histories = dict[UUID, list[Recorded]]


class Told(Struct, frozen=True, kw_only=True):
    """A case: what it was told (a cause, `abstained`, `declined-…`, or nothing), what it would have
    been, and its cause if that is one of those predicted and confirmed by an instrument."""

    case: UUID
    code: str
    images: int
    was: str
    was_permille: int | None
    would_be: str
    would_be_permille: int | None
    cause: str

    @property
    def flipped(self) -> bool:
        return self.was != self.would_be


class Counterfactual(Struct, frozen=True, kw_only=True):
    """`sha256` is of the lines as `ndjson` writes them: whoever replays the same model over the same
    events gets the same. `right` and `would_be_right` count the `labelled` cases that were told their
    cause, and would be."""

    name: str
    version: str
    manifest_sha256: str
    as_of: int
    cases: int
    unreadable: int
    flipped: int
    labelled: int
    right: int
    would_be_right: int
    sha256: str


class Over(NamedTuple):
    """Events of a file: the last sequence, and the hashes of those about cases by sequence."""

    until: int
    hashes: dict[int, str]


class _About(Struct, frozen=True):
    subject: str


class _Line(Struct, frozen=True):
    sequence: int
    hash: str
    event: _About


def read_events(file: Path) -> Over:
    """A file of `ictus events`. Raises Missing, Damaged."""
    try:
        lines = msgspec.json.Decoder(_Line).decode_lines(file.read_bytes())
    except FileNotFoundError:
        raise Missing(f"there is no file {file}") from None
    except msgspec.DecodeError as error:
        raise Damaged(f"{file} is not what `ictus events` writes: {error}") from error
    about_cases = [line for line in lines if line.event.subject.startswith(f"{CASE.name}/")]
    if not about_cases:
        raise Missing(f"no event of {file} is about a case")
    return Over(
        max(line.sequence for line in lines),
        {line.sequence: line.hash for line in about_cases},
    )


async def replayed(
    house: House,
    bundle: Path,
    as_of: int | None,
    told: Callable[[int, int], None],
    over: Over | None = None,
) -> tuple[Counterfactual, list[Told]]:
    """As of the head where `as_of` lies beyond it; `over`: only the cases that these events are about,
    as of the last of them. Raises BundleRefused, Missing, Damaged for events of another ledger. Cases
    that were withdrawn or erased by then are nobody's to replay."""
    classifier = await asyncio.to_thread(Classifier.load, bundle)
    head = (await house.books.ledger.head()).sequence
    wanted = over.until if over else as_of
    until = head if wanted is None else min(wanted, head)
    cases = await _cases(house, until, over)
    lines: list[Told] = []
    for number, (case_id, case) in enumerate(cases, 1):
        if line := await _line(house, classifier, case_id, case):
            lines.append(line)
        told(number, len(cases))
    return await _summary(classifier, bundle, until, len(cases), lines), lines


def ndjson(lines: Sequence[Told]) -> bytes:
    """The very bytes of `--out`."""
    return msgspec.json.Encoder().encode_lines(lines)


async def _cases(house: House, until: int, over: Over | None) -> list[tuple[UUID, Case]]:
    """By id, those that have an image a model can be asked about."""
    histories: Histories = defaultdict(list)
    async for recorded in house.books.ledger.read(aggregate=CASE.name):
        if recorded.sequence > until:
            break
        histories[recorded.aggregate_id].append(recorded)
    if over:
        histories = _only(histories, over.hashes)
    known = ((case_id, fold(CASE, history)) for case_id, history in histories.items())
    return sorted((id_, case) for id_, case in known if case.usable and not case.withdrawn)


def _only(histories: Histories, hashes: dict[int, str]) -> Histories:
    """Those that have one of these events."""
    held = {r.sequence: r.hash for history in histories.values() for r in history}
    foreign = sorted(hashes.items() - held.items())
    if foreign:
        raise Damaged(f"event {foreign[0][0]} is not this ledger's: its hash is another")
    return {
        id_: history
        for id_, history in histories.items()
        if any(recorded.sequence in hashes for recorded in history)
    }


async def _line(house: House, classifier: Classifier, case_id: UUID, case: Case) -> Told | None:
    """None when its images are gone: erased since."""
    try:
        images = [
            await objects.fetch(house.blobs, house.books.vault, case_id, digest)
            for digest in case.inputs
        ]
    except (Erased, Missing):
        return None
    was, was_permille = _was(case)
    would_be, permille = await asyncio.to_thread(_would_be, classifier, images, case)
    return Told(
        case=case_id,
        code=case.opened.code if case.opened else "",
        images=len(images),
        was=was,
        was_permille=was_permille,
        would_be=would_be,
        would_be_permille=permille,
        cause=_cause(case),
    )


def _was(case: Case) -> tuple[str, int | None]:
    match case.prediction:
        case None:
            return NOTHING, None
        case PredictionDeclined(reason=reason):
            return f"declined-{reason}", None
        case PredictionProduced() as said:
            cause, permille = said.ranked[0]
            return (ABSTAINED if advice.abstains(said) else cause), permille


def _would_be(classifier: Classifier, images: list[bytes], case: Case) -> tuple[str, int | None]:
    try:
        said = classifier.predict(images, Context.of(case.context), case.sequences)
    except NothingToSee:
        return "declined-out-of-distribution", None
    cause, permille = said.ranked[0]
    if said.decision == "out-of-distribution":
        return "declined-out-of-distribution", None
    return (cause if said.decision == "answer" else ABSTAINED), permille


def _cause(case: Case) -> str:
    label = case.label
    sure = label and label.cause in PREDICTED and label.level >= LEVEL_INSTRUMENTAL
    return label.cause if label and sure else NOTHING


async def _summary(
    classifier: Classifier, bundle: Path, until: int, cases: int, lines: list[Told]
) -> Counterfactual:
    manifest = await asyncio.to_thread((bundle / MANIFEST_FILE).read_bytes)
    labelled = [line for line in lines if line.cause]
    return Counterfactual(
        name=classifier.manifest.name,
        version=classifier.manifest.version,
        manifest_sha256=sha256(manifest).hexdigest(),
        as_of=until,
        cases=len(lines),
        unreadable=cases - len(lines),
        flipped=sum(line.flipped for line in lines),
        labelled=len(labelled),
        right=sum(line.was == line.cause for line in labelled),
        would_be_right=sum(line.would_be == line.cause for line in labelled),
        sha256=sha256(ndjson(lines)).hexdigest(),
    )
