"""The whole way of a photo in one process: real servers, real roles as tasks, emulated Telegram."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from secrets import token_urlsafe
from typing import TypeVar
from uuid import UUID, uuid4

import asyncpg
import nats
from msgspec.structs import replace

from adapters.storage.queue import JetStreamQueue
from adapters.storage.streams import DEAD_LETTERS, INBOX, LEDGER, OUTBOX, SCHEDULE
from adapters.telegram.emulator import Attachment, Emulator, User
from adapters.telegram.emulator.world import Message
from commands import models, people
from commands.transact import Books
from domain.case import Case
from domain.events import CASE, Event, Recorded, fold
from domain.identity import Instant, case_code
from domain.person import Role
from ictus.demo.telegram import CODE
from ictus.kept import free_port
from ictus.models import DEMO_BUNDLE, register_bundle
from ictus.roles import ROLES
from ictus.settings import NatsSettings, PostgresSettings, Settings, TelegramSettings
from ictus.wiring import House, furnish, open_house
from tests.servers import NatsServer, PostgresServer
from training import synth
from workers import taps

TOKEN = "7000000042:system-tests"
SITE = "demo"
STEP_SECONDS_MAX = 40.0
ACK_WAIT_SECONDS = 6.0
QUEUES = (INBOX, OUTBOX, SCHEDULE)

E = TypeVar("E", bound=Event)
T = TypeVar("T")


class MovingClock:
    """The time of day, moved forward by whoever has no patience; the emulator's and the house's."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> Instant:
        return datetime.now(UTC) + self._ahead

    def now(self) -> Instant:
        return self()

    def advance(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)


class Stack:
    """An open house, an emulated Telegram, and the roles that run at the moment."""

    def __init__(self, house: House, emulator: Emulator, clock: MovingClock) -> None:
        self.house, self.emulator, self.clock = house, emulator, clock
        self._running: dict[str, asyncio.Task[None]] = {}
        self._user_ids = count(5_000_000_001)

    # Roles

    async def start(self, *names: str) -> None:
        """Starts roles; each is at work when this returns."""
        for name in names:
            started = asyncio.Event()
            self._running[name] = asyncio.create_task(self._run(name, started))
            await _first(started.wait(), self._running[name])

    async def stop(self, *names: str) -> None:
        """Cancels roles wherever they are: what they had in hand comes back later."""
        for name in names:
            task = self._running.pop(name)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def stop_all(self) -> None:
        await self.stop(*self._running)

    def is_running(self, name: str) -> bool:
        return name in self._running and not self._running[name].done()

    async def _run(self, name: str, started: asyncio.Event) -> None:
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
            for work in await ROLES[name].start(self.house, stack):
                group.create_task(work)
            started.set()

    # The model

    async def serve(self) -> UUID:
        """From now on the shipped synthetic model answers."""
        model, _ = await register_bundle(self.house, DEMO_BUNDLE)
        await models.promote(self.house.books, self.house.operator(), model, "demo")
        return model

    async def collect_only(self) -> None:
        serving = await models.serving(self.house.models())
        if serving:
            await models.retire(self.house.books, self.house.operator(), serving[0], "test")

    # People

    async def invitation(self, role: Role = "clinician", uses_max: int = 1) -> str:
        token = token_urlsafe(24)
        await people.issue_invitation(
            self.house.books,
            self.house.operator(),
            token,
            role=role,
            site=SITE,
            uses_max=uses_max,
            valid=timedelta(days=1),
        )
        return token

    def newcomer(self, language: str = "en", name: str = "Demo Clinician") -> "Someone":
        id_ = next(self._user_ids)
        return Someone(self, self.emulator.user(id_, f"{name} {id_ % 1000}", language))

    async def clinician(self, language: str = "en", role: Role = "clinician") -> "Someone":
        """Somebody who joined by an invitation and agreed to the notice."""
        someone = self.newcomer(language)
        await someone.join(await self.invitation(role))
        return someone

    # What the ledger and the queues say

    async def story(self, case: UUID) -> list[Recorded]:
        return await self.house.books.ledger.load(CASE.name, case)

    async def case(self, case: UUID) -> Case:
        state: Case = fold(CASE, await self.story(case))
        return state

    async def told(self, case: UUID, kind: type[E]) -> list[E]:
        """The case's events of one kind, oldest first."""
        return [r.event for r in await self.story(case) if isinstance(r.event, kind)]

    async def until_case(self, case: UUID, reached: Callable[[Case], bool], what: str) -> Case:
        async def found() -> Case | None:
            state = await self.case(case)
            return state if reached(state) else None

        return await eventually(found, what)

    async def cases_of(self, someone: "Someone") -> list[UUID]:
        """In the order they were opened."""
        person = await self.house.books.vault.derive("person", "telegram", str(someone.user.id))
        found: dict[UUID, None] = {}
        async for recorded in self.house.books.ledger.read(0, CASE.name):
            if getattr(recorded.event, "by", None) == person:
                found[recorded.aggregate_id] = None
        return list(found)

    async def settled(self) -> None:
        """Nothing is left to do: every queue is empty, every reaction has seen the last event."""

        async def idle() -> bool | None:
            before = (await self.house.books.ledger.head()).sequence
            if not await self._is_idle():
                return None
            return (await self.house.books.ledger.head()).sequence == before or None

        await eventually(idle, "the roles to finish")

    async def _is_idle(self) -> bool:
        updates = self.emulator.world.updates
        if updates.repeated or any(u.id > self._last_kept for u in updates.pending):
            return False
        stream = self.house.client.jetstream()
        for queue in QUEUES:
            if (await stream.stream_info(queue)).state.messages:
                return False
        reactions = await stream.consumers_info(LEDGER)
        return not any(
            info.num_pending or info.num_ack_pending for info in reactions if info.config.durable_name
        )

    @property
    def _last_kept(self) -> int:
        """The last update that getUpdates has handed out."""
        polls = [call for call in self.emulator.calls if call.method == "getUpdates"]
        return int(polls[-1].parameters.get("offset", 0)) - 1 if polls else 0

    async def dead_letters(self) -> list[bytes]:
        stream = self.house.client.jetstream()
        state = (await stream.stream_info(DEAD_LETTERS)).state
        letters = range(state.first_seq, state.last_seq + 1) if state.messages else range(0)
        found = [await stream.get_msg(DEAD_LETTERS, number) for number in letters]
        return [message.data or b"" for message in found]


class Someone:
    """A person with a Telegram app."""

    def __init__(self, stack: Stack, user: User) -> None:
        self.stack, self.user = stack, user

    # Coming in

    async def join(self, token: str) -> None:
        await self.user.send_text(f"/start {token}")
        await self.consent()

    async def consent(self) -> None:
        notice = await self.until(lambda m: action(m, taps.Consent), "the research notice")
        await self.tap(notice, taps.Consent)
        await self.until(lambda m: m.by_bot and m.id > notice.id, "the welcome")

    # Sending

    async def photo(self, image: bytes, caption: str = "", reply_to: int | None = None) -> Message:
        return await self.user.send_photo(image, caption, reply_to)

    async def album(self, images: Iterable[bytes]) -> list[Message]:
        return await self.user.send_album([Attachment(image) for image in images])

    async def tap(self, message: Message, kind: type, **words: object) -> None:
        """Presses the button that asks for a tap of this kind, with these values."""
        data = action(message, kind, **words)
        assert data, f"no button {kind.__name__} under {text_of(message)!r}"
        await self.user.press(message.id, data)

    # Reading

    @property
    def said(self) -> list[Message]:
        """What the bot said here, oldest first."""
        return [message for message in self.user.messages if message.by_bot]

    def cards(self, case: UUID) -> list[Message]:
        """The messages that are, or were, this case's card."""
        return [message for message in self.said if code_of(message) == case_code(case)]

    def answers(self, case: UUID) -> list[Message]:
        """The messages of which any version shows this case's prediction."""
        return [message for message in self.cards(case) if any(map(_shows_answer, _looks(message)))]

    async def until(self, found: Callable[[Message], object], what: str) -> Message:
        """The first of the bot's messages that `found` accepts."""
        with suppress(TimeoutError):
            await self.stack.emulator.until(lambda: any(map(found, self.said)), STEP_SECONDS_MAX)
        for message in self.said:
            if found(message):
                return message
        read = [text_of(message) for message in self.said]
        raise AssertionError(f"{what} did not come, but {read}")

    async def card(self, showing: Callable[[Message], object], what: str, after: int = 0) -> Message:
        """The first card later than message `after` that looks as wanted."""
        return await self.until(
            lambda m: m.id > after and code_of(m) and showing(m), what
        )

    async def answer(self, after: int = 0) -> tuple[UUID, Message]:
        """The case and the card of the first answer later than message `after`."""
        card = await self.card(is_answer, "the answer", after)
        return case_of(card), card

    async def toast(self, at: int = -1) -> str:
        """What the bot noted on the button pressed last."""
        pressed = self.user.callbacks[at]
        await self.stack.emulator.until(
            lambda: pressed.answered_at is not None, STEP_SECONDS_MAX
        )
        return str(pressed.answer["text"])


# Reading messages


def text_of(message: Message) -> str:
    return str(message.now.body.get("text", ""))


def actions(message: Message) -> Iterator[str]:
    return _actions(message.now.keyboard)


def action(message: Message, kind: type, **words: object) -> str | None:
    """The action of the button that asks for this, if there is one."""
    for data in actions(message):
        tap = taps.parse(data)
        if isinstance(tap, kind) and all(getattr(tap, k) == v for k, v in words.items()):
            return data
    return None


def code_of(message: Message) -> str | None:
    """The code of the case whose card this is."""
    found = CODE.search(text_of(message).split("\n", 1)[0]) if message.by_bot else None
    return found.group() if found else None


def case_of(card: Message) -> UUID:
    parsed = (taps.parse(data) for data in actions(card))
    return next(tap.case for tap in parsed if hasattr(tap, "case"))


def is_answer(message: Message) -> bool:
    return _shows_answer(list(actions(message)))


def _looks(message: Message) -> Iterator[list[str]]:
    return (list(_actions(version.keyboard)) for version in message.versions)


def _shows_answer(shown: Iterable[str]) -> bool:
    return any(data.startswith(("ag:", "un:")) for data in shown)


def _actions(keyboard: dict[str, list[list[dict[str, str]]]] | None) -> Iterator[str]:
    for row in (keyboard or {}).get("inline_keyboard", []):
        yield from (button["callback_data"] for button in row)


# Making the stack


@asynccontextmanager
async def standing(
    nats_server: NatsServer, postgres: PostgresServer, folder: Path, *, roles: Iterable[str] = ROLES
) -> AsyncIterator[Stack]:
    """A furnished stack on empty streams and an empty database, with these roles running."""
    await _without_streams(nats_server)
    clock = MovingClock()
    async with _database(postgres) as dsn, Emulator(TOKEN, seed=1, clock=clock) as emulator:
        settings = Settings(
            data=str(folder),
            origin="demo",
            nats=NatsSettings(url=nats_server.url, monitor_url=nats_server.monitor_url),
            postgres=PostgresSettings(dsn=dsn),
            telegram=TelegramSettings(
                token=TOKEN, api=emulator.base_url, webhook_host="127.0.0.1", webhook_port=free_port()
            ),
        )
        async with open_house(settings, "system-tests") as house:
            await furnish(house)
            stack = Stack(_timed(house, clock), emulator, clock)
            try:
                await stack.start(*roles)
                yield stack
            finally:
                await stack.stop_all()


def _timed(house: House, clock: MovingClock) -> House:
    """The house with our clock, and with queues that give work back soon after a role is gone."""
    books = Books(house.books.ledger, house.books.vault, clock)
    return house._replace(books=books, queue=JetStreamQueue(house.client, ACK_WAIT_SECONDS))


def with_webhook(house: House, secret: str) -> House:
    """The house of an inbox that is called by Telegram."""
    telegram = house.settings.telegram
    url = f"http://{telegram.webhook_host}:{telegram.webhook_port}/updates"
    telegram = replace(telegram, webhook_url=url, webhook_secret=secret)
    return house._replace(settings=replace(house.settings, telegram=telegram))


async def _without_streams(server: NatsServer) -> None:
    client = await nats.connect(server.url)
    for stream in await client.jetstream().streams_info():
        await client.jetstream().delete_stream(stream.config.name or "")
    await client.close()


@asynccontextmanager
async def _database(server: PostgresServer) -> AsyncIterator[str]:
    name = f"test_{uuid4().hex}"
    await _execute(server.dsn, f"CREATE DATABASE {name}")
    yield server.dsn_of(name)
    await _execute(server.dsn, f"DROP DATABASE {name} WITH (FORCE)")


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


# Waiting


async def eventually(found: Callable[[], Awaitable[T | None]], what: str) -> T:
    """What `found` gives once it is not None."""
    with suppress(TimeoutError):
        async with asyncio.timeout(STEP_SECONDS_MAX):
            while (result := await found()) is None:
                await asyncio.sleep(0.05)
            return result
    raise AssertionError(f"waited in vain for {what}")


async def _first(wanted: Awaitable[object], task: asyncio.Task[None]) -> None:
    """Waits for `wanted`, unless the task ends before; then raises its error."""
    waiting = asyncio.ensure_future(wanted)
    await asyncio.wait([waiting, task], return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        task.result()


def images(seed: int, number: int) -> list[bytes]:
    """`number` photos of one synthetic case each, all different."""
    found: list[bytes] = []
    for case_seed in count(seed):
        found += [image.data for image in synth.case(case_seed).images]
        if len(found) >= number:
            return found[:number]
    raise AssertionError("count ends never")
