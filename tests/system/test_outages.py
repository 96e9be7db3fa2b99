"""Whatever goes away for a while, nothing is lost and no answer is given twice."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import product
from typing import get_args
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio

from adapters.telegram.emulator import Fault
from adapters.telegram.emulator.faults import FaultKind
from adapters.telegram.emulator.world import Message
from adapters.telegram.inbox import SUBJECT_ROOT
from commands.ports import Blobs, Commit, Head, Ledger, Unavailable
from domain.case import (
    AnswerComposed,
    AnswerDelivered,
    Case,
    ImageSubmitted,
    PredictionProduced,
)
from domain.events import Recorded, Request
from tests.servers import NatsServer, PostgresServer, Server
from tests.system.people import STEP_SECONDS_MAX, Someone, action, code_of, seen
from tests.system.stack import BOT_ID, Stack, eventually, image, images
from workers import taps

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOLD_SECONDS = 0.3
STRIKES = 2
PHOTOS = 2


async def came_through(stack: Stack, someone: Someone, photos: int = PHOTOS) -> Case:
    """The person's one case with all photos; none of its events and no answer is there twice."""
    [case] = await stack.cases_of(someone)
    state = await stack.answered(case, photos)
    await stack.settled()
    assert len(await stack.told(case, ImageSubmitted)) == photos
    assert len(state.usable) == photos
    predicted = [prediction.inputs for prediction in await stack.told(case, PredictionProduced)]
    assert len(predicted) == len(set(predicted))
    assert len(await stack.told(case, AnswerComposed)) == len(predicted)
    delivered = [answer.answer for answer in await stack.told(case, AnswerDelivered)]
    assert len(delivered) == len(set(delivered))
    assert len(someone.answers(case)) == 1
    return state


# Telegram


@pytest_asyncio.fixture(loop_scope="module")
async def faults(stack: Stack) -> AsyncIterator[list[Fault]]:
    """What is appended strikes; afterwards nothing does."""
    stack.emulator.faults.set([])
    yield stack.emulator.faults.rules
    stack.emulator.faults.set([])


async def test_when_telegram_fails_in_every_way_every_answer_still_comes_once(
    stack: Stack, faults: list[Fault]
) -> None:
    crew = {kind: await stack.clinician() for kind in get_args(FaultKind)}
    for kind, clinician in crew.items():
        faults += [
            failing(kind, method, clinician) for method in ("sendMessage", "editMessageText")
        ]
        faults += [failing(kind, method) for method in ("getFile", "download", "getUpdates")]

    for number, clinician in enumerate(crew.values()):
        await clinician.album(images(300 + number, PHOTOS))
    for clinician in crew.values():
        await clinician.answer()
        await came_through(stack, clinician)

    assert [fault for fault in faults if fault.times == STRIKES] == []


def failing(kind: FaultKind, method: str, someone: Someone | None = None) -> Fault:
    """Strikes a method, in one chat if there is one."""
    return Fault(
        kind,
        frozenset({method}),
        chat_id=someone.user.id if someone else None,
        times=STRIKES if someone else 1,
        hold_seconds=HOLD_SECONDS,
    )


@pytest.mark.parametrize(
    ("kind", "comes"),
    [("flood", 1), ("server_error", 1), ("timeout_before", 0), ("timeout_after", 1)],
)
async def test_an_ordinary_message_is_never_sent_twice(
    stack: Stack, faults: list[Fault], kind: FaultKind, comes: int
) -> None:
    clinician = await stack.clinician("ru")
    faults.append(Fault(kind, frozenset({"sendMessage"}), times=1, hold_seconds=HOLD_SECONDS))

    await clinician.user.send_text("hello")
    await stack.settled()

    assert clinician.texts.count(seen("ru", "help")) == comes


async def test_a_flood_while_ringing_still_rings_once(stack: Stack, faults: list[Fault]) -> None:
    clinician = await stack.clinician()
    await clinician.photo(image(305))
    stack.clock.advance(60)
    await clinician.until(code_of, "the placeholder")
    faults.append(Fault("flood", frozenset({"sendMessage"}), times=1))

    await came_through(stack, clinician, photos=1)

    assert clinician.texts.count(seen("en", "answer-ready")) == 1


# Objects


class Unplugged:
    """The house's object store behind a cable."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self.away, self.refusals = True, 0

    async def put(self, key: str, data: bytes) -> None:
        await self._there().put(key, data)

    async def get(self, key: str) -> bytes:
        return await self._there().get(key)

    async def exists(self, key: str) -> bool:
        return await self._there().exists(key)

    async def delete(self, key: str) -> None:
        await self._there().delete(key)

    def keys(self, prefix: str) -> AsyncIterator[str]:
        return self._there().keys(prefix)

    def _there(self) -> Blobs:
        if self.away:
            self.refusals += 1
            raise Unavailable("unplugged")
        return self._blobs


@pytest.mark.parametrize("role", ["ingest", "inference"])
async def test_when_the_objects_are_away_images_wait(stack: Stack, role: str) -> None:
    clinician, blobs = await stack.clinician(), Unplugged(stack.house.blobs)
    await stack.stop(role)
    await stack.start(role, house=stack.house._replace(blobs=blobs))

    await clinician.album(images(310, PHOTOS))
    await eventually(lambda: _true(blobs.refusals > 2), "some refusals")
    blobs.away = False
    await clinician.answer()
    await came_through(stack, clinician)

    await stack.stop(role)
    await stack.start(role)


async def _true(fact: bool) -> bool | None:
    return fact or None


# Servers


async def back(server: Server) -> None:
    """Runs it again; launched from here, since a child ends with the thread that made it."""
    server.launch()
    await asyncio.to_thread(server.wait)


async def test_when_postgres_is_killed_photos_wait_and_read_models_catch_up(
    stack: Stack, postgres_server: PostgresServer
) -> None:
    clinician = await stack.clinician()
    postgres_server.kill()

    await clinician.photo(image(320))
    await clinician.album(images(321, 2))
    album, _ = await clinician.answer()
    assert await stack.cases_of(clinician) == [album]
    await back(postgres_server)
    await stack.answered(album, 3)
    await clinician.user.send_text("/cases")
    listed = await clinician.until(lambda m: action(m, taps.OpenCase), "my cases")

    assert action(listed, taps.OpenCase, case=album)
    assert await stack.cases_of(clinician) == [album]
    assert len(clinician.answers(album)) == 1


async def test_when_nats_is_killed_in_an_album_it_is_still_one_case(
    stack: Stack, nats_server: NatsServer
) -> None:
    clinician = await stack.clinician()
    await clinician.album(images(330, 4))
    await clinician.until(code_of, "the placeholder")

    nats_server.kill()
    await back(nats_server)

    await clinician.answer()
    await came_through(stack, clinician, photos=4)


# Roles


class Stalling:
    """The ledger, except that its first append never returns: made, or not even begun."""

    def __init__(self, ledger: Ledger, *, made: bool) -> None:
        self._ledger, self._made = ledger, made
        self.reached = asyncio.Event()

    async def append(self, request: Request, commits: Sequence[Commit]) -> int:
        if self._made:
            await self._ledger.append(request, commits)
        self.reached.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async def load(self, aggregate: str, aggregate_id: UUID) -> list[Recorded]:
        return await self._ledger.load(aggregate, aggregate_id)

    def read(self, after: int = 0, aggregate: str | None = None) -> AsyncIterator[Recorded]:
        return self._ledger.read(after, aggregate)

    def follow(self, after: int = 0) -> AsyncIterator[Recorded]:
        return self._ledger.follow(after)

    async def head(self) -> Head:
        return await self._ledger.head()


async def test_roles_killed_around_their_append_lose_and_double_nothing(stack: Stack) -> None:
    crew = []
    roles = ("bot", "ingest", "inference", "answer", "outbox")
    for number, (made, role) in enumerate(product((False, True), roles)):
        clinician, ledger = await stack.clinician(), Stalling(stack.house.books.ledger, made=made)
        books = stack.house.books._replace(ledger=ledger)
        await stack.stop(role)
        await stack.start(role, house=stack.house._replace(books=books))
        await clinician.album(images(500 + 2 * number, PHOTOS))
        await asyncio.wait_for(ledger.reached.wait(), STEP_SECONDS_MAX)
        await stack.kill(role, "inbox", "projector")
        await stack.start(role, "inbox", "projector")
        crew.append(clinician)

    for clinician in crew:
        await clinician.answer()
        await came_through(stack, clinician)


async def test_an_outbox_killed_after_its_edit_answers_once(
    stack: Stack, faults: list[Fault]
) -> None:
    clinician = await stack.clinician()
    await clinician.photo(image(370))
    await _edited(stack, await clinician.until(code_of, "the placeholder"))
    lost = Fault("timeout_after", frozenset({"editMessageText"}), times=1, hold_seconds=30)
    faults.append(lost)

    case, card = await clinician.answer()
    await stack.kill("outbox")
    looks = len(card.versions)
    await stack.start("outbox")
    await came_through(stack, clinician, photos=1)

    assert lost.times == 0
    assert clinician.cards(case) == [card]
    assert len(card.versions) == looks


async def _edited(stack: Stack, card: Message) -> None:
    """Until the bot tried to edit this card, if only to what it was."""

    def happened() -> bool:
        edits = [call for call in stack.emulator.calls if call.method == "editMessageText"]
        return any(call.parameters["message_id"] == card.id for call in edits)

    await stack.emulator.until(happened, STEP_SECONDS_MAX)


async def test_an_update_handled_again_later_changes_nothing(stack: Stack) -> None:
    """The bot was killed after its command and before its acknowledgement."""
    clinician = await stack.clinician()
    await clinician.photo(image(380))
    first, card = await clinician.answer()
    await clinician.album(images(381, 2))
    second, _ = await clinician.answer(after=card.id)
    await stack.settled()
    before = await _stories(stack, first, second)

    await _handle_again(stack, clinician)
    await stack.settled()

    assert await _stories(stack, first, second) == before
    assert await stack.cases_of(clinician) == [first, second]


async def _stories(stack: Stack, *cases: UUID) -> list[list[UUID]]:
    return [[recorded.id for recorded in await stack.story(case)] for case in cases]


async def _handle_again(stack: Stack, someone: Someone) -> None:
    """Every photo of this person is delivered to the bot once more."""
    for update in stack.emulator.world.updates.confirmed:
        message = update.body.get("message", {})
        if message.get("chat") == someone.user.person.chat and "photo" in message:
            subject = f"{SUBJECT_ROOT}.{BOT_ID}.{someone.user.id}"
            data = msgspec.json.encode(update.body)
            await stack.house.queue.publish(subject, data, message_id=f"again:{update.id}")
