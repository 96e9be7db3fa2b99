"""A ledger with much in it, a witness of it, and ways to damage what it keeps."""

from collections.abc import Sequence
from uuid import UUID, uuid4

from nats.aio.client import Client

from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.memory import MemoryBlobs
from adapters.storage.messages import JetStreamMessages
from adapters.storage.signing import FileSigningKey
from commands.ports import Blobs, Database
from domain.events import NO_HASH
from domain.merkle import root
from tests.contracts.writing import commit_to, new_request
from workers.witness import archive, audit, notes
from workers.witness.archive import Manifest, pack
from workers.witness.audit import Finding, Report
from workers.witness.notes import Checkpoint, log_name, open_checkpoint
from workers.witness.stream import Stored
from workers.witness.tiles import CHECKPOINT, digest
from workers.witness.worker import Means, recall

KEY = FileSigningKey(bytes(range(32)))
LEDGER = UUID(int=7)
BATCH_EVENTS_MAX = 900


def means_of(client: Client, blobs: Blobs, database: Database) -> Means:
    return Means(JetStreamMessages(client), blobs, database, KEY)


async def write(client: Client, events: int) -> None:
    """Appends so many events, of one person per batch."""
    while events:
        batch = min(events, BATCH_EVENTS_MAX)
        commit = commit_to(uuid4(), *(f"notice {number}" for number in range(batch)))
        assert commit.prevhash == NO_HASH
        await JetStreamLedger(client).append(new_request(), [commit])
        events -= batch


async def witness(means: Means) -> Checkpoint:
    """Brings the witness up to the head, as a new process would, and gives its checkpoint."""
    fresh = await recall(means)
    while await fresh.advance():
        pass
    return await checkpoint_of(means)


async def checkpoint_of(means: Means) -> Checkpoint:
    name = log_name((await means.stream.head()).ledger)
    return open_checkpoint(await means.blobs.get(CHECKPOINT), name, means.key)


async def verify(means: Means) -> Report:
    return await audit.verify(audit.Means(means.stream, means.blobs, means.database, means.key))


async def places(means: Means) -> list[tuple[str, int]]:
    """Where the audit finds damage, and from which sequence on."""
    return told((await verify(means)).findings)


def told(findings: Sequence[Finding]) -> list[tuple[str, int]]:
    return [(each.where, each.sequence) for each in findings]


def flipped(data: bytes, at: int, bit: int = 0) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


async def flip(blobs: Blobs, key: str, at: int) -> None:
    await blobs.put(key, flipped(await blobs.get(key), at))


async def archived(messages: Sequence[Stored]) -> MemoryBlobs:
    """An archive of the ledger LEDGER, made by the description of the format, not by the witness."""
    blobs, previous, size = MemoryBlobs(), NO_HASH, len(messages)
    for first in range(0, size, 256):
        part = messages[first : first + 256]
        manifest = Manifest(
            first=first + 1,
            last=first + len(part),
            sha256=digest(pack(part)),
            root=root(each.hash for each in messages[: first + len(part)]).hex(),
            ledger=LEDGER,
            origin="demo",
            previous=previous,
        )
        note = archive.sign_manifest(manifest, KEY)
        await blobs.put(archive.segment_key(first // 256, len(part)), pack(part))
        await blobs.put(archive.manifest_key(first // 256, len(part)), note)
        previous = digest(note)
    name = log_name(LEDGER)
    head = Checkpoint(name, size, root(each.hash for each in messages))
    await blobs.put(CHECKPOINT, notes.sign(head.text(), name, KEY))
    return blobs
