"""What may be asked of a case."""

from uuid import UUID

from msgspec.structs import replace

from commands.ports import Blobs
from commands.transact import Books, Target, transact, transact_all
from domain import case as cases
from domain.case import Case
from domain.errors import Refused, SameCase
from domain.events import CASE, Request, fold
from domain.identity import Instant, case_code, reaction
from domain.sealed import additional_data, plain
from domain.stroke import CONTEXT, Cause, Evidence, Modality


async def submit_image(
    books: Books,
    request: Request,
    case: UUID,
    *,
    item: UUID,
    by: UUID,
    site: str,
    origin: cases.Origin,
    channel: cases.Channel,
    joined: cases.Joined,
    sent: Instant,
    address: str,
    caption: str = "",
    modality: Modality = "mri",
    patient: UUID | None = None,
) -> bool:
    """An image for a case, which opens with its first. `address` says where its bytes are; without a
    `patient` the case is one of its own."""
    opening = await _opening(books, case, by, site, origin, patient)
    image = cases.ImageSubmitted(
        item=item,
        channel=channel,
        modality=modality,
        joined=joined,
        sent=sent,
        file=plain(address),
        caption=plain(caption) if caption else None,
    )
    return await transact(
        books, request, CASE, case, lambda state: cases.submit_image(state, opening, image)
    )


async def split_image(
    books: Books, request: Request, case: UUID, item: str, by: UUID
) -> UUID | None:
    """Moves one image (by the first digits of its id) to a new case; its id, or None if it cannot.
    Raises NoSuchCase, NotYours."""
    state = await load_owned(books, case, by)
    found = next((image for id_, image in state.images.items() if id_.hex.startswith(item)), None)
    if state.opened is None or found is None:
        return None
    other = await books.vault.derive("split", str(case), str(found.submitted.item))
    moved = await _resubmitted(books, case, found.submitted)
    opening = await _opening(books, other, by, state.opened.site, state.opened.origin, None)

    def decide(source: Case, target: Case) -> list[list[cases.CaseEvent]]:
        leaving = cases.move_out(source, moved.item, other, by)
        return [leaving, cases.move_in(opening, moved, case) if leaving else []]

    done = await transact_all(books, request, [Target(CASE, case), Target(CASE, other)], decide)
    return other if done else None


async def give_context(
    books: Books, request: Request, case: UUID, facts: tuple[cases.Fact, ...], by: UUID
) -> bool:
    """Raises Refused for what the table of questions does not know."""
    for fact in facts:
        if fact.value not in CONTEXT.get(fact.code, ()):
            raise Refused(f"`{fact.value}` is no answer to `{fact.code}`")
    return await transact(
        books, request, CASE, case, lambda state: cases.give_context(state, facts, by)
    )


async def give_opinion(
    books: Books, request: Request, case: UUID, opinion: cases.Opinion, by: UUID
) -> bool:
    return await transact(
        books, request, CASE, case, lambda state: cases.give_opinion(state, opinion, by)
    )


async def confirm_label(
    books: Books,
    request: Request,
    case: UUID,
    cause: Cause,
    evidence: tuple[Evidence, ...],
    rater: UUID,
) -> bool:
    return await transact(
        books, request, CASE, case, lambda state: cases.confirm_label(state, cause, evidence, rater)
    )


async def record_label(
    books: Books, request: Request, case: UUID, label: cases.LabelConfirmed, by: UUID
) -> bool:
    """What a rater said elsewhere, told by the person the case belongs to."""

    def decide(state: Case) -> list[cases.CaseEvent]:
        return cases.record_label(state, replace(label, blinded=state.answer is None), by)

    return await transact(books, request, CASE, case, decide)


async def link(
    books: Books,
    request: Request,
    case: UUID,
    other: UUID,
    *,
    suggested: cases.Suggestion = "clinician",
    by: UUID | None = None,
) -> bool:
    """Two cases of one patient, both of this ledger. Raises SameCase, NoSuchCase, NotYours, IsErased."""
    if case == other:
        raise SameCase

    def decide(one: Case, two: Case) -> list[list[cases.CaseEvent]]:
        return [cases.link(one, other, suggested, by), cases.link(two, case, suggested, by)]

    return await transact_all(books, request, [Target(CASE, case), Target(CASE, other)], decide)


async def tell_apart(
    books: Books, request: Request, case: UUID, other: UUID, by: UUID | None = None
) -> bool:
    """Two cases of two patients. Raises SameCase, NoSuchCase, NotYours, IsErased, Refused."""
    if case == other:
        raise SameCase

    def decide(one: Case, two: Case) -> list[list[cases.CaseEvent]]:
        return [cases.tell_apart(one, other, by), cases.tell_apart(two, case, by)]

    return await transact_all(books, request, [Target(CASE, case), Target(CASE, other)], decide)


async def record_near_duplicates(
    books: Books, request: Request, case: UUID, found: cases.NearDuplicatesFound
) -> bool:
    return await transact(
        books, request, CASE, case, lambda state: cases.record_near_duplicates(state, found)
    )


async def withdraw(
    books: Books,
    request: Request,
    case: UUID,
    reason: cases.Withdrawal,
    by: UUID | None = None,
) -> bool:
    return await transact(
        books, request, CASE, case, lambda state: cases.withdraw(state, reason, by)
    )


async def erase(books: Books, blobs: Blobs, request: Request, case: UUID) -> bool:
    """Destroys the case's key and deletes its objects, for ever; False when it was so already.

    The ledger first says that this was asked for, which closes the case, so that nothing new comes
    in behind the deletion. It says that it is done last, when that is true. One that broke off in
    between can therefore be seen, and is finished by asking again: every step may be repeated.
    """
    await withdraw(books, request, case, "erasure")
    await books.vault.destroy(f"{CASE.name}/{case}")
    for key in [key async for key in blobs.keys(f"{CASE.name}/{case}/")]:
        await blobs.delete(key)
    done = replace(request, id=reaction(request.id, "erasure"))
    return await transact(books, done, CASE, case, cases.record_erasure)


async def record_ingestion(
    books: Books, request: Request, case: UUID, outcome: cases.Ingestion
) -> bool:
    return await transact(
        books, request, CASE, case, lambda state: cases.record_ingestion(state, outcome)
    )


async def record_reingestion(
    books: Books, request: Request, case: UUID, outcome: cases.Ingestion
) -> bool:
    return await transact(
        books, request, CASE, case, lambda state: cases.record_reingestion(state, outcome)
    )


async def record_prediction(
    books: Books, request: Request, case: UUID, prediction: cases.Prediction
) -> bool:
    return await transact(
        books, request, CASE, case, lambda state: cases.record_prediction(state, prediction)
    )


async def record_shadow(
    books: Books, request: Request, case: UUID, said: cases.ShadowPredicted
) -> bool:
    return await transact(
        books, request, CASE, case, lambda state: cases.record_shadow(state, said)
    )


async def compose_answer(
    books: Books, request: Request, case: UUID, answer: cases.AnswerComposed
) -> bool:
    return await transact(
        books, request, CASE, case, lambda state: cases.compose_answer(state, answer)
    )


async def place_card(books: Books, request: Request, case: UUID, placed: cases.CardPlaced) -> bool:
    return await transact(books, request, CASE, case, lambda state: cases.place_card(state, placed))


async def deliver_answer(
    books: Books, request: Request, case: UUID, delivered: cases.AnswerDelivered
) -> bool:
    return await transact(
        books, request, CASE, case, lambda state: cases.deliver_answer(state, delivered)
    )


async def load(books: Books, case: UUID) -> Case:
    """The case as it stands now; an empty one if nothing happened yet."""
    state: Case = fold(CASE, await books.ledger.load(CASE.name, case))
    return state


async def load_owned(books: Books, case: UUID, person: UUID) -> Case:
    """Like `load`, for the person it belongs to. Raises NoSuchCase, NotYours."""
    state = await load(books, case)
    cases.must_belong_to(state, person)
    return state


async def _opening(
    books: Books, case: UUID, by: UUID, site: str, origin: cases.Origin, patient: UUID | None
) -> cases.Opened:
    patient = patient or await books.vault.derive("patient", str(case))
    return cases.Opened(code=case_code(case), site=site, patient=patient, origin=origin, by=by)


async def _resubmitted(
    books: Books, case: UUID, image: cases.ImageSubmitted
) -> cases.ImageSubmitted:
    """The same image for another case: its sealed fields opened, to be sealed under the other key."""
    history = await books.ledger.load(CASE.name, case)
    source = next(recorded for recorded in history if recorded.event == image)
    address = await books.vault.unseal(image.file, additional_data(source.id, "file"))
    return cases.ImageSubmitted(
        item=image.item,
        channel=image.channel,
        modality=image.modality,
        joined="split",
        sent=image.sent,
        file=plain(address),
    )
