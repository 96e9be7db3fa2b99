"""A dataset's folder held against the ledger and the witness it names, where they can be reached."""

import asyncio
from collections.abc import AsyncIterator
from itertools import zip_longest
from pathlib import Path

from adapters.datasets.checks import Problem
from adapters.datasets.layout import LOG, ROWS, Manifest, lines_of, read_manifest
from adapters.datasets.verifying import Report
from adapters.storage.signing import VerifyingKey, parse_verifier_key
from commands.ports import Damaged, Ledger, Missing
from ictus.settings import BadSetting
from ictus.wiring import House
from projections import builder
from projections.feed import closing
from projections.rows import PROJECTOR_VERSION
from workers.witness.notes import PublicKey
from workers.witness.prefix import split, take

LEDGER = "ledger"


def given_key(text: str | None) -> VerifyingKey | None:
    """Raises BadSetting for text that is no public key."""
    if text is None:
        return None
    try:
        return parse_verifier_key(text)[1]
    except ValueError:
        raise BadSetting(f"`{text}` is not a public key") from None


async def held_against(house: House, folder: Path, report: Report) -> Report:
    """The report, and where this house's ledger says otherwise; as it was when the folder is
    damaged or of another ledger. Raises Unavailable."""
    if not report.whole:
        return report
    manifest = await asyncio.to_thread(read_manifest, folder)
    head = await house.books.ledger.head()
    if head.ledger != manifest.ledger:
        return report
    problems = [problem async for problem in _problems(house, folder, manifest, report)]
    return report.held_against(f"ledger {head.ledger}, {head.sequence} events", problems)


async def _problems(
    house: House, folder: Path, manifest: Manifest, report: Report
) -> AsyncIterator[Problem]:
    ledger = house.books.ledger
    if (await ledger.head()).sequence < manifest.as_of:
        yield Problem(LEDGER, f"it ends before event {manifest.as_of}")
        return
    if manifest.projector == PROJECTOR_VERSION:
        for problem in await _of_rows(ledger, folder, manifest):
            yield problem
    if report.witness:
        entries = await asyncio.to_thread((folder / LOG).read_bytes)
        for problem in await _of_events(ledger, entries):
            yield problem
        for problem in await _of_witness(house, parse_verifier_key(report.witness)[1], entries):
            yield problem


async def _of_rows(ledger: Ledger, folder: Path, manifest: Manifest) -> list[Problem]:
    """The first row that a build of today would not make."""
    built = await builder.build(ledger, manifest.spec, manifest.as_of)
    pairs = zip_longest(lines_of(folder), built.encoded)
    wrong = (number for number, (line, now) in enumerate(pairs, 1) if line != now)
    return [
        Problem(ROWS, "not what its events say", number, number)
        for number in [await asyncio.to_thread(next, wrong, 0)]
        if number
    ]


async def _of_events(ledger: Ledger, entries: bytes) -> list[Problem]:
    """The first event that is not the one in the folder's log."""
    hashes = split(entries)
    async with closing(ledger.read()) as events:
        async for recorded in events:
            entry = next(hashes, None)
            if entry is None:
                break
            if entry.hex() != recorded.hash:
                return [Problem(LEDGER, f"event {recorded.sequence} is not the witnessed one")]
    return []


async def _of_witness(house: House, key: PublicKey, entries: bytes) -> list[Problem]:
    """The witness's log of today must begin with the folder's."""
    ledger = (await house.books.ledger.head()).ledger
    try:
        log = await take(house.blobs, key, ledger, len(entries) // 32)
    except (Missing, Damaged) as wrong:
        return [Problem("witness", str(wrong))]
    same = log.entries == entries
    return [] if same else [Problem("witness", "its log is not the one this folder was made from")]
