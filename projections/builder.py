"""Datasets: a pure fold of the ledger into one row per case, the same on every machine.

A dataset is a function of (ledger, `as_of`, spec) alone: no clock, no database, no order but the
ledger's within a case. Its identity is the Merkle root over its canonical rows.
"""

from hashlib import sha256
from pathlib import Path
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from commands.ports import Damaged, Ledger
from domain import case as cases
from domain.case import (
    ContextGiven,
    ImageIngested,
    ImagesMoved,
    ImageSubmitted,
    Label,
    LabelConfirmed,
    LabelRevised,
    Opened,
    Origin,
)
from domain.errors import Refused
from domain.events import NO_HASH, Recorded
from domain.model import TASK
from projections.feed import closing
from projections.rows import (
    PROJECTOR_VERSION,
    Row,
    RowImage,
    RowLabel,
    Split,
    dataset_root,
    encode,
)

TRAIN_PERMILLE, VALIDATION_PERMILLE = 700, 850

Mention = tuple[int, str]


class Spec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which cases make rows. `label_levels` and `origins` keep what they list; empty keeps all,
    unlabelled cases too. `salt` decides who is in which split; `task` says what the rows are for.
    """

    name: str = "all"
    salt: str = "ictus"
    label_levels: tuple[int, ...] = ()
    origins: tuple[Origin, ...] = ()
    task: str = TASK

    @property
    def sha256(self) -> str:
        return sha256(msgspec.json.encode(self, order="sorted")).hexdigest()

    def wants(self, row: Row) -> bool:
        level = row.label.level if row.label else None
        return (not self.label_levels or level in self.label_levels) and (
            not self.origins or row.origin in self.origins
        )


def load_spec(path: Path) -> Spec:
    """From a TOML file; raises msgspec.ValidationError for a word it does not know."""
    return msgspec.toml.decode(path.read_bytes(), type=Spec)


class Dataset(Struct, frozen=True, kw_only=True):
    """`rows` are sorted by case id and `encoded` are their canonical bytes; `as_of` is the last
    sequence read and `head_sha256` that event's payload hash. Hashes are hex."""

    root: str
    rows: list[Row]
    encoded: list[bytes]
    as_of: int
    head_sha256: str
    spec: Spec
    spec_sha256: str
    projector: str
    ledger: UUID


async def build(ledger: Ledger, spec: Spec, as_of: int | None = None) -> Dataset:
    """The dataset as it was known at the event `as_of`, by default the last one.

    Raises Refused when the ledger ends before `as_of`, Damaged when an event is missing, Unavailable.
    """
    head = await ledger.head()
    until = head.sequence if as_of is None else as_of
    if until > head.sequence:
        raise Refused(f"The ledger ends at event {head.sequence}: there is no event {until} yet.")
    builder, at, head_sha256 = Builder(spec), 0, NO_HASH
    async with closing(ledger.read()) as events:
        async for recorded in events:
            if recorded.sequence > until:
                break
            builder.see(recorded)
            at, head_sha256 = recorded.sequence, recorded.hash
    if at != until:
        raise Damaged(f"the ledger ends at event {at}, and it said event {head.sequence}")
    rows = builder.rows()
    encoded = [encode(row) for row in rows]
    return Dataset(
        root=dataset_root(encoded),
        rows=rows,
        encoded=encoded,
        as_of=until,
        head_sha256=head_sha256,
        spec=spec,
        spec_sha256=spec.sha256,
        projector=PROJECTOR_VERSION,
        ledger=head.ledger,
    )


class Builder:
    """Folds events of many cases. Only the order within a case matters."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._drafts: dict[UUID, Draft] = {}

    def see(self, recorded: Recorded) -> None:
        if recorded.aggregate == cases.NAME:
            draft = self._drafts.get(recorded.aggregate_id, EMPTY)
            self._drafts[recorded.aggregate_id] = drafted(draft, recorded)

    def rows(self) -> list[Row]:
        """The rows the spec wants, sorted by case id."""
        made = (row_of(case, draft, self._spec) for case, draft in self._drafts.items())
        return sorted((row for row in made if row), key=lambda row: row.case)


# A row in the making: what of a case's history its row depends on, each piece with its event


class DraftImage(Struct, frozen=True):
    channel: str
    modality: str
    submitted: Mention
    ingested: Mention | None = None
    derivative: str = ""
    width: int = 0
    height: int = 0
    profile: str = ""


class Draft(Struct, frozen=True):
    """`images` by item, in the order of submission; `context` by code, as (value, event)."""

    site: str = ""
    patient: UUID | None = None
    origin: Origin = "bot"
    opened: Mention | None = None
    images: dict[UUID, DraftImage] = {}
    moved: tuple[Mention, ...] = ()
    context: dict[str, tuple[str, Mention]] = {}
    label: RowLabel | None = None
    labelled: Mention | None = None


EMPTY = Draft()


def drafted(draft: Draft, recorded: Recorded) -> Draft:
    """The draft after one more event of its case; most events change nothing."""
    mention = (recorded.sequence, str(recorded.id))
    match recorded.event:
        case Opened() as opened:
            return replace(
                draft,
                site=opened.site,
                patient=opened.patient,
                origin=opened.origin,
                opened=mention,
            )
        case ImageSubmitted() as image:
            new = DraftImage(image.channel, image.modality, mention)
            return replace(draft, images={**draft.images, image.item: new})
        case ImageIngested() as ingested:
            return _with_derivative(draft, ingested, mention)
        case ImagesMoved(direction="out", items=items):
            kept = {item: image for item, image in draft.images.items() if item not in items}
            return replace(draft, images=kept, moved=(*draft.moved, mention))
        case ContextGiven(facts=facts):
            given = {fact.code: (fact.value, mention) for fact in facts}
            return replace(draft, context={**draft.context, **given})
        case LabelConfirmed() | LabelRevised() as label:
            return replace(draft, label=_row_label(label), labelled=mention)
    return draft


def _with_derivative(draft: Draft, ingested: ImageIngested, mention: Mention) -> Draft:
    image = draft.images.get(ingested.item)
    if image is None:
        return draft
    usable = replace(
        image,
        ingested=mention,
        derivative=ingested.derivative,
        width=ingested.width,
        height=ingested.height,
        profile=ingested.profile,
    )
    return replace(draft, images={**draft.images, ingested.item: usable})


def _row_label(label: Label) -> RowLabel:
    return RowLabel(
        cause=label.cause,
        level=label.level,
        evidence=label.evidence,
        stage=label.stage or "",
        rater=str(label.rater),
    )


def row_of(case: UUID, draft: Draft, spec: Spec) -> Row | None:
    """None without a usable image, or when the spec does not want it."""
    usable = [image for image in draft.images.values() if image.ingested]
    if draft.patient is None or not usable:
        return None
    row = Row(
        case=str(case),
        site=draft.site,
        patient=str(draft.patient),
        origin=draft.origin,
        images=tuple(_row_image(image) for image in usable),
        context={code: value for code, (value, _) in draft.context.items()},
        label=draft.label,
        split=split_of(draft.patient, spec.salt),
        events=_causes(draft, usable),
    )
    return row if spec.wants(row) else None


def _row_image(image: DraftImage) -> RowImage:
    return RowImage(
        sha256=image.derivative,
        width=image.width,
        height=image.height,
        modality=image.modality,
        channel=image.channel,
        profile=image.profile,
    )


def _causes(draft: Draft, usable: list[DraftImage]) -> tuple[Mention, ...]:
    """Every event that determined the row, in order: what was overruled later is not among them."""
    images = [mention for image in usable for mention in (image.submitted, image.ingested)]
    facts = [mention for _, mention in draft.context.values()]
    mentions = [draft.opened, *images, *draft.moved, *facts, draft.labelled]
    return tuple(sorted({mention for mention in mentions if mention}))


def split_of(patient: UUID, salt: str) -> Split:
    """By patient, so that one is never in two splits and more cases move nobody."""
    permille = int.from_bytes(sha256(salt.encode() + patient.bytes).digest()) % 1000
    if permille < TRAIN_PERMILLE:
        return "train"
    return "validation" if permille < VALIDATION_PERMILLE else "test"
