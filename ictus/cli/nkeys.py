"""`ictus nkeys`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ictus.cli.options import Json, put_json, tell

if TYPE_CHECKING:
    from ictus.nkeys import Nkeys


def nkeys(*, out: Annotated[Path, Parameter(name="--out")], json: Json = False) -> None:
    """Makes the NATS users' keys and the server's list of them.

    A seed that is there is kept. To give a user a new one, remove its file and run this again.

    Parameters
    ----------
    out
        The folder: a seed per user in `USER/USER.nk`, and `server/accounts.conf`.
    """
    from ictus.nkeys import keep

    found = keep(out)
    if json:
        put_json(found)
    else:
        _tell(found)


def _tell(found: "Nkeys") -> None:
    for label, users in (("made", found.made), ("kept", found.kept)):
        if users:
            tell(f"{label}: {', '.join(users)}")
    if found.changed:
        tell(f"{found.accounts} is new: nats-server reads it at its start, or on SIGHUP")
    else:
        tell(f"{found.accounts} is as it was")
