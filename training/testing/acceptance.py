"""The gate: limits from a file, held against the figures of a test."""

import tomllib
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from training.testing.figures import Figure

ACCEPTANCE_FILE: Final = Path(__file__).with_name("acceptance.toml")


class AcceptanceRefused(Exception):
    """This file does not say what to accept; the message says where."""


class Limit(Struct, frozen=True, forbid_unknown_fields=True):
    """One bound or both; what is not `required` counts only where it could be measured."""

    at_least: float | None = None
    at_most: float | None = None
    required: bool = True

    def __post_init__(self) -> None:
        if self.at_least is None and self.at_most is None:
            raise ValueError("`at_least` or `at_most` is needed: whatever came would hold")

    def __str__(self) -> str:
        bounds = (("≥", self.at_least), ("≤", self.at_most))
        return " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)

    def holds(self, figure: Figure) -> bool:
        if figure is None:
            return not self.required
        low = self.at_least is None or figure >= self.at_least
        return low and (self.at_most is None or figure <= self.at_most)


class Acceptance(NamedTuple):
    """`sha256` of the file's bytes says which rules a report was held to."""

    limits: dict[str, Limit]
    sha256: str


class Verdict(Struct, frozen=True):
    """One limit and the figure that was held against it."""

    name: str
    limit: str
    figure: Figure
    holds: bool


def read_acceptance(file: Path = ACCEPTANCE_FILE) -> Acceptance:
    """Raises AcceptanceRefused."""
    try:
        data = file.read_bytes()
        limits = msgspec.convert(tomllib.loads(data.decode()), dict[str, Limit])
    except (OSError, ValueError) as error:  # msgspec's and tomllib's errors are ValueErrors
        raise AcceptanceRefused(f"{file}: {error}") from error
    if not limits:
        raise AcceptanceRefused(f"{file} names no figure: whatever came would pass")
    return Acceptance(limits, sha256(data).hexdigest())


def verdicts(acceptance: Acceptance, figures: Mapping[str, Figure]) -> list[Verdict]:
    """Raises AcceptanceRefused for a figure that no test makes."""
    unknown = sorted(set(acceptance.limits) - set(figures))
    if unknown:
        raise AcceptanceRefused(f"no test measures `{unknown[0]}`; there are {', '.join(figures)}")
    return [
        Verdict(name, str(limit), figures[name], limit.holds(figures[name]))
        for name, limit in acceptance.limits.items()
    ]
