"""What a dataset is asked to hold: which cases make rows, and who is in which split."""

from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from domain.case import Origin
from domain.model import TASK
from projections.rows import Row


class Spec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which cases make rows. `label_levels` and `origins` keep what they list; empty keeps all,
    unlabelled cases too. `salt` decides who is in which split, but for the patients of
    `hold_out_sites`, who are all in `external`; `task` says what the rows are for. `profile` (such as
    ingest-3) takes the images that this profile made, where it did; empty takes what was made last.
    """

    name: str = "all"
    salt: str = "ictus"
    label_levels: tuple[int, ...] = ()
    origins: tuple[Origin, ...] = ()
    hold_out_sites: tuple[str, ...] = ()
    task: str = TASK
    profile: str = ""

    @property
    def sha256(self) -> str:
        """Without a profile it is what it was before specs could name one."""
        said = msgspec.to_builtins(self)
        if not self.profile:
            del said["profile"]
        return sha256(msgspec.json.encode(said, order="sorted")).hexdigest()

    def wants(self, row: Row) -> bool:
        level = row.label.level if row.label else None
        return (not self.label_levels or level in self.label_levels) and (
            not self.origins or row.origin in self.origins
        )


def load_spec(path: Path) -> Spec:
    """From a TOML file; raises msgspec.ValidationError for a word it does not know."""
    return msgspec.toml.decode(path.read_bytes(), type=Spec)
