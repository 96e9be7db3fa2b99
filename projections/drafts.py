"""A row in the making: what of a case's history its row depends on, each piece with its event."""

from collections.abc import Iterator
from typing import get_args
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from domain.case import (
    ContextGiven,
    ImageIngested,
    ImageQuarantined,
    ImageRejected,
    ImagesMoved,
    ImageSubmitted,
    Label,
    LabelConfirmed,
    LabelRevised,
    Linked,
    NearDuplicatesFound,
    Opened,
    Origin,
    ToldApart,
    Withdrawn,
)
from domain.events import Event
from projections.groups import Group, Likeness, Member, Mention
from projections.rows import Row, RowImage, RowLabel


class Made(Struct, frozen=True, array_like=True):
    """What ingest made of an image with a profile; no `derivative` when it refused what an earlier
    profile had taken."""

    said: Mention
    profile: str
    derivative: str = ""
    width: int = 0
    height: int = 0

    def is_by(self, profile: str) -> bool:
        """By the profile of this name; by any without a name."""
        return not profile or self.profile.split(":")[0] == profile


class DraftImage(Struct, frozen=True, array_like=True):
    """`made` is in the order of the ledger."""

    channel: str
    modality: str
    submitted: Mention
    made: tuple[Made, ...] = ()

    def chosen(self, profile: str) -> Made | None:
        """The last that was made by the profile of this name, or by any."""
        return next((made for made in reversed(self.made) if made.is_by(profile)), None)


class Draft(Struct, frozen=True, array_like=True):
    """`images` by item, in the order of submission; `context` by code, as (value, event); `labels`
    oldest first; `links` are other cases of the patient, `apart` cases of others; `alike` are images
    like an own one, `left` own ones that moved away. An array when encoded: cases are many."""

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
    alike: tuple[Likeness, ...] = ()
    apart: tuple[tuple[UUID, Mention], ...] = ()
    left: tuple[tuple[UUID, Mention], ...] = ()


EMPTY = Draft()
Changing = (
    Opened
    | ImageSubmitted
    | ImageIngested
    | ImageRejected
    | ImageQuarantined
    | ImagesMoved
    | ContextGiven
    | LabelConfirmed
    | LabelRevised
    | Linked
    | NearDuplicatesFound
    | ToldApart
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
        case ImageIngested() | ImageRejected() | ImageQuarantined() as outcome:
            return _with_outcome(draft, outcome, mention)
        case ImagesMoved() as moved:
            return _with_images_moved(draft, moved, mention)
        case ContextGiven(facts=facts):
            given = {fact.code: (fact.value, mention) for fact in facts}
            return replace(draft, context={**draft.context, **given})
        case LabelConfirmed() | LabelRevised() as label:
            return replace(draft, labels=(*draft.labels, (_row_label(label), mention)))
        case Linked(other=other):
            return replace(draft, links=(*draft.links, (other, mention)))
        case NearDuplicatesFound(item=item, alike=alike):
            found = (Likeness(item, one.case, one.item, mention) for one in alike)
            return replace(draft, alike=(*draft.alike, *found))
        case ToldApart(other=other):
            return replace(draft, apart=(*draft.apart, (other, mention)))
        case Withdrawn():
            return draft if draft.withdrawn else replace(draft, withdrawn=mention)
    return draft


def member_of(case: UUID, draft: Draft) -> Member | None:
    """None for a case that was never opened."""
    if draft.patient is None or draft.opened is None:
        return None
    return Member(
        case,
        draft.patient,
        draft.site,
        draft.opened,
        draft.links,
        tuple(found for found in draft.alike if found.other != case),
        draft.apart,
        draft.left,
    )


def row_of(case: UUID, draft: Draft, group: Group, profile: str = "") -> Row | None:
    """With the images that `profile` made, or that were made last. None without one, and when the case
    was withdrawn."""
    images = tuple(_row_images(draft, profile))
    if not images or draft.withdrawn:
        return None
    labels = [label for label, _ in draft.labels]
    return Row(
        case=str(case),
        site=draft.site,
        patient=str(group.patient),
        origin=draft.origin,
        images=images,
        context={code: value for code, (value, _) in draft.context.items()},
        label=labels[-1] if labels else None,
        history=tuple(labels[:-1]),
        split=group.split,
        events=causes(draft, group, profile),
    )


def causes(draft: Draft, group: Group, profile: str = "") -> tuple[Mention, ...]:
    """Every event that determines the row, or that there is none, in order: an answer that was
    overruled later is not among them."""
    mentions = [
        draft.opened,
        *(mention for image in draft.images.values() for mention in _causes(image, profile)),
        *draft.moved,
        *(mention for _, mention in draft.context.values()),
        *(mention for _, mention in draft.labels),
        *group.events,
        draft.withdrawn,
    ]
    return tuple(sorted({mention for mention in mentions if mention}))


def _with_images_moved(draft: Draft, moved: ImagesMoved, mention: Mention) -> Draft:
    """Whoever moves an image says that it shows another patient."""
    apart = (*draft.apart, (moved.other, mention))
    if moved.direction == "in":
        return replace(draft, apart=apart)
    return replace(
        draft,
        images={item: image for item, image in draft.images.items() if item not in moved.items},
        moved=(*draft.moved, mention),
        apart=apart,
        left=(*draft.left, *((item, mention) for item in moved.items)),
    )


def _causes(image: DraftImage, profile: str) -> Iterator[Mention]:
    made = image.chosen(profile)
    if made is not None:
        yield made.said
    if made is not None and made.derivative:
        yield image.submitted


def _with_outcome(
    draft: Draft, outcome: ImageIngested | ImageRejected | ImageQuarantined, mention: Mention
) -> Draft:
    """An image that was never taken leaves no trace."""
    image = draft.images.get(outcome.item)
    if image is None:
        return draft
    if isinstance(outcome, ImageIngested):
        size = outcome.width, outcome.height
        made = Made(mention, outcome.profile, outcome.derivative, *size)
    elif image.made:
        made = Made(mention, outcome.profile)
    else:
        return draft
    changed = replace(image, made=(*image.made, made))
    return replace(draft, images={**draft.images, outcome.item: changed})


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


def _row_images(draft: Draft, profile: str) -> Iterator[RowImage]:
    for image in draft.images.values():
        made = image.chosen(profile)
        if made is not None and made.derivative:
            yield RowImage(
                sha256=made.derivative,
                width=made.width,
                height=made.height,
                modality=image.modality,
                channel=image.channel,
                profile=made.profile,
            )
