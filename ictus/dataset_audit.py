"""A dataset's folder held against the ledger and the witness it names, where they can be reached."""

import asyncio
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from msgspec.structs import replace

from adapters.datasets.checks import Problem
from adapters.datasets.layout import LOG, ROWS, Manifest, leaves, lines_of, read_manifest
from adapters.datasets.verifying import Report
from adapters.storage.signing import VerifyingKey, existing_signing_key, parse_verifier_key
from commands.ports import Damaged, Ledger, Missing
from ictus.datasets import key_file
from ictus.settings import BadSetting, Settings
from ictus.wiring import House
from projections import builder
from projections.feed import closing
from projections.rows import PROJECTOR_VERSION, decode
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


def is_own(settings: Settings, key: str) -> bool:
    """Whether it is the key with which this machine signs datasets."""
    file, given = key_file(settings), given_key(key)
    return given is not None and file.exists() and existing_signing_key(file).public == given.public


async def held_against(house: House, folder: Path, report: Report) -> Report:
    """The report, and where this house's ledger says otherwise; as it was when the folder is
    damaged or of another ledger. Raises Unavailable."""
    if not report.whole:
        return report
    manifest = await asyncio.to_thread(read_manifest, folder)
    head = await house.books.ledger.head()
    if head.ledger != manifest.ledger:
        return report
    live = f"ledger {head.ledger}, {head.sequence} events"
    if head.sequence < manifest.as_of:
        return report.held_against(live, [Problem(LEDGER, f"it has no event {manifest.as_of}")])
    since, of_rows = await _of_rows(house.books.ledger, folder, manifest)
    of_events = await _of_events(house, folder, report) if report.witness else []
    return replace(report, erased_since=since).held_against(live, [*of_rows, *of_events])


async def _of_rows(ledger: Ledger, folder: Path, manifest: Manifest) -> tuple[int, list[Problem]]:
    """How many rows were erased since, and the first row that a build of today would not make; rows
    that another projector made cannot be compared."""
    if manifest.projector != PROJECTOR_VERSION:
        return 0, []
    built = await builder.build(ledger, manifest.spec, manifest.as_of)
    now = leaves(((decode(line).case, line) for line in built.encoded), built.erased)
    wrong = await asyncio.to_thread(_first_difference, folder, manifest, now)
    return len(built.erased) - len(manifest.erased), wrong


def _first_difference(folder: Path, manifest: Manifest, now: Iterator[bytes]) -> list[Problem]:
    numbers = {decode(line).case: number for number, line in enumerate(lines_of(folder), 1)}
    cases = sorted([*numbers, *(gone.case for gone in manifest.erased)])
    was = leaves(((decode(line).case, line) for line in lines_of(folder)), manifest.erased)
    for case, then, today in zip_longest(cases, was, now):
        if then != today:
            number = numbers.get(case, 0)
            return [Problem(ROWS, "not what the ledger's events say", number, number)]
    return []


async def _of_events(house: House, folder: Path, report: Report) -> list[Problem]:
    entries = await asyncio.to_thread((folder / LOG).read_bytes)
    witness = parse_verifier_key(report.witness)[1]
    return [
        *await _in_ledger(house.books.ledger, entries),
        *await _of_witness(house, witness, entries),
    ]


async def _in_ledger(ledger: Ledger, entries: bytes) -> list[Problem]:
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
