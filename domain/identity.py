"""Names of things: instants, deterministic ids, partitions, subjects and the short code on a card."""

import hmac
from datetime import datetime
from functools import lru_cache
from hashlib import sha1, sha256
from typing import Annotated
from uuid import UUID
from zlib import crc32

from msgspec import Meta

Instant = Annotated[datetime, Meta(tz=True)]

PARTS = 16
ROOTS_KEPT_MAX = 4096
SUBJECT_ROOT = "ictus.ev"
_CODE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def derived(id_key: bytes, *words: str) -> UUID:
    """An id for something outside, as a UUIDv8 of HMAC-SHA-256 under the ledger's id key.

    A plain hash of a Telegram id could be found by trying all 10^10 of them; this cannot.
    """
    message = b"".join(len(word.encode()).to_bytes(4, "big") + word.encode() for word in words)
    digest = bytearray(hmac.digest(id_key, message, "sha256")[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return UUID(bytes=bytes(digest))


def event_id(request: UUID, aggregate: str, aggregate_id: UUID, index: int) -> UUID:
    """The id of the commit's event number `index`: the same request always makes the same ids."""
    return _uuid5(request, f"{aggregate}/{aggregate_id}/{index}")


def reaction(cause: UUID, reactor: str) -> UUID:
    """The request id of what `reactor` does because of the event `cause`."""
    return _uuid5(cause, reactor)


def _uuid5(namespace: UUID, name: str) -> UUID:
    """As `uuid.uuid5`, in half the time: every event needs one."""
    digest = sha1(namespace.bytes + name.encode(), usedforsecurity=False).digest()
    return UUID(bytes=digest[:16], version=5)


def part(aggregate_id: UUID) -> str:
    """The partition of an aggregate, `00` to `0f`."""
    return f"{crc32(str(aggregate_id).encode('ascii')) % PARTS:02x}"


def subject(aggregate: str, aggregate_id: UUID, event: str) -> str:
    return f"{_root(aggregate, aggregate_id)}.{event}"


def subject_filter(aggregate: str, aggregate_id: UUID) -> str:
    """All of one aggregate; always this literal, since the server guards by the literal string."""
    return f"{_root(aggregate, aggregate_id)}.>"


@lru_cache(ROOTS_KEPT_MAX)
def _root(aggregate: str, aggregate_id: UUID) -> str:
    return f"{SUBJECT_ROOT}.{part(aggregate_id)}.{aggregate}.{aggregate_id}"


def case_code(case: UUID) -> str:
    """The code people read on a card, such as `K7-4F2Q`: 30 bits, for the eye, not an identity."""
    bits = int.from_bytes(sha256(case.bytes).digest()[:8], "big")
    letters = [_CODE_ALPHABET[bits >> 5 * place & 31] for place in range(6)]
    return "".join(letters[:2]) + "-" + "".join(letters[2:])
