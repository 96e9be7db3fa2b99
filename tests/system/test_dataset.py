"""`ictus dataset …` on real servers, beside a real witness process."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from uuid import UUID

import pytest
from msgspec.structs import replace

from adapters.datasets.verifying import verify
from commands import objects
from ictus.settings import NatsSettings, PostgresSettings, Settings
from ictus.wiring import House, furnish, open_house
from tests.adapters.datasets.conftest import contents
from tests.givens import Given
from tests.servers import NatsServer
from tests.system.test_audit import ictus, offline, witness_process, witnessed
from tests.workers.witnessing import flipped

Folders = tuple[Path, Path]


@pytest.fixture
def settings(fresh_nats: NatsServer, fresh_database: str, tmp_path: Path) -> Settings:
    return Settings(
        data=str(tmp_path / "data"),
        origin="demo",
        nats=NatsSettings(fresh_nats.url, fresh_nats.monitor_url),
        postgres=PostgresSettings(fresh_database),
    )


@pytest.fixture
async def house(settings: Settings) -> AsyncIterator[House]:
    async with open_house(settings, "dataset-tests") as house:
        await furnish(house)
        yield house


@pytest.fixture
async def cases(house: House) -> list[UUID]:
    """Six cases whose derivatives lie, encrypted, in the object store."""
    given = Given(house.books.ledger)
    cases = await given.ward()
    for (case, _), data in given.objects.items():
        await objects.store(house.blobs, house.books.vault, UUID(case), data)
    return cases


@pytest.fixture
async def folder(settings: Settings, house: House, cases: list[UUID], tmp_path: Path) -> Path:
    with witness_process(settings):
        await witnessed(house)
        done = ictus(settings, "dataset", "build", "--out", str(tmp_path / "set"))
        assert done.returncode == 0, done.stderr
        await witnessed(house)
    return tmp_path / "set"


async def test_a_dataset_is_built_verified_proved_and_damage_is_named(
    settings: Settings, folder: Path, tmp_path: Path
) -> None:
    told = json.loads(ictus(settings, "dataset", "verify", str(folder), "--json").stdout)
    assert (told["whole"], told["rows"], told["erased"], told["unwitnessed"]) == (True, 6, 0, 0)
    assert told["live"].startswith("ledger ")
    assert told["key"] != told["witness"] != ""

    shown = ictus(settings, "dataset", "verify", str(folder), "--offline")
    assert shown.returncode == 0
    assert "erased: 0" in shown.stderr
    assert "against no ledger" in shown.stderr
    assert "TAKEN FROM THE FOLDER" not in shown.stderr
    elsewhere = replace(settings, data=str(tmp_path / "elsewhere"))
    assert "TAKEN FROM THE FOLDER" in ictus(elsewhere, "dataset", "verify", str(folder)).stderr

    proof = tmp_path / "proof.json"
    done = ictus(settings, "dataset", "proof", str(folder), "2", "-o", str(proof), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["events"] > 0
    checked = offline(proof, told["key"])
    assert checked.returncode == 0, checked.stdout
    assert ictus(settings, "dataset", "proof", str(folder), "7", "-o", str(proof)).returncode == 3

    chance, proving = Random(7), ("proof", str(folder), "1", "-o", str(tmp_path / "no.json"))
    for name, data in chance.sample(sorted(contents(folder).items()), 3):
        (folder / name).write_bytes(flipped(data, chance.randrange(len(data))))
        for words in (("verify", str(folder), "--offline"), proving):
            damaged = ictus(settings, "dataset", *words)
            assert damaged.returncode == 4
            assert name in damaged.stderr
        (folder / name).write_bytes(data)
    assert not (tmp_path / "no.json").exists()


async def test_what_was_built_from_another_history_is_found_by_the_ledger(
    settings: Settings, house: House, folder: Path, cases: list[UUID], tmp_path: Path
) -> None:
    """An erasure is no other history: it is told, and the root still holds."""
    await Given(house.books.ledger, seed="later").erased(cases[0])
    told = json.loads(ictus(settings, "dataset", "verify", str(folder), "--json").stdout)
    assert (told["whole"], told["erased_since"]) == (True, 1)

    again = tmp_path / "again"
    as_of = json.loads((folder / "manifest.json").read_bytes())["as_of"]
    with witness_process(settings):
        built = ictus(settings, "dataset", "build", "--out", str(again), "--as-of", str(as_of))
    assert built.returncode == 0, built.stderr
    report = verify(again)
    assert (report.root, report.erased, report.rows) == (told["root"], 1, 5)
    assert ictus(settings, "dataset", "build", "--out", str(again)).returncode == 5


async def test_without_a_witness_it_is_said_that_nothing_was_witnessed(
    settings: Settings, cases: list[UUID], tmp_path: Path
) -> None:
    words = ["--images", "reference", "--webdataset"]
    built = ictus(settings, "dataset", "build", "--out", str(tmp_path / "set"), *words)
    assert built.returncode == 0, built.stderr
    done = ictus(settings, "dataset", "verify", str(tmp_path / "set"))
    assert done.returncode == 0, done.stderr
    assert "NOT WITNESSED" in done.stderr
    assert ictus(settings, "dataset", "verify", str(tmp_path / "nowhere")).returncode == 3
    assert ictus(settings, "dataset", "verify", str(tmp_path), "--key", "no").returncode == 2
