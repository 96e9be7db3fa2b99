"""The whole ingest pipeline on local files: one typed outcome each, no server, nothing kept."""

import asyncio
import os
import stat
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from errno import EINVAL
from pathlib import Path

import msgspec
from msgspec.structs import replace

from commands.ports import Missing
from domain.case import Reason
from domain.stroke import Modality
from workers.ingest.outcome import Detected, Examined, Ingested, Refused, Technical, Warned
from workers.ingest.pipeline import PROFILE
from workers.ingest.sandbox import Sandbox
from workers.ingest.sniff import EXTRAS, IMAGE_BYTES_MAX, can_read
from workers.modalities import coaching_key
from workers.pixels import Box
from workers.texts import LANGUAGES, plainly

STEM_CHARACTERS_MAX = 60
"""Of a file's name in that of its picture: with the rest no more than the 255 bytes a name may have."""


class Inspected(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one file. Boxes are x, y, width, height in the decoded picture; never text."""

    file: str
    outcome: str
    """Ingested, rejected, quarantined; failed: it could not be read, so nothing is known of it."""
    reason: Reason | None = None
    detected: Detected | None = None
    modality: Modality | None = None
    """What a refused picture was recognised as."""
    sequences: tuple[Modality, ...] = ()
    """What each head was recognised as."""
    coaching: Mapping[str, str] = {}
    """Language to what its sender would be told."""
    hint: str | None = None
    """What to install so that files of this type are read, or why nothing could be read."""
    heads: tuple[Box, ...] = ()
    """These, `text`, `source` and `quality`: of a refused picture too, as far as it came."""
    text: tuple[Box, ...] = ()
    """Where text was blanked on the heads."""
    source: str | None = None
    quality: Mapping[str, int] = {}
    warnings: tuple[str, ...] = ()
    hints: Mapping[str, tuple[str, ...]] = {}
    """Language to what would make an accepted picture more reliable, one sentence per warning."""
    masked_permille: int | None = None
    sha256: str | None = None
    pixels: str | None = None
    phash: str | None = None
    fingerprints: tuple[str, ...] = ()
    technical: Technical = {}
    """How a DICOM frame was acquired."""
    cpu_ms: Mapping[str, float] = {}
    """Milliseconds of processor time by step."""
    beside: str | None = None
    """The file that shows before and after; of every picture that was decoded."""
    profile: str = PROFILE


def files_in(paths: Iterable[Path]) -> list[Path]:
    """What is named and all that lies below the folders named, hidden ones left out, even what is no
    file or is not there; Missing if nothing is."""
    found: list[Path] = []
    for path in paths:
        found += sorted(below(path)) if is_a(stat.S_IFDIR, path) else [path]
    if not any(map(is_there, found)):
        raise Missing("there is no file at " + ", ".join(f"`{spelt(path)}`" for path in paths))
    return found


def below(folder: Path) -> Iterator[Path]:
    """All but folders, and links to them, which are not followed."""
    for each in folder.rglob("*"):
        is_shown = not any(part.startswith(".") for part in each.relative_to(folder).parts)
        if is_shown and (each.is_symlink() or not each.is_dir()):
            yield each


def is_there(path: Path) -> bool:
    """Whether there is such a name, be it a link that leads nowhere."""
    try:
        path.lstat()
    except OSError:  # a name too long, too
        return False
    return True


def is_a(kind: int, path: Path) -> bool:
    """Whether a path leads to this type of file."""
    try:
        return stat.S_IFMT(path.stat().st_mode) == kind
    except OSError:
        return False


def spelt(path: Path) -> str:
    """A path as text: what is not UTF-8 in it as `\\xff`."""
    return os.fsencode(path).decode(errors="backslashreplace")


async def inspect(files: Iterable[Path], out: Path | None) -> AsyncGenerator[Inspected]:
    """Every file's outcome, in their order; before and after are written into the folder `out`."""
    if out:
        await asyncio.to_thread(out.mkdir, parents=True, exist_ok=True)
    children = os.cpu_count() or 1
    begun: deque[asyncio.Task[Inspected]] = deque()
    async with Sandbox(children) as sandbox:
        try:
            for number, file in enumerate(files, 1):
                beside = (
                    out / f"{number:04d}-{file.stem[:STEM_CHARACTERS_MAX]}.jpg" if out else None
                )
                begun.append(asyncio.create_task(_inspected(sandbox, file, beside)))
                if len(begun) > 2 * children:
                    yield await begun.popleft()
            while begun:
                yield await begun.popleft()
        finally:
            for task in begun:
                task.cancel()
            await asyncio.gather(*begun, return_exceptions=True)


async def _inspected(sandbox: Sandbox, file: Path, beside: Path | None) -> Inspected:
    try:
        data = await asyncio.to_thread(_beginning, file)
    except OSError as error:
        return Inspected(
            file=spelt(file),
            outcome="failed",
            reason="failed",
            coaching=_told("failed"),
            hint=error.strerror,
        )
    examined = await sandbox.examine(data, beside=beside is not None)
    if beside and examined.beside:
        await asyncio.to_thread(beside.write_bytes, examined.beside)
    return _described(file, examined, beside)


def _beginning(file: Path) -> bytes:
    """The file's bytes, but never more than shows that there are too many. OSError."""
    if not stat.S_ISREG(file.stat().st_mode):  # a pipe may never end, a device may do anything
        raise OSError(EINVAL, "Not a regular file")
    with file.open("rb") as stream:
        return stream.read(IMAGE_BYTES_MAX + 1)


def _described(file: Path, examined: Examined, beside: Path | None) -> Inspected:
    seen = Inspected(
        file=spelt(file),
        outcome="ingested",
        heads=examined.heads,
        text=examined.text,
        source=examined.source,
        quality=examined.quality,
        technical=examined.technical,
        cpu_ms={step: spent / 1000 for step, spent in examined.cpu_us.items()},
        beside=spelt(beside) if beside and examined.beside else None,
    )
    match examined.outcome:
        case Refused(outcome=outcome, reason=reason, detected=detected, modality=modality):
            return replace(
                seen,
                outcome=outcome,
                reason=reason,
                detected=detected,
                modality=modality,
                coaching=_told(reason, modality),
                hint=_hint(detected),
            )
        case Ingested() as kept:
            return replace(
                seen,
                sequences=kept.sequences,
                warnings=kept.warnings,
                hints=_hinted(kept.warnings),
                masked_permille=kept.masked_permille,
                sha256=kept.sha256,
                pixels=kept.pixel_sha256,
                phash=kept.phash,
                fingerprints=kept.fingerprints,
            )


def _told(reason: Reason, modality: Modality | None = None) -> dict[str, str]:
    return {language: plainly(language, coaching_key(reason, modality)) for language in LANGUAGES}


def _hinted(warnings: Iterable[Warned]) -> dict[str, tuple[str, ...]]:
    return {
        language: tuple(plainly(language, f"warned-{warning}") for warning in warnings)
        for language in LANGUAGES
    }


def _hint(detected: Detected | None) -> str | None:
    if detected is None or detected not in EXTRAS or can_read(detected):
        return None
    return f"pip install 'ictus[{detected}]'"


def rows(found: Iterable[Inspected]) -> Iterator[tuple[str, str, str, str]]:
    """File, outcome, why or how good, and seconds: for people."""
    for one in found:
        why = f"{one.reason}: {one.coaching['en']}" if one.reason else None
        measures = ", ".join(f"{name} {value}" for name, value in one.quality.items())
        why = f"{why} ({one.hint})" if one.hint else why
        told = "; ".join(filter(None, (why, measures, *one.warnings)))
        yield one.file, one.outcome, told, f"{sum(one.cpu_ms.values()) / 1000:.2f}"
