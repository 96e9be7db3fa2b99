"""`ictus audit …`."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ictus.cli.errors import UNVERIFIED
from ictus.cli.options import Data, Json, house, put_json, put_table, tell

if TYPE_CHECKING:
    from ictus.wiring import House
    from workers.witness.audit import Report

Key = Annotated[
    str | None,
    Parameter(help="The witness's public key, as an auditor was given it (this machine's)."),
]


def verify(*, key: Key = None, data: Data = None, json: Json = False) -> None:
    """Compares stream, witness, archive and signed heads."""
    asyncio.run(_verify(key, data, json))


def proof(
    case: str,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Writes a case's events with proof that nobody changed them.

    Parameters
    ----------
    case
        The code on the card, or the UUID.
    out
        The file; `python verify.py FILE` checks it anywhere.
    """
    asyncio.run(_proof(case, out, key, data, json))


async def _verify(key: str | None, data: str | None, json: bool) -> None:
    from nats.js.errors import NotFoundError

    from ictus.witness import audit_means
    from workers.witness import audit

    async with house(data, "auditor") as opened:
        doubt = await _durability(opened)
        means = audit_means(opened, key)
        try:
            report = await audit.verify(means)
        except NotFoundError:
            lost = await audit.gone(means)
            if lost is None:
                raise
            report = lost
    if json:
        told = {name: getattr(report, name) for name in report.__struct_fields__}
        put_json(told | {"durability": doubt or "synced before acknowledged"})
    else:
        _tell(report)
    if doubt:
        tell(f"UNSAFE DURABILITY: {doubt} A power cut may lose events that were acknowledged.")
    if not report.whole:
        raise SystemExit(UNVERIFIED)


async def _durability(opened: "House") -> str:
    """Why an acknowledged event may not be on the disk; empty when it is."""
    from adapters.storage.streams import Unfit, check_durability

    monitor_url = opened.settings.nats.monitor_url
    if not monitor_url:
        return "it cannot be proved: set ICTUS_NATS__MONITOR_URL to the server's `http` address."
    try:
        await check_durability(opened.client, monitor_url)
    except Unfit as unfit:
        return str(unfit)
    return ""


def _tell(report: "Report") -> None:
    tell(f"ledger {report.ledger} ({report.origin}), witness {report.key}")
    if report.origin:
        tell(f"{report.witnessed} events compared in stream, postgres, tiles, archive and heads")
    else:
        tell(
            f"{report.witnessed} events were witnessed: `ictus audit repair` or `restore` brings them back"
        )
    if report.unwitnessed:
        first = report.witnessed + 1
        tell(f"not witnessed yet: sequences {first} to {report.head}")
    if report.whole:
        tell("whole")
    else:
        rows = [(each.where, each.sequence, each.what) for each in report.findings]
        put_table("DAMAGED", ("where", "from sequence", "what"), rows)


async def _proof(case: str, out: Path, key: str | None, data: str | None, json: bool) -> None:
    from domain.errors import NoSuchCase
    from domain.events import CASE
    from ictus.cli.cases import case_id_of
    from ictus.witness import public_key
    from workers.witness.proof import prove

    async with house(data, "auditor") as opened:
        case_id = await case_id_of(opened, case)
        events = await opened.books.ledger.load(CASE.name, case_id)
        if not events:
            raise NoSuchCase(f"no case `{case}`")
        ledger = (await opened.books.ledger.head()).ledger
        proved = await prove(
            opened.blobs, public_key(opened.settings, key), ledger, case_id, events
        )
    await asyncio.to_thread(out.write_bytes, proved.text().encode())
    pending = len(events) - len(proved.events)
    if pending:
        tell(f"{pending} of {len(events)} events are not witnessed yet and not in {out}")
    if json:
        put_json({"case": case_id, "events": len(proved.events), "pending": pending})
    else:
        tell(f"{len(proved.events)} events proved in {out}; witness {proved.key}")
