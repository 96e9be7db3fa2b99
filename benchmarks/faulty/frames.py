"""NATS protocol messages cut out of a byte stream, understood just enough to act on them."""

from asyncio import IncompleteReadError, StreamReader
from collections.abc import AsyncIterator
from contextlib import suppress
from re import MULTILINE, compile as pattern
from typing import NamedTuple

# Words before the sizes that end the line: verb, subject, then perhaps a reply subject.
SIZES = {b"PUB": 1, b"HPUB": 2, b"MSG": 1, b"HMSG": 2}
SUBSCRIPTION_WORDS = {b"MSG": 1, b"HMSG": 1}
MESSAGE_ID = pattern(rb"^Nats-Msg-Id: *([^\r\n]+)", MULTILINE)


class Frame(NamedTuple):
    """One message as it came; `subject` is empty for what carries none (PING, INFO, SUB ...)."""

    raw: bytes
    verb: bytes = b""
    subject: str = ""
    reply: str = ""

    @property
    def message_id(self) -> str:
        found = MESSAGE_ID.search(self.raw)
        return found[1].decode() if found else ""


async def frames(reader: StreamReader) -> AsyncIterator[Frame]:
    """Ends with the stream; half a message at its end is dropped, as by any NATS peer."""
    with suppress(IncompleteReadError, OSError):
        while True:
            line = await reader.readuntil(b"\r\n")
            verb, *words = line.split() or [b""]
            if verb not in SIZES:
                yield Frame(line)
                continue
            payload = await reader.readexactly(int(words[-1]) + 2)
            named = [words[0], *words[1 + SUBSCRIPTION_WORDS.get(verb, 0) : -SIZES[verb]]]
            subject, reply = (word.decode() for word in (*named, b"")[:2])
            yield Frame(line + payload, verb, subject, reply)
