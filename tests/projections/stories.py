"""Stories of any shape, told from a list of numbers: the same numbers are the same ledger."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from adapters.storage.memory import MemoryLedger
from commands.ports import Ledger
from domain import dead_letter, examination, person as people
from domain.case import Case, Opened
from domain.events import CASE, DEAD_LETTER, Recorded, fold
from domain.identity import reaction
from domain.person import Role, RoleGranted
from domain.stroke import CAUSES
from tests.givens import Given

ROLES: tuple[Role, ...] = ("researcher", "admin")

Step = tuple[int, int]
"""What happens and, by chance, to which case and how."""

Act = Callable[[Given, UUID, Case, int], Awaitable[object]]


async def _ingest(given: Given, case: UUID, state: Case, chance: int) -> None:
    """As ingest would: every waiting image, usable more often than not."""
    acts = (given.ingested, given.ingested, given.rejected, given.quarantined)
    await acts[chance % len(acts)](case)


async def _predict(given: Given, case: UUID, state: Case, chance: int) -> None:
    if not state.usable:
        return
    if chance % 5 == 4:
        await given.declined(case)
        return
    model = UUID(int=chance % 2)
    await given.predicted(case, CAUSES[chance % 2], abstains=chance % 3 == 2, model=model)


async def _answer(given: Given, case: UUID, state: Case, chance: int) -> None:
    if not state.prediction:
        return
    await given.composed(case)
    await given.card(case)
    if chance % 4:
        await given.delivered(case)


async def _label(given: Given, case: UUID, state: Case, chance: int) -> None:
    cause = CAUSES[chance % len(CAUSES)]
    if not state.label or state.label.cause != cause:
        await given.labelled(case, cause, ("ecg",) if chance % 3 else ("clinical",))


async def _leave(given: Given, case: UUID, state: Case, chance: int) -> None:
    if len(state.images) > 1:
        await given.split(case, next(iter(state.images)))


async def _withdraw(given: Given, case: UUID, state: Case, chance: int) -> None:
    if not state.withdrawn:
        await (given.withdrawn, given.erased)[chance % 2](case)


async def _grant(given: Given, case: UUID, state: Case, chance: int) -> None:
    """The case's clinician gets a role, perhaps for the second time."""
    if state.opened:
        granted = RoleGranted(role=ROLES[chance % 2], site=f"demo-{chance % 3}")
        await given.happened(people.NAME, state.opened.by, granted)


async def _revise(given: Given, case: UUID, state: Case, chance: int) -> None:
    text = examination.Text(ru=f"текст {chance}", en=f"text {chance}")
    when = examination.When(blocks=("base",))
    by = given.new_id() if chance % 2 else None
    revised = examination.Revised(text, text, when, 1 + chance % 3, "a source", True, by)
    await given.happened(examination.NAME, examination.examination_id("base.kept"), revised)


async def _set_aside(given: Given, case: UUID, state: Case, chance: int) -> None:
    """A worker fails on the case or comes behind, and an operator acts on the first in line."""
    id_ = reaction(case, "line/answer")
    line: dead_letter.Line = fold(DEAD_LETTER, await given.ledger.load(dead_letter.NAME, id_))
    head = line.head.parked.letter if line.head else None
    events = dead_letter.park(line, parked(1 + chance // 4, case))
    if chance % 4 == 1:
        events = dead_letter.wait(line, parked(50 + chance, case))
    elif chance % 4 == 2 and head:
        events = dead_letter.retry(line, head)
    elif chance % 4 == 3 and head:
        events = dead_letter.discard(line, head, "unusable")
        events = events if chance % 8 == 3 else dead_letter.handle(line, head)
    if events:
        await given.happened(dead_letter.NAME, id_, *events)


async def _reingest(given: Given, case: UUID, state: Case, chance: int) -> None:
    await given.reingested(case, f"ingest-{chance % 3}:test")


async def _look_alike(given: Given, case: UUID, state: Case, chance: int) -> None:
    """The case's first image looks like one of an earlier case, or somebody says that it is another's."""
    others = [
        recorded.aggregate_id
        async for recorded in given.ledger.read(0, CASE.name)
        if isinstance(recorded.event, Opened) and recorded.aggregate_id != case
    ]
    if not others or not state.images:
        return
    other = others[chance % len(others)]
    if (await given.state(other)).images:
        await (given.apart if chance % 3 == 2 else given.alike)(case, other)


def parked(sequence: int, case: UUID) -> dead_letter.Parked:
    """A letter that failed on an event of this case."""
    return dead_letter.Parked(
        letter=reaction(case, f"event/{sequence}"),
        consumer="answer",
        stream="ICTUS_EV",
        sequence=sequence,
        cause="failed",
        error="ZeroDivisionError",
        fingerprint="0123456789abcdef",
        attempts=5,
        version="0.1.0",
        aggregate=CASE.name,
        aggregate_id=case,
    )


ACTS: tuple[Act, ...] = (
    lambda given, case, state, chance: given.image(
        case, channel="photo" if chance % 3 else "document"
    ),
    _ingest,
    _predict,
    _predict,
    _answer,
    lambda given, case, state, chance: given.opinion(
        case, ("agree", "unsure", *CAUSES)[chance % 4]
    ),
    _label,
    lambda given, case, state, chance: given.context(case, "af", "yes" if chance % 2 else "no"),
    _leave,
    _withdraw,
    _grant,
    _revise,
    _set_aside,
    _set_aside,
    _reingest,
    _look_alike,
    _look_alike,
)


async def story(steps: Sequence[Step], ledger: Ledger | None = None) -> list[Recorded]:
    """All that happened: people who join, an advice catalogue, and cases to which `steps` happen."""
    ledger = ledger or MemoryLedger()
    given = Given(ledger)
    await given.stranger()
    clinicians = [await given.person(), await given.person(site="demo-2")]
    await given.advice()
    cases: list[UUID] = []
    for act, chance in steps:
        if not cases or act >= len(ACTS):
            cases.append(await given.case(clinicians[chance % 2]))
        else:
            case = cases[chance % len(cases)]
            state = await given.state(case)
            if not state.closed:
                await ACTS[act](given, case, state, chance)
    return [recorded async for recorded in ledger.read()]
