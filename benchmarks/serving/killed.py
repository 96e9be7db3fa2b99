"""What is lost, and what is said twice, when workers of the role `inference` are killed at work.

The whole house of that role: cases with images in a real ledger, two processes of `ictus run inference`
on one durable consumer, SIGKILL for one and then the other while they predict.
"""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

from msgspec.structs import replace

from adapters.storage.users import ADMIN
from commands import cases, models
from domain.case import ImageSubmitted, PredictionProduced
from domain.events import CASE
from ictus.embedded import nats_child, prepare_nats
from ictus.models import DEMO_BUNDLE, register_bundle
from ictus.settings import NatsSettings, PostgresSettings, Settings
from ictus.stack import role_child
from ictus.supervisor import Supervisor
from ictus.wiring import House, furnish, open_house
from training.synthetic.facts import Plan
from training.synthetic.truth import parcel
from workers.ingest.keeping import Keeping
from workers.ingest.pipeline import PROFILE, process

WORKERS = ("inference-1", "inference-2")
FIRST_SEED = 3_000_000
KILLS = 4
KILL_EVERY_SECONDS = 1.5
LOOK_SECONDS = 0.1
PATIENCE_SECONDS = 120.0
SITE = "bench"
NO_POSTGRES = "postgresql://nobody@127.0.0.1:1/none"
"""The role does not ask it for anything."""


async def killed(number: int) -> dict[str, int]:
    """`kill_cases` were due; `kill_lost` of them were never predicted, `kill_doubled` twice."""
    with TemporaryDirectory(prefix="ictus-bench-") as folder:
        settings = Settings(data=folder, origin="demo")
        async with AsyncExitStack() as stack:
            supervisor = await stack.enter_async_context(Supervisor(Path(folder) / "run"))
            nats = prepare_nats(Path(folder))
            await supervisor.start(nats_child(nats))
            servers = NatsSettings(url=nats.address, monitor_url=nats.monitor_url)
            settings = replace(settings, nats=servers)
            house = await stack.enter_async_context(open_house(settings, ADMIN))
            await furnish(house)
            model, _ = await register_bundle(house, DEMO_BUNDLE)
            await models.promote(house.books, house.operator(), model, "demo")
            due = await _due(house, number)
            roles = replace(settings, postgres=PostgresSettings(NO_POSTGRES))
            for name in WORKERS:
                await supervisor.start(replace(role_child("inference", roles), name=name))
            counted = await _counted(supervisor, house, due)
    return counted


async def _due(house: House, number: int) -> set[UUID]:
    """Cases of one image each, ingested; nobody has predicted yet."""
    plan = Plan(seed=FIRST_SEED)
    made = [data for number in range(3) for data, _ in parcel(plan, number).pictures]
    outcomes = await asyncio.to_thread(lambda: [process(data) for data in made])
    keeping = Keeping(house.books.vault, house.blobs, PROFILE)
    found = set()
    for at in range(number):
        case, item, by = uuid4(), uuid4(), uuid4()
        await cases.submit_image(
            house.books,
            house.operator(),
            case,
            item=item,
            by=by,
            site=SITE,
            origin="demo",
            channel="photo",
            joined="first",
            sent=house.books.clock.now(),
            address="kept:bench",
        )
        image = (await cases.load(house.books, case)).images[item].submitted
        assert isinstance(image, ImageSubmitted)
        said = await keeping.of(case, image, made[at % len(made)], outcomes[at % len(made)])
        await cases.record_ingestion(house.books, house.operator(), case, said)
        found.add(case)
    return found


async def _counted(supervisor: Supervisor, house: House, due: set[UUID]) -> dict[str, int]:
    clock = asyncio.get_running_loop().time
    give_up, kills, killed_at = clock() + PATIENCE_SECONDS, 0, 0.0
    while due - (said := await _predicted(house)).keys() and clock() < give_up:
        if said and kills < KILLS and clock() - killed_at > KILL_EVERY_SECONDS:
            supervisor.kill(WORKERS[kills % len(WORKERS)])
            kills, killed_at = kills + 1, clock()
        await asyncio.sleep(LOOK_SECONDS)
    said = await _predicted(house)
    return {
        "kill_cases": len(due),
        "kills": kills,
        "kill_lost": len(due - said.keys()),
        "kill_doubled": sum(times > 1 for times in said.values()),
    }


async def _predicted(house: House) -> Counter[UUID]:
    """How often each case was told what the model says of it."""
    said: Counter[UUID] = Counter()
    async for recorded in house.books.ledger.read(aggregate=CASE.name):
        said[recorded.aggregate_id] += isinstance(recorded.event, PredictionProduced)
    return +said
