"""The whole way of a photo in one process: real servers, real roles as tasks, emulated Telegram."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from secrets import token_urlsafe
from typing import NamedTuple, TypeVar
from uuid import UUID, uuid4

import asyncpg
import nats

from adapters.storage.queue import JetStreamQueue
from adapters.storage.streams import DEAD_LETTERS, INBOX, LEDGER, OUTBOX, SCHEDULE
from adapters.telegram.emulator import Emulator
from commands import models, people
from domain.case import Case
from domain.events import CASE, Event, Recorded, fold
from domain.identity import Instant
from domain.person import Role
from ictus.models import register_bundle
from ictus.roles import ROLES
from ictus.settings import NatsSettings, PostgresSettings, Settings, TelegramSettings
from ictus.wiring import House, furnish, open_house
from tests.bundle1 import BUNDLE_1
from tests.servers import NatsServer, PostgresServer
from tests.system.people import STEP_SECONDS_MAX, Someone
from training import synth

BOT_ID = 7_000_000_042
TOKEN = f"{BOT_ID}:system-tests"
SITE = "demo"
ACK_WAIT_SECONDS = 6.0
QUEUES = (INBOX, OUTBOX, SCHEDULE)

E = TypeVar("E", bound=Event)
T = TypeVar("T")


class MovingClock:
    """The house's and Telegram's time: it stands still until a test moves it on."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> Instant:
        return self._now

    def now(self) -> Instant:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


class Running(NamedTuple):
    """One role's loops and what they hold open."""

    opened: AsyncExitStack
    loops: list[asyncio.Task[object]]

    async def ended(self) -> None:
        ends = await asyncio.gather(*self.loops, return_exceptions=True)
        await self.opened.aclose()
        for end in ends:
            if not isinstance(end, asyncio.CancelledError):
                raise AssertionError("a role ended by itself") from end  # type: ignore[misc]


class Stack:
    """An open house, an emulated Telegram, and the roles that run at the moment."""

    def __init__(self, house: House, emulator: Emulator, clock: MovingClock) -> None:
        self.house, self.emulator, self.clock = house, emulator, clock
        self._running: dict[str, Running] = {}
        self._user_ids = count(5_000_000_001)

    # Roles

    async def start(self, *names: str, house: House | None = None) -> None:
        """Starts those that do not run yet, in another house if given."""
        for name in names:
            if name in self._running:
                continue
            opened = AsyncExitStack()
            loops = await ROLES[name].start(house or self.house, opened)
            self._running[name] = Running(opened, [asyncio.create_task(loop) for loop in loops])

    async def stop(self, *names: str) -> None:
        """Ends those that run, politely: they finish what they have in hand. Raises what they died of."""
        for name in [each for each in names if each in self._running]:
            running = self._running.pop(name)
            for loop in running.loops:
                loop.cancel()
            await running.ended()

    async def kill(self, *names: str) -> None:
        """Ends roles wherever they are: what they had in hand is delivered again, later."""
        for name in names:
            running = self._running.pop(name)
            while any(not loop.done() for loop in running.loops):
                for loop in running.loops:
                    loop.cancel()
                await asyncio.sleep(0.001)
            await running.ended()

    async def stop_all(self) -> None:
        await self.stop(*self._running)

    # The model

    async def serve(self) -> UUID:
        """From now on the shipped synthetic model answers."""
        model, _ = await register_bundle(self.house, BUNDLE_1)
        await models.promote(self.house.books, self.house.operator(), model, "demo")
        return model

    async def collect_only(self) -> None:
        """From now on no model answers."""
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

    def newcomer(self, language: str = "en") -> Someone:
        id_ = next(self._user_ids)
        name = f"Demo Clinician {id_ % 1000}"
        return Someone(self.emulator, self.emulator.user(id_, name, language))

    async def clinician(self, language: str = "en", role: Role = "clinician") -> Someone:
        """Somebody who joined by an invitation and agreed to the notice."""
        someone = self.newcomer(language)
        await someone.join(await self.invitation(role))
        return someone

    async def id_of(self, someone: Someone) -> UUID:
        return await self.house.books.vault.derive("person", "telegram", str(someone.user.id))

    # What the ledger says

    async def story(self, case: UUID) -> list[Recorded]:
        return await self.house.books.ledger.load(CASE.name, case)

    async def case(self, case: UUID) -> Case:
        state: Case = fold(CASE, await self.story(case))
        return state

    async def told(self, case: UUID, kind: type[E]) -> list[E]:
        """The case's events of one kind, oldest first."""
        return [r.event for r in await self.story(case) if isinstance(r.event, kind)]

    async def until(self, case: UUID, reached: Callable[[Case], object], what: str) -> Case:
        """The case once it is as wanted."""

        async def found() -> Case | None:
            state = await self.case(case)
            return state if reached(state) else None

        return await eventually(found, what)

    async def answered(self, case: UUID, inputs: int) -> Case:
        """The case once the answer for so many images was delivered."""
        return await self.until(
            case,
            lambda c: (
                c.prediction and c.seen == c.prediction_id and len(c.prediction.inputs) == inputs
            ),
            f"the answer for {inputs} images",
        )

    async def cases_of(self, someone: Someone) -> list[UUID]:
        """In the order they were opened."""
        person = await self.id_of(someone)
        opened: dict[UUID, None] = {}
        async for recorded in self.house.books.ledger.read(0, CASE.name):
            if getattr(recorded.event, "by", None) == person:
                opened[recorded.aggregate_id] = None
        return list(opened)

    # What is left to do

    async def settled(self) -> None:
        """Nothing: every queue is empty, every reaction has seen the last event, nothing came meanwhile."""

        async def idle() -> bool | None:
            before = await self._last_written()
            if not await self._is_idle():
                return None
            return await self._last_written() == before or None

        await eventually(idle, "the roles to finish")

    async def _last_written(self) -> list[int]:
        """How far the ledger and every queue have come."""
        stream = self.house.client.jetstream()
        return [(await stream.stream_info(name)).state.last_seq for name in (LEDGER, *QUEUES)]

    async def _is_idle(self) -> bool:
        if any(update.id > self._last_kept() for update in self.emulator.world.updates.waiting()):
            return False
        stream = self.house.client.jetstream()
        if any([(await stream.stream_info(queue)).state.messages for queue in QUEUES]):
            return False
        reactions = await stream.consumers_info(LEDGER)
        durable = [info for info in reactions if info.config.durable_name]
        return not any(info.num_pending or info.num_ack_pending for info in durable)

    def _last_kept(self) -> int:
        """The last update that is in the stream for certain: the next poll asked for later ones."""
        polls = [call for call in self.emulator.calls if call.method == "getUpdates"]
        return int(polls[-1].parameters.get("offset", 0)) - 1 if polls else 0

    async def dead_letters(self) -> list[bytes]:
        stream = self.house.client.jetstream()
        state = (await stream.stream_info(DEAD_LETTERS)).state
        if not state.messages:
            return []
        numbers = range(state.first_seq, state.last_seq + 1)
        return [(await stream.get_msg(DEAD_LETTERS, number)).data or b"" for number in numbers]


async def eventually(found: Callable[[], Awaitable[T | None]], what: str) -> T:
    """What `found` gives once it is not None."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + STEP_SECONDS_MAX
    while (result := await found()) is None:
        assert loop.time() < give_up, f"waited in vain for {what}"
        await asyncio.sleep(0.05)
    return result


def image(seed: int) -> bytes:
    """The first photo of a synthetic case."""
    return images(seed, 1)[0]


def images(seed: int, number: int) -> list[bytes]:
    """Photos of synthetic cases, from case `seed` on, all different."""
    found: list[bytes] = []
    while len(found) < number:
        found += [image.data for image in synth.case(seed).images]
        seed += 1
    return found[:number]


# Making it


@asynccontextmanager
async def standing(
    nats_server: NatsServer, postgres: PostgresServer, folder: Path
) -> AsyncIterator[Stack]:
    """A furnished house on empty streams and an empty database; no role runs yet."""
    await _without_streams(nats_server)
    clock = MovingClock()
    async with _database(postgres) as dsn, Emulator(TOKEN, seed=1, clock=clock) as emulator:
        settings = Settings(
            data=str(folder),
            origin="demo",
            nats=NatsSettings(url=nats_server.url, monitor_url=nats_server.monitor_url),
            postgres=PostgresSettings(dsn=dsn),
            telegram=TelegramSettings(token=TOKEN, api=emulator.base_url),
        )
        async with open_house(settings, "system-tests") as house:
            await furnish(house)
            stack = Stack(_timed(house, clock), emulator, clock)
            try:
                yield stack
            finally:
                await stack.stop_all()


def _timed(house: House, clock: MovingClock) -> House:
    """With our clock, and with queues that soon give work back when a role is gone."""
    books = house.books._replace(clock=clock)
    return house._replace(books=books, queue=JetStreamQueue(house.client, ACK_WAIT_SECONDS))


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
