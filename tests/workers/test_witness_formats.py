"""Notes and the archive as files: what they are made of, and that nothing else passes for them."""

import zlib
from random import Random
from uuid import UUID

import msgspec
import pytest

from adapters.storage.memory import MemoryBlobs
from adapters.storage.signing import FileSigningKey, VerifyingKey, parse_verifier_key
from commands.ports import Damaged, Missing
from domain.events import NO_HASH
from tests.workers.witnessing import KEY, LEDGER, archived, flip, flipped
from workers.witness import archive, notes
from workers.witness.archive import Manifest, open_archive, pack, unpack
from workers.witness.notes import Checkpoint, log_name, open_checkpoint, open_note, verifier_key
from workers.witness.stream import Stored
from workers.witness.tiles import digest, numbered, tile_key

NAME = log_name(LEDGER)


def message(sequence: int) -> Stored:
    payload = Random(sequence).randbytes(sequence % 97) + b"\n"
    return Stored(sequence, f"ictus.ev.00.case.{sequence}.opened", f"id-{sequence}", payload)


# Notes


def test_a_note_is_written_as_the_standard_shows_it() -> None:
    note = notes.sign("text\n\nmore\n", "example.com/log", KEY).decode()
    text, line = note.rsplit("\n\n", 1)
    assert text == "text\n\nmore"
    assert line.startswith("— example.com/log ")
    assert line.endswith("\n")
    assert open_note(note.encode(), "example.com/log", KEY) == "text\n\nmore\n"


def test_the_key_id_is_the_one_of_the_standard_s_own_example() -> None:
    """The verifier key of Go's sumdb/note documentation."""
    known = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    name, key = parse_verifier_key(known)
    assert verifier_key(name, key.public) == known
    note = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
        "\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdn"
        "gotpRZb6KE6RyyBwJnAM=\n"
    )
    assert open_note(note.encode(), name, key).startswith("If you think")


def test_a_public_key_is_written_in_one_way_only() -> None:
    text = verifier_key(NAME, KEY.public)
    name, key = parse_verifier_key(text)
    assert (name, key.public) == (NAME, KEY.public)
    assert isinstance(key, VerifyingKey)
    for at in range(len(text)):
        with pytest.raises(ValueError, match=r"."):
            parse_verifier_key(text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :])


def test_no_bit_of_a_checkpoint_may_differ() -> None:
    note = notes.sign(Checkpoint(NAME, 12, bytes(32)).text(), NAME, KEY)
    assert open_checkpoint(note, NAME, KEY) == Checkpoint(NAME, 12, bytes(32))
    for at in range(len(note)):
        for bit in range(8):
            with pytest.raises(Damaged):
                open_checkpoint(flipped(note, at, bit), NAME, KEY)


@pytest.mark.parametrize(
    "text",
    [
        "text\n",
        f"{NAME}\n1\n",
        f"{NAME}\n01\n{'A' * 43}=\n",
        f"{NAME}\n1\n{'A' * 43}=\nmore\n",
        f"other\n1\n{'A' * 43}=\n",
    ],
)
def test_what_is_signed_but_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(Damaged):
        open_checkpoint(notes.sign(text, NAME, KEY), NAME, KEY)


def test_a_manifest_does_not_pass_for_a_checkpoint_nor_a_checkpoint_for_a_manifest() -> None:
    manifest = Manifest(1, 2, "0" * 64, "0" * 64, LEDGER, "demo", NO_HASH)
    signed = archive.sign_manifest(manifest, KEY)
    assert archive.open_manifest(signed, LEDGER, KEY) == manifest
    with pytest.raises(Damaged):
        open_checkpoint(signed, NAME, KEY)
    with pytest.raises(Damaged):
        archive.open_manifest(
            notes.sign(Checkpoint(NAME, 1, bytes(32)).text(), NAME, KEY), LEDGER, KEY
        )
    with pytest.raises(Damaged):
        archive.open_manifest(signed, UUID(int=8), KEY)


# Paths


@pytest.mark.parametrize(
    ("index", "width", "path"),
    [
        (0, 256, "000"),
        (5, 256, "005"),
        (1_234_067, 256, "x001/x234/067"),
        (273, 112, "273.p/112"),
        (1000, 1, "x001/000.p/1"),
    ],
)
def test_numbers_are_written_as_the_standard_shows_them(index: int, width: int, path: str) -> None:
    assert numbered(index, width) == path
    assert tile_key(0, index, width) == f"witness/tile/0/{path}"


# The archive


def test_a_segment_unpacks_to_the_messages_it_was_packed_from() -> None:
    messages = [message(sequence) for sequence in range(1, 257)]
    assert unpack(pack(messages)) == messages


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not zlib",
        pack([message(1)])[:-1],
        pack([message(1)]) + b"more",
        zlib.compress(b"no line"),
        zlib.compress(b'{"sequence":1,"subject":"s","id":"i","bytes":9}\nshort\n'),
        zlib.compress(b'{"sequence":1,"subject":"s","id":"i","bytes":-3}\nshort\n'),
    ],
)
def test_what_is_no_segment_is_refused(data: bytes) -> None:
    with pytest.raises(Damaged):
        unpack(data)


async def stored_archive(size: int) -> tuple[MemoryBlobs, list[Stored]]:
    messages = [message(sequence) for sequence in range(1, size + 1)]
    return await archived(messages), messages


@pytest.mark.parametrize("size", [0, 1, 256, 700])
async def test_all_messages_come_out_of_the_archive_with_the_public_key_alone(size: int) -> None:
    blobs, messages = await stored_archive(size)
    _, public = parse_verifier_key(verifier_key(NAME, KEY.public))
    found, checkpoint = await open_archive(blobs, public)
    assert [each async for each in found.read()] == messages
    assert checkpoint.size == size


@pytest.mark.parametrize("key", ["000", "001.manifest", "002.p/188", "002.p/188.manifest"])
async def test_a_changed_archive_is_not_read_out(key: str) -> None:
    blobs, _ = await stored_archive(700)
    await flip(blobs, f"witness/archive/{key}", 40)
    found, _ = await open_archive(blobs, KEY)
    with pytest.raises(Damaged):
        [each async for each in found.read()]


async def test_a_segment_put_in_another_s_place_is_not_read_out() -> None:
    blobs, _ = await stored_archive(700)
    for name in ("", ".manifest"):
        await blobs.put(f"witness/archive/000{name}", await blobs.get(f"witness/archive/001{name}"))
    found, _ = await open_archive(blobs, KEY)
    with pytest.raises(Damaged, match="is of 257 to 512"):
        [each async for each in found.read()]


async def test_a_segment_of_another_history_breaks_the_chain_of_manifests() -> None:
    blobs, messages = await stored_archive(700)
    part = [messages[0]._replace(id="another"), *messages[1:256]]
    note = await blobs.get("witness/archive/000.manifest")
    manifest = msgspec.structs.replace(
        archive.open_manifest(note, LEDGER, KEY), sha256=digest(pack(part))
    )
    await blobs.put("witness/archive/000", pack(part))
    await blobs.put("witness/archive/000.manifest", archive.sign_manifest(manifest, KEY))
    found, _ = await open_archive(blobs, KEY)
    with pytest.raises(Damaged, match="does not follow the one before it"):
        [each async for each in found.read()]


async def test_without_a_checkpoint_or_with_another_s_there_is_no_archive() -> None:
    with pytest.raises(Missing):
        await open_archive(MemoryBlobs(), KEY)
    blobs, _ = await stored_archive(3)
    with pytest.raises(Damaged, match="not signed by"):
        await open_archive(blobs, FileSigningKey(bytes(32)))
