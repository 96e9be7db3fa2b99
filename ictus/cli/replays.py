"""`ictus model replay` and `ictus case explain`: models asked again about what was."""

import asyncio
from pathlib import Path

from ictus.cli.errors import UNVERIFIED
from ictus.cli.options import AsOf, Data, Json, house, put_json, put_table, sequence_of, tell
from ictus.cli.progress import progress
from ictus.places import prove_file, prove_folder


def replay(
    bundle: Path,
    *,
    as_of: AsOf = None,
    out: Path | None = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """What a bundle would have told every past case.

    Beside what was told. The same bundle over the same events always gives the same lines, and their SHA-256.

    Parameters
    ----------
    bundle
        A folder; it need not be registered, and nobody is told anything.
    out
        A file for one JSON object per case.
    """
    if out:
        prove_file(out)
    asyncio.run(_replay(bundle, as_of, out, data, json))


def explain(
    case: str,
    *,
    as_of: AsOf = None,
    out: Path | None = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Makes a case's last prediction again, bit for bit.

    From the same bundle and the same pixels. Exits 4 when anything comes out otherwise than it is recorded.

    Parameters
    ----------
    case
        Code or UUID.
    out
        A folder for the images, with what mattered in colour.
    """
    if out:
        prove_folder(out)
    asyncio.run(_explain(case, as_of, out, data, json))


async def _replay(
    bundle: Path, as_of: str | None, out: Path | None, data: str | None, json: bool
) -> None:
    import msgspec

    from ictus.counterfactual import replayed

    async with house(data) as opened:
        with progress("cases") as told:
            found, lines = await replayed(opened, bundle, await sequence_of(opened, as_of), told)
    if out:
        encoded = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        await asyncio.to_thread(out.write_bytes, encoded)
    if json:
        put_json(found)
        return
    rows = [
        (line.code, line.images, line.was or "nothing", line.would_be, line.cause)
        for line in lines
        if line.flipped
    ]
    put_table("Flipped", ("case", "images", "was told", "would be told", "cause"), rows)
    tell(
        f"{found.name} {found.version} as of event {found.as_of}: {found.cases} cases,"
        f" {found.flipped} flipped; of {found.labelled} with a confirmed cause"
        f" {found.right} were told it, {found.would_be_right} would be; sha256 {found.sha256}"
    )


async def _explain(
    case: str, as_of: str | None, out: Path | None, data: str | None, json: bool
) -> None:
    from ictus.cli.cases import case_id_of
    from ictus.explanation import explained

    async with house(data) as opened:
        with progress("images") as told:
            found = await explained(
                opened,
                await case_id_of(opened, case),
                await sequence_of(opened, as_of),
                out,
                told,
            )
    if json:
        put_json(found)
    else:
        rows = [
            (digest[:12], f"{share / 10:g} %") for digest, share in found.attention_permille.items()
        ]
        put_table("What each image counted", ("image", "share"), rows)
        tell(", ".join(f"{cause} {permille / 10:g} %" for cause, permille in found.ranked))
        tell(f"model {found.model_sha256[:12]}, event {found.sequence}, {found.runtime_now}")
        tell(
            "reproduced bit for bit" if found.reproduced else f"DIFFERS: {', '.join(found.differs)}"
        )
    if not found.reproduced:
        raise SystemExit(UNVERIFIED)
