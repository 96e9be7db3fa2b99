"""A worker that fails on one case: what its operator sees and does, and what the clinicians see."""

import asyncio
import json
from uuid import UUID

import pytest

from domain.events import Recorded
from domain.identity import case_code
from tests.system.people import Someone
from tests.system.stack import Stack, eventually, image
from tests.test_cli import Ictus
from workers import loop, retries
from workers.answer import Answer
from workers.ingest.worker import Ingest
from workers.reactor import Outcome

pytestmark = pytest.mark.asyncio(loop_scope="module")
QUICK = (0.05,) * 5


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "RETRY_SECONDS", QUICK)
    monkeypatch.setattr(retries, "RETRY_SECONDS", QUICK)


class Operator:
    """Somebody at the command line."""

    def __init__(self, stack: Stack) -> None:
        self._ictus = Ictus(stack.house.settings)

    async def says(self, *words: str) -> tuple[int, list[dict[str, object]]]:
        """The exit code and what came out."""
        done = await asyncio.to_thread(self._ictus, *words, "--json")
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    async def letters(self, *words: str) -> list[dict[str, object]]:
        code, found = await self.says("dlq", "list", *words)
        assert code == 0
        return found

    async def alarm(self) -> dict[str, object]:
        """What doctor finds about dead letters."""
        _, [told] = await self.says("doctor")
        findings = told["findings"]
        assert isinstance(findings, list)
        [found] = [finding for finding in findings if finding["what"] == "dead letters"]
        return dict(found)


async def _waiting(operator: Operator, count: int, *words: str) -> list[dict[str, object]]:
    async def found() -> list[dict[str, object]] | None:
        letters = await operator.letters(*words)
        return letters if len(letters) == count else None

    return await eventually(found, f"{count} dead letters")


async def _first_case(stack: Stack, clinician: Someone) -> UUID:
    async def found() -> UUID | None:
        return next(iter(await stack.cases_of(clinician)), None)

    return await eventually(found, "a case")


async def test_a_case_whose_answer_fails_waits_for_the_operator_and_no_other_does(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = Operator(stack)
    unlucky, lucky = await stack.clinician(), await stack.clinician()
    await stack.settled()
    person = await stack.id_of(unlucky)
    react = Answer.react

    async def failing(self: Answer, recorded: Recorded) -> Outcome:
        history = await self.books.ledger.load("case", recorded.aggregate_id)
        if any(getattr(past.event, "by", None) == person for past in history):
            raise ZeroDivisionError("a patient's name")
        return await react(self, recorded)

    monkeypatch.setattr(Answer, "react", failing)
    await stack.stop("answer")
    await stack.start("answer")
    await unlucky.photo(image(300))
    await lucky.photo(image(301))
    await lucky.answer()
    await stack.settled()
    case = await _first_case(stack, unlucky)

    letters = await _waiting(operator, 3, "--case", case_code(case))
    assert [letter["standing"] for letter in letters] == ["stuck", "waiting", "waiting"]
    assert (letters[0]["error"], letters[0]["attempts"]) == ("ZeroDivisionError", 5)
    alarm = await operator.alarm()
    assert not alarm["ok"]
    assert "1 could not be handled by answer" in str(alarm["told"])
    assert (await operator.says("dlq", "retry", str(letters[1]["letter"])))[0] == 5
    assert (await operator.says("dlq", "retry", "ffffffff-0"))[0] == 3
    assert (await operator.says("dlq", "retry"))[0] == 2

    monkeypatch.setattr(Answer, "react", react)
    await stack.stop("answer")
    await stack.start("answer")
    code, [done] = await operator.says("dlq", "retry", "--group", str(letters[0]["fingerprint"]))
    assert (code, done) == (0, {"retried": [letters[0]["letter"]]})
    await stack.answered(case, 1)
    await stack.settled()

    await _waiting(operator, 0, "--case", case_code(case))
    closed = await operator.letters("--case", case_code(case), "--all")
    assert [letter["standing"] for letter in closed] == ["handled"] * 3
    assert (await operator.alarm())["ok"]
    code, [told] = await operator.says("dlq", "show", str(letters[0]["letter"])[:13])
    events = told["events"]
    assert isinstance(events, list)
    assert {event["actor"] for event in events} == {"worker:answer", "system"}
    assert "a patient's name" not in json.dumps([told, letters])


async def test_an_image_that_could_not_be_ingested_is_told_of_and_can_be_retried(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = Operator(stack)
    clinician = await stack.clinician()
    await stack.settled()
    ingest = Ingest._ingest

    async def failing(self: Ingest, *more: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr(Ingest, "_ingest", failing)
    await clinician.photo(image(302))
    await stack.settled()
    case = await _first_case(stack, clinician)
    [letter] = await _waiting(operator, 1, "--case", str(case))
    state = await stack.case(case)
    assert (state.waiting, state.usable) == ((), ())

    monkeypatch.setattr(Ingest, "_ingest", ingest)
    code, _ = await operator.says("dlq", "retry", str(letter["letter"]))
    assert code == 0
    await stack.answered(case, 1)


async def test_what_nobody_needs_is_discarded_with_a_reason(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = Operator(stack)
    subject = "ictus.in.telegram.7000000042.77"
    await stack.house.queue.publish(subject, b"\xffnot JSON", message_id="not-json-either")
    await stack.settled()
    [letter] = await _waiting(operator, 1)

    assert (await operator.says("dlq", "discard", str(letter["letter"])))[0] == 2
    code, [done] = await operator.says(
        "dlq", "discard", str(letter["letter"]), "--reason", "unusable"
    )

    assert (code, done) == (0, {"discarded": [letter["letter"]]})
    await _waiting(operator, 0)
    [kept] = [each for each in await operator.letters("--all") if each["consumer"] == "bot"]
    assert (kept["standing"], kept["reason"]) == ("discarded", "unusable")
