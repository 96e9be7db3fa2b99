"""Boot: what must stand stands, and a ledger never silently gets new keys."""

from contextlib import nullcontext
from pathlib import Path

import pytest
from msgspec.structs import replace

from adapters.storage import streams
from adapters.storage.streams import KEYS_BUCKET, LEDGER, Unfit
from commands.ports import Damaged, Unavailable
from ictus.kept import free_port
from ictus.settings import NatsSettings, PostgresSettings, Settings
from ictus.wiring import furnish, open_house
from projections import PROJECTIONS
from tests.projections.following import project
from tests.servers import NatsServer


@pytest.fixture
def settings(fresh_nats: NatsServer, tmp_path: Path) -> Settings:
    return Settings(
        data=str(tmp_path),
        nats=NatsSettings(url=fresh_nats.url, monitor_url=fresh_nats.monitor_url),
    )


async def furnished(settings: Settings) -> int:
    async with open_house(settings, "admin") as house:
        await furnish(house)
        return (await house.books.ledger.head()).sequence


async def test_furnishing_twice_is_furnishing_once(settings: Settings) -> None:
    assert await furnished(settings) == await furnished(settings) > 0


async def test_a_ledger_whose_keys_are_gone_is_refused(settings: Settings) -> None:
    await furnished(settings)
    async with open_house(settings, "admin") as house:
        await house.client.jetstream().delete_stream(f"KV_{KEYS_BUCKET}")
    with pytest.raises(Unfit, match="restore the bucket ICTUS_KEYS"):
        await furnished(settings)


async def test_no_ledger_is_begun_where_postgres_remembers_another(
    settings: Settings, fresh_database: str
) -> None:
    settings = replace(settings, postgres=PostgresSettings(fresh_database))
    await furnished(settings)
    async with open_house(settings, "admin") as house:
        known = (await house.books.ledger.head()).ledger
        await project(house.books.ledger, house.database, *PROJECTIONS.values())
        await house.client.jetstream().delete_stream(LEDGER)

    with pytest.raises(Unfit, match=f"Postgres remembers the ledger {known}"):
        await furnished(settings)


async def test_a_database_that_is_away_does_not_let_a_ledger_be_begun(settings: Settings) -> None:
    away = PostgresSettings(f"postgresql://127.0.0.1:{free_port()}/ictus")

    with pytest.raises(Unavailable):
        await furnished(replace(settings, postgres=away))


@pytest.mark.parametrize(("stream", "recovered"), [(f".{LEDGER}", True), (LEDGER, False)])
async def test_what_a_deleted_stream_leaves_is_waited_for_but_no_lost_stream(
    monkeypatch: pytest.MonkeyPatch, stream: str, recovered: bool
) -> None:
    said = iter([f"JetStream stream 'ICTUS > {stream}' could not be recovered", ""])
    monkeypatch.setattr(streams, "_trouble", lambda monitor_url: next(said))
    with nullcontext() if recovered else pytest.raises(Unfit, match="cannot open"):
        await streams.check_recovered("http://127.0.0.1")
    assert (next(said, None) is None) == recovered


async def test_another_master_key_is_refused(settings: Settings) -> None:
    await furnished(settings)
    settings.master_key.unlink()
    with pytest.raises(Damaged):
        await furnished(settings)
