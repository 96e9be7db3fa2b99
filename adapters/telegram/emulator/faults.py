"""Failures of the network and of Telegram that the emulator plays on request, by seed."""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Literal, get_args

FaultKind = Literal[
    "flood",  # 429 with parameters.retry_after; the call takes no effect
    "server_error",  # 5xx; no effect
    "timeout_before",  # silence, then the connection is dropped; no effect
    "timeout_after",  # the call takes effect, then the same silence
    "reset_before",  # connection reset at once; no effect
    "reset_after",  # the call takes effect, then the reset
]
KINDS: tuple[str, ...] = get_args(FaultKind)


@dataclass
class Fault:
    """One rule: which calls it strikes, how, and how often.

    No `methods` means all of them, file downloads under the name "download" among them. `times`
    is how many strikes are left (None: no end); `probability` is judged per matching call.
    """

    kind: FaultKind
    methods: frozenset[str] = frozenset()
    chat_id: int | None = None
    times: int | None = None
    probability: float = 1.0
    retry_after: int = 1
    status: int = 502
    hold_seconds: float = 5.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind is one of {', '.join(KINDS)}")
        self.methods = frozenset(method.lower() for method in self.methods)

    @property
    def after(self) -> bool:
        """Whether the call takes effect although the bot never hears of it."""
        return self.kind.endswith("_after")

    def concerns(self, method: str, chat_id: int | None) -> bool:
        named = not self.methods or method.lower() in self.methods
        return named and self.times != 0 and self.chat_id in {None, chat_id}


class Faults:
    """The rules in force; the first rule that strikes decides."""

    def __init__(self, seed: int) -> None:
        self._random = Random(f"faults {seed}")
        self.rules: list[Fault] = []

    def set(self, rules: Iterable[Fault]) -> None:
        self.rules = list(rules)

    def draw(self, method: str, chat_id: int | None) -> Fault | None:
        """The fault of this call, or None; counts the strike."""
        for rule in self.rules:
            if rule.concerns(method, chat_id) and self._random.random() < rule.probability:
                rule.times = None if rule.times is None else rule.times - 1
                return rule
        return None
