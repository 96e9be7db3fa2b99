"""What every vault must do, over keys in memory and over a real NATS bucket."""

import asyncio
import stat
from pathlib import Path

import pytest
from msgspec.structs import replace
from nats.aio.client import Client

from adapters.storage import vault as vaults
from adapters.storage.memory import MemoryKeys, MemoryVault
from adapters.storage.vault import KeyVault, NatsVault, load_master_key
from commands.ports import Damaged, Erased, Missing
from domain.identity import derived
from domain.sealed import Sealed
from tests.servers import NatsServer

MASTER = bytes(range(32))


@pytest.fixture(params=["memory", "nats"])
def vault(request: pytest.FixtureRequest) -> KeyVault:
    if request.param == "memory":
        return MemoryVault()
    return NatsVault(request.getfixturevalue("nats_client"), MASTER)


async def test_a_sealed_text_opens_again(vault: KeyVault) -> None:
    sealed = await vault.seal("person/1", "event/name", "Демо-врач 1")

    assert await vault.unseal(sealed, "event/name") == "Демо-врач 1"


async def test_a_sealed_text_shows_nothing_and_never_looks_the_same_twice(vault: KeyVault) -> None:
    one = await vault.seal("person/1", "event/name", "secret")
    two = await vault.seal("person/1", "event/name", "secret")

    assert one.key == "person/1"
    assert "secret" not in one.box
    assert one.nonce != two.nonce
    assert one.box != two.box


async def test_a_seal_holds_for_its_own_event_and_field_only(vault: KeyVault) -> None:
    sealed = await vault.seal("person/1", "event/name", "secret")

    with pytest.raises(Damaged):
        await vault.unseal(sealed, "event/address")


async def test_another_persons_key_does_not_open_it(vault: KeyVault) -> None:
    sealed = await vault.seal("person/1", "a", "secret")
    await vault.seal("person/2", "a", "other")

    with pytest.raises(Damaged):
        await vault.unseal(replace(sealed, key="person/2"), "a")


async def test_an_object_is_encrypted_and_comes_back(vault: KeyVault) -> None:
    image = bytes(range(256)) * 4000

    stored = await vault.encrypt("case/1", "sha", image)

    assert image[:64] not in stored
    assert await vault.decrypt("case/1", "sha", stored) == image
    with pytest.raises(Damaged):
        await vault.decrypt("case/1", "other", stored)
    with pytest.raises(Damaged):
        await vault.decrypt("case/1", "sha", stored[:-1])


async def test_a_destroyed_key_is_gone_for_ever(vault: KeyVault) -> None:
    sealed = await vault.seal("case/1", "a", "secret")
    stored = await vault.encrypt("case/1", "a", b"secret")

    for _ in range(2):
        await vault.destroy("case/1")

    for attempt in (
        vault.unseal(sealed, "a"),
        vault.seal("case/1", "a", "new"),
        vault.encrypt("case/1", "a", b"new"),
        vault.decrypt("case/1", "a", stored),
    ):
        with pytest.raises(Erased):
            await attempt


async def test_destroying_one_key_leaves_the_others(vault: KeyVault) -> None:
    sealed = await vault.seal("case/2", "a", "kept")

    await vault.destroy("case/1")

    assert await vault.unseal(sealed, "a") == "kept"


async def test_a_key_that_was_never_made_opens_nothing(vault: KeyVault) -> None:
    with pytest.raises(Missing):
        await vault.unseal(Sealed(key="case/9", nonce="AAAA", box="AAAA"), "a")


async def test_ids_of_the_outside_are_the_same_every_time_and_secret(vault: KeyVault) -> None:
    one = await vault.derive("telegram", "1")

    assert await vault.derive("telegram", "1") == one
    assert await vault.derive("telegram", "2") != one
    assert derived(MASTER, "telegram", "1") != one
    assert one.version == 8


async def test_keys_are_wrapped_by_the_master_key_and_bound_to_their_name() -> None:
    keys = MemoryKeys()
    sealed = await KeyVault(keys, MASTER).seal("case/1", "a", "secret")
    await keys.put("case/2", await keys.get("case/1") or b"")

    with pytest.raises(Damaged):
        await KeyVault(keys, bytes(32)).unseal(sealed, "a")
    with pytest.raises(Damaged):
        await KeyVault(keys, MASTER).unseal(replace(sealed, key="case/2"), "a")


async def test_the_cache_of_keys_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vaults, "CACHED_KEYS_MAX", 3)
    vault = MemoryVault()
    sealed = [await vault.seal(f"case/{number}", "a", str(number)) for number in range(10)]

    assert [await vault.unseal(each, "a") for each in sealed] == [str(n) for n in range(10)]
    assert len(vault._cache) == 3


async def test_vaults_that_race_agree_on_one_key(nats_client: Client) -> None:
    racers = [NatsVault(nats_client, MASTER) for _ in range(10)]

    sealed = await asyncio.gather(*(racer.seal("case/1", "a", "same") for racer in racers))

    for each in sealed:
        assert await NatsVault(nats_client, MASTER).unseal(each, "a") == "same"


async def test_another_process_notices_a_destroyed_key(
    nats_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = NatsVault(nats_client, MASTER), NatsVault(nats_client, MASTER)
    sealed = await here.seal("case/1", "a", "secret")

    await there.destroy("case/1")
    monkeypatch.setattr(vaults, "CACHED_SECONDS_MAX", 0.0)

    with pytest.raises(Erased):
        await here.unseal(sealed, "a")


async def test_a_destroyed_key_is_not_on_the_servers_disk(
    nats_client: Client, fresh_nats: NatsServer
) -> None:
    await NatsVault(nats_client, MASTER).seal("case/1", "a", "secret")
    wrapped = (await nats_client.jetstream().get_msg("KV_ICTUS_KEYS", 1)).data or b""
    store = fresh_nats.data / "nats"

    def found_in() -> list[str]:
        return [str(f) for f in store.rglob("*") if f.is_file() and wrapped in f.read_bytes()]

    assert found_in()
    await NatsVault(nats_client, MASTER).destroy("case/1")
    assert not found_in()


def test_a_master_key_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "master.key"

    key = load_master_key(path)

    assert len(key) == 32
    assert load_master_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["master.key"]


def test_a_damaged_master_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.write_bytes(b"short")

    with pytest.raises(ValueError, match="exactly 32 bytes"):
        load_master_key(path)
