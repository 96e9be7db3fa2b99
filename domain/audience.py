"""For whom a model is: everybody, a site, a person, or a share of all cases drawn by their ids."""

from hashlib import sha256
from typing import Literal
from uuid import UUID

from msgspec import Struct

from domain.errors import Refused

SHARES = range(1, 101)


class BadAudience(Refused):
    """An audience is `all`, `site:NAME`, `person:UUID` or `percent:1` to `percent:100`."""


class Audience(Struct, frozen=True):
    """`of` is the site's name, the person's id or the percentage; nothing for `all`."""

    kind: Literal["all", "site", "person", "percent"] = "all"
    of: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.of}" if self.of else self.kind

    def includes(self, case: UUID, site: str, by: UUID) -> bool:
        """The same for a case for ever, as long as it is of that site and person."""
        match self.kind:
            case "site":
                return site == self.of
            case "person":
                return str(by) == self.of
            case "percent":
                return _drawn(case) < int(self.of)
        return True


ALL = Audience()


def audience(words: str) -> Audience:
    """`all`, `site:north`, `person:<UUID>`, `percent:10`; raises BadAudience for anything else."""
    kind, _, of = words.partition(":")
    try:
        match kind:
            case "all" if not of:
                return ALL
            case "site" if of:
                return Audience("site", of)
            case "person":
                return Audience("person", str(UUID(of)))
            case "percent" if int(of) in SHARES:
                return Audience("percent", str(int(of)))
    except ValueError:
        pass
    raise BadAudience


def _drawn(case: UUID) -> int:
    """0 to 99, evenly over all cases."""
    return int.from_bytes(sha256(case.bytes).digest()[:8]) % 100
