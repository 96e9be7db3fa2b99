"""A NATS key-value bucket by the few verbs we need; keys are hashed, a first write is certain."""

from functools import partial
from typing import NamedTuple
from uuid import uuid4

from nats.aio.client import Client
from nats.js.api import Header
from nats.js.errors import NotFoundError

from adapters.storage.nats_connection import Answer, jetstream, patiently, publish, reaching
from adapters.storage.streams import bucket_subject, token

WRONG_LAST_SEQUENCE = frozenset({10071, 10164})
WRITER = "Ictus-Writer"


class Note(NamedTuple):
    """A stored value, who wrote it, and its sequence in the bucket's stream."""

    value: bytes
    writer: str
    sequence: int


class Bucket:
    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._stream = f"KV_{name}"
        self._subject = bucket_subject(name)

    async def create(self, name: str, value: bytes) -> bool:
        """True for the first writer only, also when the acknowledgement was lost on the way."""
        return await self.swap(name, value, 0)

    async def put(self, name: str, value: bytes) -> None:
        await patiently(partial(self._put, name, value, {}))

    async def get(self, name: str) -> bytes | None:
        note = await patiently(partial(self._get, name))
        return note.value if note else None

    async def read(self, name: str) -> tuple[bytes, int]:
        """The value and its version, from the leader: a replica may lag behind."""
        note = await patiently(partial(self._get, name, direct=False))
        return (note.value, note.sequence) if note else (b"", 0)

    async def swap(self, name: str, value: bytes, version: int) -> bool:
        """True if the value was of that version; also when the acknowledgement was lost."""
        return await patiently(partial(self._swap, name, value, version, uuid4().hex))

    async def erase(self, name: str) -> None:
        """Overwrites the value on the server's disk, not only its entry."""
        if note := await patiently(partial(self._get, name)):
            await patiently(partial(self._erase, note.sequence))

    async def _swap(self, name: str, value: bytes, version: int, writer: str) -> bool:
        guard = {Header.EXPECTED_LAST_SUBJECT_SEQUENCE: str(version), WRITER: writer}
        answer = await self._put(name, value, guard)
        if answer.seq:
            return True
        note = await self._get(name, direct=False)
        return note is not None and note.writer == writer

    async def _put(self, name: str, value: bytes, headers: dict[str, str]) -> Answer:
        answer = await publish(self._client, f"{self._subject}.{token(name)}", value, headers)
        if answer.error and answer.err_code not in WRONG_LAST_SEQUENCE:
            raise RuntimeError(f"JetStream refuses: {answer.error.description}")
        return answer

    async def _get(self, name: str, *, direct: bool = True) -> Note | None:
        subject = f"{self._subject}.{token(name)}"
        try:
            with reaching(self._client):
                found = await jetstream(self._client).get_last_msg(
                    self._stream, subject, direct=direct
                )
        except NotFoundError:
            return None
        return Note(found.data or b"", (found.headers or {}).get(WRITER, ""), found.seq or 0)

    async def _erase(self, sequence: int) -> None:
        try:
            with reaching(self._client):
                await jetstream(self._client).delete_msg(self._stream, sequence)
        except NotFoundError:
            return
