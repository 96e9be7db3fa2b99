"""`ictus doctor`: is everything as it must be, and if not, how to mend it."""

import asyncio

from ictus.cli.errors import PRECONDITION
from ictus.cli.options import Data, Json, put_json, put_table, read_settings


def doctor(*, data: Data = None, json: Json = False) -> None:
    """Checks every part and says how to mend it."""
    asyncio.run(_doctor(data, json))


async def _doctor(data: str | None, json: bool) -> None:
    from ictus.examine import examine
    from ictus.stack import attached

    async with attached(read_settings(data)) as settings:
        findings = [finding async for finding in examine(settings)]
    healthy = all(finding.ok for finding in findings)
    if json:
        put_json({"healthy": healthy, "findings": findings})
    else:
        rows = [("ok" if f.ok else "WRONG", f.what, f.told) for f in findings]
        put_table("ictus doctor", ("", "what", "finding"), rows)
    if not healthy:
        raise SystemExit(PRECONDITION)
