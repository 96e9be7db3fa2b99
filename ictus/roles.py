"""The roles: what runs where. One table; the supervisor, compose.yaml and the tests read it."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

from adapters.storage.streams import DATASETS, DEAD_LETTERS, INBOX, LEDGER, OUTBOX, SCHEDULE
from adapters.telegram.api import BotApi
from ictus.settings import BadSetting, Settings
from ictus.telemetry import health, log_json
from ictus.wiring import House, open_house, release
from workers.letters import Post
from workers.loop import run
from workers.reactor import Reaction, aggregate_key, on_event
from workers.retries import retries

Work = Coroutine[Any, Any, Any]


class Role(NamedTuple):
    """A process of its own. `start` opens what it needs on the stack and gives the loops to run.
    What is not `standing` runs where and while somebody wants it."""

    summary: str
    start: Callable[[House, AsyncExitStack], Awaitable[Sequence[Work]]]
    standing: bool = True


def work(house: House, reaction: Reaction) -> list[Work]:
    """The reaction, and the one that takes up again what it set aside."""
    post = Post(house.books, house.queue, house.board, LEDGER, DEAD_LETTERS, release())
    return [run(reaction, post), run(retries(reaction, post), post)]


async def inbox(house: House, stack: AsyncExitStack) -> Sequence[Work]:
    from adapters.telegram import inbox

    telegram = house.settings.telegram
    api = await stack.enter_async_context(bot_api(house.settings))
    if not telegram.webhook_url:
        return [inbox.poll(api, house.queue)]
    if not telegram.webhook_secret:
        raise BadSetting("ICTUS_TELEGRAM__WEBHOOK_SECRET must be set with a webhook URL")
    return [
        inbox.receive(
            api,
            house.queue,
            telegram.webhook_url,
            telegram.webhook_secret,
            telegram.webhook_host,
            telegram.webhook_port,
        )
    ]


async def bot(house: House, stack: AsyncExitStack) -> Sequence[Work]:
    from adapters.telegram import bot
    from adapters.telegram.desk import Desk

    settings = house.settings
    desk = Desk(
        books=house.books,
        queue=house.queue,
        database=house.database,
        models=house.models(),
        examinations=house.examinations(),
        bot_id=bot_api(settings).bot_id,
        origin="demo" if settings.origin == "demo" else "bot",
    )
    means = bot.BotReaction(desk, settings.telegram.token)
    return work(
        house, Reaction(bot.ROLE, INBOX, bot.SUBJECTS, means.react, bot.chat_key, means.give_up)
    )


async def ingest(house: House, stack: AsyncExitStack) -> Sequence[Work]:
    from adapters.telegram.photos import TelegramPhotos
    from workers import duplicates
    from workers.ingest import worker
    from workers.ingest.sandbox import Sandbox

    api = await stack.enter_async_context(bot_api(house.settings))
    sandbox = await stack.enter_async_context(Sandbox())
    means = worker.Ingest(house.books, house.blobs, TelegramPhotos(api), sandbox.process)
    known = duplicates.Duplicates(house.books)
    return [
        *work(
            house,
            Reaction(
                worker.ROLE,
                LEDGER,
                worker.SUBJECTS,
                on_event(means.react),
                aggregate_key,
                on_event(means.give_up),
            ),
        ),
        *work(
            house,
            Reaction(
                duplicates.ROLE,
                LEDGER,
                duplicates.SUBJECTS,
                on_event(known.react),
                aggregate_key,
            ),
        ),
    ]


async def inference(house: House, stack: AsyncExitStack) -> Sequence[Work]:
    from workers.inference import schedule, worker
    from workers.inference.images import Images
    from workers.inference.shelf import Shelf

    shelf = Shelf(house.blobs, house.settings.folder / "models")
    stack.callback(shelf.close)
    means = worker.Inference(house.books, shelf, Images(house.blobs, house.books.vault))
    when = schedule.Schedule(house.books.ledger, house.queue)
    return [
        *work(
            house,
            Reaction(
                schedule.ROLE,
                LEDGER,
                schedule.SUBJECTS,
                on_event(when.react),
                aggregate_key,
                ordered=True,
            ),
        ),
        *work(
            house,
            Reaction(
                worker.ROLE,
                SCHEDULE,
                worker.SUBJECTS,
                means.react,
                worker.case_key,
                means.give_up,
            ),
        ),
    ]


async def answer(house: House, stack: AsyncExitStack) -> Sequence[Work]:
    from workers import answer

    means = answer.Answer(
        house.books, house.queue, house.models(), house.examinations(), house.people()
    )
    return work(
        house,
        Reaction(
            answer.ROLE,
            LEDGER,
            answer.SUBJECTS,
            on_event(means.react),
            aggregate_key,
            ordered=True,
        ),
    )


async def outbox(house: House, stack: AsyncExitStack) -> Sequence[Work]:
    from adapters.telegram import outbox

    api = await stack.enter_async_context(bot_api(house.settings))
    means = outbox.Outbox(house.books, api, house.slots, outbox.Pace())
    return work(house, Reaction(outbox.ROLE, OUTBOX, outbox.SUBJECTS, means.react, outbox.chat_key))


async def projector(house: House, stack: AsyncExitStack) -> Sequence[Work]:
    from projections import PROJECTIONS, runner

    models = tuple(PROJECTIONS.values())
    return [runner.run_all(models, house.books.ledger, house.database, house.troubles)]


async def witness(house: House, stack: AsyncExitStack) -> Sequence[Work]:
    from ictus.witness import witness_means
    from workers.witness import worker

    return [worker.run(witness_means(house))]


async def dataset_worker(house: House, stack: AsyncExitStack) -> Sequence[Work]:
    from workers.dataset import worker
    from workers.dataset.items import Means

    return [worker.run(Means(house.books.ledger, house.blobs, house.queue), DATASETS)]


ROLES: dict[str, Role] = {
    "inbox": Role("keeps every Telegram update before Telegram hears it arrived", inbox),
    "bot": Role("makes commands of updates", bot),
    "ingest": Role("fetches, de-identifies and keeps images, and knows them again", ingest),
    "inference": Role("predicts when a case is due", inference),
    "answer": Role("makes messages of what happened", answer),
    "outbox": Role("says them in Telegram", outbox),
    "projector": Role("keeps the read models in Postgres", projector),
    "witness": Role("signs what the ledger holds and keeps a second copy", witness),
    "dataset-worker": Role("folds parts of datasets", dataset_worker, standing=False),
}
STANDING = tuple(name for name, role in ROLES.items() if role.standing)


async def run_roles(names: Sequence[str], settings: Settings) -> None:
    """Runs roles in this process until SIGTERM or SIGINT."""
    label = "+".join(names)
    log_json(label, settings.log_level)
    async with AsyncExitStack() as stack:
        houses = {
            name: await stack.enter_async_context(open_house(settings, name)) for name in names
        }
        loops = [
            work for name, house in houses.items() for work in await ROLES[name].start(house, stack)
        ]

        def troubles() -> list[str]:
            return [trouble for house in houses.values() for trouble in troubles_of(house)]

        await stack.enter_async_context(
            health(settings.health.host, settings.health.port, troubles)
        )
        await _until_stopped(loops)


def troubles_of(house: House) -> list[str]:
    """What keeps a role from doing all its work, as sentences."""
    away = [] if house.client.is_connected else ["NATS does not answer"]
    return [*away, *house.troubles.values()]


def bot_api(settings: Settings) -> BotApi:
    """Raises BadSetting without a token."""
    if not settings.telegram.token:
        raise BadSetting("ICTUS_TELEGRAM__TOKEN is not set: get one from @BotFather")
    return BotApi(settings.telegram.token, settings.telegram.api)


async def _until_stopped(loops: Sequence[Work]) -> None:
    """A loop that ends takes the process with it: the supervisor starts it afresh."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tasks = [asyncio.create_task(loop) for loop in loops]
    stopped = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done - {stopped}:
        task.result()
