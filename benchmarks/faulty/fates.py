"""What becomes of each message, decided by the seed and the message alone, whatever the timing."""

from collections import Counter
from hashlib import blake2b
from typing import Literal

from msgspec import Struct

Fault = Literal["drop", "delay", "duplicate", "cut"]
Kind = Literal["publish", "ack", "answer"]

DELAY_SECONDS_MAX = 0.3


class Rates(Struct, frozen=True):
    """Shares of the messages of one kind, each 0 to 1, their sum at most 1."""

    drop: float = 0.0
    delay: float = 0.0
    duplicate: float = 0.0
    cut: float = 0.0


class Fate(Struct, frozen=True):
    """`fault` None lets the message pass; `delay_s` is meant for the fault `delay`."""

    fault: Fault | None = None
    delay_s: float = 0.0


class Schedule:
    """The fate of a message by its kind and key (such as an event's id) and how often it was seen.

    So the first acknowledgement of one event meets the same fate in every run with the same seed.
    """

    def __init__(self, seed: int, rates: dict[Kind, Rates]) -> None:
        self._seed = seed
        self._rates = rates
        self._seen: Counter[tuple[Kind, str]] = Counter()

    def fate(self, kind: Kind, key: str) -> Fate:
        self._seen[kind, key] += 1
        words = f"{self._seed}/{kind}/{key}/{self._seen[kind, key]}"
        digest = blake2b(words.encode(), digest_size=16).digest()
        drawn = int.from_bytes(digest[:8], "big") / 2**64
        rates = self._rates.get(kind, Rates())
        for fault, rate in (
            ("drop", rates.drop),
            ("delay", rates.delay),
            ("duplicate", rates.duplicate),
            ("cut", rates.cut),
        ):
            drawn -= rate
            if drawn < 0:
                return Fate(fault, digest[8] / 255 * DELAY_SECONDS_MAX)  # type: ignore[arg-type]
        return Fate()
