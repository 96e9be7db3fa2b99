"""A row in the making: what of a case's history its row depends on, each piece with its event."""

from typing import get_args
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from domain.case import (
    ContextGiven,
    ImageIngested,
    ImagesMoved,
    ImageSubmitted,
    Label,
    LabelConfirmed,
    LabelRevised,
    Linked,
    Opened,
    Origin,
    Withdrawn,
)
from domain.events import Event
from projections.groups import Group, Member, Mention
from projections.rows import Row, RowImage, RowLabel


class DraftImage(Struct, frozen=True, array_like=True):
    channel: str
    modality: str
    submitted: Mention
    ingested: Mention | None = None
    derivative: str = ""
    width: int = 0
    height: int = 0
    profile: str = ""


class Draft(Struct, frozen=True, array_like=True):
    """`images` by item, in the order of submission; `context` by code, as (value, event); `labels`
    oldest first; `links` are other cases of the patient. An array when encoded: cases are many."""

    site: str = ""
    patient: UUID | None = None
    origin: Origin = "bot"
    opened: Mention | None = None
    images: dict[UUID, DraftImage] = {}
    moved: tuple[Mention, ...] = ()
    context: dict[str, tuple[str, Mention]] = {}
    labels: tuple[tuple[RowLabel, Mention], ...] = ()
    links: tuple[tuple[UUID, Mention], ...] = ()
    withdrawn: Mention | None = None


EMPTY = Draft()
Changing = (
    Opened
    | ImageSubmitted
    | ImageIngested
    | ImagesMoved
    | ContextGiven
    | LabelConfirmed
    | LabelRevised
    | Linked
    | Withdrawn
)
"""The events that `drafted` looks at; all others change nothing."""

CHANGING: tuple[type[Changing], ...] = get_args(Changing)


def drafted(draft: Draft, event: Event, mention: Mention) -> Draft:
    """The draft after one more event of its case, which `mention` names."""
    match event:
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
            return replace(draft, labels=(*draft.labels, (_row_label(label), mention)))
        case Linked(other=other):
            return replace(draft, links=(*draft.links, (other, mention)))
        case Withdrawn():
            return draft if draft.withdrawn else replace(draft, withdrawn=mention)
    return draft


def member_of(case: UUID, draft: Draft) -> Member | None:
    """None for a case that was never opened."""
    if draft.patient is None or draft.opened is None:
        return None
    return Member(case, draft.patient, draft.site, draft.opened, draft.links)


def row_of(case: UUID, draft: Draft, group: Group) -> Row | None:
    """None without a usable image, and when the case was withdrawn."""
    usable = [image for image in draft.images.values() if image.ingested]
    if not usable or draft.withdrawn:
        return None
    labels = [label for label, _ in draft.labels]
    return Row(
        case=str(case),
        site=draft.site,
        patient=str(group.patient),
        origin=draft.origin,
        images=tuple(_row_image(image) for image in usable),
        context={code: value for code, (value, _) in draft.context.items()},
        label=labels[-1] if labels else None,
        history=tuple(labels[:-1]),
        split=group.split,
        events=causes(draft, group),
    )


def causes(draft: Draft, group: Group) -> tuple[Mention, ...]:
    """Every event that determines the row, or that there is none, in order: an answer that was
    overruled later is not among them."""
    images = [image for image in draft.images.values() if image.ingested]
    mentions = [
        draft.opened,
        *(mention for image in images for mention in (image.submitted, image.ingested)),
        *draft.moved,
        *(mention for _, mention in draft.context.values()),
        *(mention for _, mention in draft.labels),
        *group.events,
        draft.withdrawn,
    ]
    return tuple(sorted({mention for mention in mentions if mention}))


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
        confidence=label.confidence or "",
        blinded=label.blinded,
        at=label.at.isoformat() if label.at else "",
    )


def _row_image(image: DraftImage) -> RowImage:
    return RowImage(
        sha256=image.derivative,
        width=image.width,
        height=image.height,
        modality=image.modality,
        channel=image.channel,
        profile=image.profile,
    )
