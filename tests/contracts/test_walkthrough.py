"""What CONTRIBUTING.md says about adding a projection, done word for word on the real parts."""

import sys
from collections.abc import AsyncIterator, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from nats.aio.client import Client

import projections
from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.postgres import PostgresDatabase
from projections import runner
from projections.projection import Projection
from tests.contracts.walkthrough import blocks, must_please_ruff
from tests.givens import Given
from tests.projections.following import all_caught_up, following

BLOCKS = blocks("Add a projection")
LINES_MAX = 39


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file, under the name that its first line says."""
    first, rest = BLOCKS[0].split("\n", 1)
    path = tmp_path / first.removeprefix("# ")
    path.parent.mkdir(parents=True)
    path.write_text(rest)
    return path


@pytest.fixture
def module(path: Path) -> Iterator[ModuleType]:
    """The file as a module of the package, where it would lie."""
    name = f"projections.{path.stem}"
    spec = spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[name]


@pytest.fixture
async def database(fresh_database: str) -> AsyncIterator[PostgresDatabase]:
    async with PostgresDatabase(fresh_database) as database:
        yield database


def registered(module: ModuleType) -> Projection:
    """What the row makes, with the names that `projections/__init__.py` has."""
    name = module.__name__.rpartition(".")[2]
    made = eval(BLOCKS[1], {**vars(projections), name: module})
    assert isinstance(made, Projection)
    return made


def test_a_projection_takes_less_than_40_lines() -> None:
    assert sum(len(block.splitlines()) for block in BLOCKS) <= LINES_MAX


def test_the_walkthrough_is_written_as_the_checks_want(path: Path) -> None:
    must_please_ruff(path)


async def test_the_walkthroughs_projection_runs_and_rebuilds(
    module: ModuleType, nats_client: Client, database: PostgresDatabase
) -> None:
    ledger, projection = JetStreamLedger(nats_client), registered(module)
    given = Given(ledger)
    case = await given.case(await given.person())
    await given.rejected(case, "too-blurred")
    async with following(ledger, database, projection):
        for refused in (given.quarantined(case), given.rejected(case, "too-blurred")):
            await given.image(case)
            await refused
        await all_caught_up(ledger, database, projection)
    async with database.acquire() as db:
        assert await module.by_reason(db) == {"no-head": 1, "too-blurred": 2}
    rebuilt = await runner.rebuild(projection, ledger, database, lambda done, of: None)
    assert rebuilt.identical
    async with database.acquire() as db:
        assert await module.by_reason(db) == {"no-head": 1, "too-blurred": 2}
