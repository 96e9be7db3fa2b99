"""Boot: what must stand stands, and a ledger never silently gets new keys."""

from pathlib import Path

import pytest

from adapters.storage.streams import KEYS_BUCKET, Unfit
from commands.ports import Damaged
from ictus.settings import NatsSettings, PostgresSettings, Settings
from ictus.wiring import furnish, open_house
from tests.servers import NatsServer


@pytest.fixture
def settings(fresh_nats: NatsServer, tmp_path: Path) -> Settings:
    return Settings(
        data=str(tmp_path),
        nats=NatsSettings(url=fresh_nats.url, monitor_url=fresh_nats.monitor_url),
        postgres=PostgresSettings("postgresql://127.0.0.1:1/unused"),
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


async def test_another_master_key_is_refused(settings: Settings) -> None:
    await furnished(settings)
    settings.master_key.unlink()
    with pytest.raises(Damaged):
        await furnished(settings)
