"""The production stack's event store, on a real nats-server with its configuration."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from nats.js.errors import NotFoundError

from adapters.storage.streams import Unfit
from adapters.storage.users import ADMIN, STREAMS_ACCOUNT
from ictus.nkeys import nkey_file
from ictus.wiring import furnish, open_house
from tests.production import Production

STREAMS, KEYS = f"jetstream/{STREAMS_ACCOUNT}/streams", "KV_ICTUS_KEYS"


@pytest.fixture
def production(tmp_path: Path) -> Iterator[Production]:
    server = Production(tmp_path / "production")
    server.restart()
    yield server
    server.stop()


async def test_a_house_is_furnished_on_it_with_durability_proven(production: Production) -> None:
    async with open_house(production.settings, ADMIN) as house:
        await furnish(house)
        assert (await house.books.ledger.head()).sequence > 0
    async with open_house(production.settings, "operator") as house:
        await house.books.vault.encrypt("case/test", "test", b"word")
        await house.books.vault.destroy("case/test")


async def test_the_admin_service_is_the_admin_whatever_a_command_would_be(
    production: Production,
) -> None:
    nkey = str(nkey_file(production.nkeys, ADMIN))
    settings = replace(production.settings, nats=replace(production.settings.nats, nkey=nkey))
    async with open_house(settings, "auditor") as house:
        await house.client.jetstream().add_stream(name="OLD", subjects=["old"])
        await house.client.jetstream().delete_stream("OLD")
        with pytest.raises(NotFoundError):
            await house.client.jetstream().stream_info("OLD")


async def test_a_store_from_before_there_were_users_is_refused_until_it_is_moved(
    production: Production,
) -> None:
    """To where docs/operations.md says."""
    account = (production.data / STREAMS).parent
    async with open_house(production.settings, ADMIN) as house:
        await furnish(house)
        head = await house.books.ledger.head()
    production.stop()
    account.rename(account.with_name("$G"))
    production.restart()
    async with open_house(production.settings, ADMIN) as house:
        with pytest.raises(Unfit, match=r"cannot open .*\$G > ICTUS_.*no new ledger is made"):
            await furnish(house)
    production.stop()
    account.with_name("$G").rename(account)
    production.restart()
    async with open_house(production.settings, ADMIN) as house:
        await furnish(house)
        assert await house.books.ledger.head() == head


async def test_a_cold_copy_with_the_keys_apart_is_the_same_ledger(
    production: Production, tmp_path: Path
) -> None:
    async with open_house(production.settings, ADMIN) as house:
        await furnish(house)
        before = [recorded.payload async for recorded in house.books.ledger.read()]
        head = await house.books.ledger.head()
        sealed = await house.books.vault.seal("case/test", "test", "words")
    production.stop()
    copied = tmp_path / "copied"
    shutil.copytree(production.data, copied / "data", ignore=shutil.ignore_patterns(KEYS))
    assert not list(copied.rglob(KEYS))
    shutil.copytree(production.data / STREAMS / KEYS, copied / "data" / STREAMS / KEYS)
    shutil.copy(production.settings.master_key, copied / "master.key")
    restored = Production(copied)
    restored.restart()
    try:
        async with open_house(restored.settings, ADMIN) as house:
            await furnish(house)
            assert await house.books.ledger.head() == head
            assert [recorded.payload async for recorded in house.books.ledger.read()] == before
            assert await house.books.vault.unseal(sealed, "test") == "words"
    finally:
        restored.stop()
