"""What people are called, type and send stays sealed: no stored byte tells it."""

import io
import logging
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from adapters.storage.streams import LEDGER
from commands import objects
from commands.ports import Erased, Vault
from domain.events import Recorded
from domain.sealed import additional_data, sealed_fields
from ictus.telemetry import JsonLines
from tests.servers import NatsServer
from tests.system.people import Someone, action, is_answer
from tests.system.stack import Stack, images
from workers import taps

pytestmark = pytest.mark.asyncio(loop_scope="module")

USER_ID, ADMIN_ID, OUTSIDER_ID = 6_123_987_401, 6_123_987_402, 6_123_987_403
NAME, USERNAME = "Kestrel Demo-Clinician", "kestrel_demo_4711"
CAPTION, FILE_NAME, TEXT = "caption-of-kestrel-77", "kestrel-scan-77.png", "typed-by-kestrel-77"
SEALED_FIELDS = {"address", "name", "file", "caption", "original", "message"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def logs() -> AsyncIterator[io.StringIO]:
    """What the roles log, in the words they log it with."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines("test"))
    ours = logging.getLogger("ictus")
    level = ours.level
    logging.getLogger().addHandler(handler)
    ours.setLevel(logging.DEBUG)
    yield written
    logging.getLogger().removeHandler(handler)
    ours.setLevel(level)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def secrets(stack: Stack, logs: io.StringIO) -> list[str]:
    """A long visit with much to hide; then everything that must not be found anywhere."""
    world = stack.emulator.world
    clinician, admin, outsider = (
        Someone(
            stack.emulator, stack.emulator.user(id_, f"{NAME} {id_}", "en", f"{USERNAME}_{id_}")
        )
        for id_ in (USER_ID, ADMIN_ID, OUTSIDER_ID)
    )
    link, used_up = await stack.invitation("admin"), await stack.invitation()
    await admin.join(link)
    await _let_in(clinician, admin)
    await outsider.user.send_text(f"/start {used_up}x")
    await clinician.user.send_text(TEXT)
    first, second, third = images(400, 3)
    await clinician.photo(first, caption=CAPTION)
    case, card = await clinician.answer()
    await clinician.user.send_document(second, FILE_NAME, "image/png", CAPTION)
    await stack.answered(case, 2)
    await clinician.tap(card, taps.Split)
    other, _ = await clinician.answer(after=card.id)
    await clinician.photo(third, caption=CAPTION, reply_to=card.id)
    await clinician.user.send_document(b"GIF89a" + TEXT.encode(), FILE_NAME, "image/gif", CAPTION)
    await clinician.until(lambda m: m.id == card.id and is_answer(m), "the card")
    await clinician.tap(card, taps.TellAf, af="no")
    await clinician.tap(card, taps.Unsure)
    await stack.house.queue.publish(
        f"ictus.in.telegram.1.{USER_ID}", f"{TEXT} is no JSON".encode(), message_id="poison"
    )
    await stack.until(case, lambda c: c.opinion and c.af == "no", "what was tapped")
    await stack.settled()
    assert other != case
    sent = [text for file in world.files.values() for text in (file.id, file.unique_id)]
    people = [str(id_) for id_ in (USER_ID, ADMIN_ID, OUTSIDER_ID)]
    presses = [callback.id for callback in clinician.user.callbacks]
    return [NAME, USERNAME, CAPTION, FILE_NAME, TEXT, link, used_up, *people, *sent, *presses]


async def _let_in(stranger: Someone, admin: Someone) -> None:
    await stranger.user.send_text("/start")
    closed = await stranger.until(lambda m: action(m, taps.AskAccess), "a way to ask")
    await stranger.tap(closed, taps.AskAccess)
    asked = await admin.until(lambda m: action(m, taps.Approve), "the request")
    await admin.tap(asked, taps.Approve)
    await stranger.consent()


# Looking


def disguises(secret: str) -> Iterator[bytes]:
    """The secret as bytes: plain, UTF-16, hex, and base64 wherever it may begin in its text."""
    plain = secret.encode()
    yield from (
        plain,
        secret.encode("utf-16-le"),
        plain.hex().encode(),
        plain.hex().upper().encode(),
    )
    if secret.isdigit():
        yield int(secret).to_bytes(8, "big").lstrip(b"\0")
        yield int(secret).to_bytes(8, "little").rstrip(b"\0")
    for encode in (b64encode, urlsafe_b64encode):
        for shift in range(3):
            yield encode(b"\0" * shift + plain)[shift + (shift > 0) : -4]


def found(secrets: list[str], where: bytes) -> list[str]:
    """The secrets that these bytes tell."""
    return [secret for secret in secrets if any(each in where for each in disguises(secret))]


@pytest.mark.parametrize("shift", range(3))
async def test_a_disguised_secret_would_be_found(shift: int) -> None:
    text = b"x" * shift + CAPTION.encode() + b"yz"

    for told in (text, text.hex().encode(), b64encode(text), urlsafe_b64encode(text)):
        assert found([CAPTION, TEXT], b"before" + told + b"after") == [CAPTION]


def folders(root: Path, name: str) -> list[Path]:
    return [folder for folder in root.rglob(name) if folder.is_dir()]


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def _ledger(stack: Stack) -> list[Recorded]:
    return [recorded async for recorded in stack.house.books.ledger.read()]


# The places


async def test_the_ledger_tells_nothing(
    stack: Stack, secrets: list[str], nats_server: NatsServer
) -> None:
    payloads = b"\n".join([recorded.payload for recorded in await _ledger(stack)])
    stored = [
        data for folder in folders(nats_server.data, LEDGER) for data in files(folder).values()
    ]

    assert payloads.count(b"specversion") > 50
    assert any(b"specversion" in data for data in stored)
    assert found(secrets, payloads) == []
    assert found(secrets, b"\n".join(stored)) == []


async def test_the_database_tells_nothing(stack: Stack, secrets: list[str]) -> None:
    connection = await asyncpg.connect(stack.house.settings.postgres.dsn)
    tables = await connection.fetch(
        "SELECT quote_ident(table_schema) || '.' || quote_ident(table_name)"
        " FROM information_schema.tables WHERE table_type = 'BASE TABLE'"
        " AND table_schema NOT IN ('pg_catalog', 'information_schema')"
    )
    told = {
        table: b"\n".join(
            value if isinstance(value, bytes) else str(value).encode()
            for row in await connection.fetch(f"SELECT * FROM {table}")  # noqa: S608  its own word
            for value in row.values()
        )
        for (table,) in tables
    }
    await connection.close()

    assert {"events", "cases", "images", "cards"} <= {_named(t) for t, data in told.items() if data}
    assert {table: found(secrets, data) for table, data in told.items()} == {
        table: [] for table in told
    }


def _named(table: str) -> str:
    """A table without the schema of its read model's version."""
    return table.rsplit(".", 1)[1].strip('"')


async def test_the_objects_tell_nothing(stack: Stack, secrets: list[str]) -> None:
    stored = files(Path(stack.house.settings.blobs_url))

    assert len(stored) > 6
    assert found(secrets, "\n".join(map(str, stored)).encode()) == []
    assert found(secrets, b"\n".join(stored.values())) == []


async def test_an_image_is_not_stored_readably(stack: Stack) -> None:
    stored = files(Path(stack.house.settings.blobs_url) / "case")

    assert stored
    readable = (b"\xff\xd8", b"\x89PNG", b"RIFF")
    assert not any(data.startswith(readable) for data in stored.values())


async def test_the_logs_tell_nothing(secrets: list[str], logs: io.StringIO) -> None:
    assert logs.getvalue().count("reacted") > 20
    assert found(secrets, logs.getvalue().encode()) == []


# The keys


async def test_what_is_sealed_opens_with_the_vault_until_its_key_is_destroyed(
    stack: Stack, secrets: list[str]
) -> None:
    vault, blobs = stack.house.books.vault, stack.house.blobs
    events = await _ledger(stack)
    opened = [pair async for pair in _opened(vault, events)]
    told = "\n".join(text for _, text in opened)

    assert {field for field, _ in opened} == SEALED_FIELDS
    assert all(secret in told for secret in (NAME, CAPTION, str(USER_ID), str(ADMIN_ID)))

    [case, *_] = [recorded.aggregate_id for recorded in events if recorded.aggregate == "case"]
    derivative = (await stack.case(case)).usable[0].derivative
    assert await objects.fetch(blobs, vault, case, derivative)
    for key in {f"{recorded.aggregate}/{recorded.aggregate_id}" for recorded in events}:
        await vault.destroy(key)

    with pytest.raises(Erased):
        await objects.fetch(blobs, vault, case, derivative)
    for recorded in events:
        for name, sealed in sealed_fields(recorded.event):
            with pytest.raises(Erased):
                await vault.unseal(sealed, additional_data(recorded.id, name))
    assert await _ledger(stack) == events


async def _opened(vault: Vault, events: list[Recorded]) -> AsyncIterator[tuple[str, str]]:
    """Field and text of everything that is sealed."""
    for recorded in events:
        for name, sealed in sealed_fields(recorded.event):
            yield name, await vault.unseal(sealed, additional_data(recorded.id, name))
