"""How often a message was tried, and who waits for it meanwhile: one shared note per line.

A message that fails is put back and comes again later, perhaps to another process, or after its
process was killed. The note outlives them: it counts the attempts at the first message of the line,
and later messages of the line enter themselves and wait for their turn, so that none overtakes.
"""

from collections.abc import Callable

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from commands.ports import Board
from workers.reactor import Failed

Change = Callable[["Note", int], "Note"]


class Note(Struct, frozen=True):
    """Sequences in order; `attempts` at the first of them, and how the last one `failed`."""

    sequences: tuple[int, ...] = ()
    attempts: int = 0
    failed: Failed | None = None

    def admits(self, sequence: int) -> bool:
        return not self.sequences or sequence <= self.sequences[0]


def joined(note: Note, sequence: int) -> Note:
    """A message earlier than all others has its own attempts before it."""
    if sequence in note.sequences:
        return note
    if note.admits(sequence):
        return Note((sequence, *note.sequences))
    return replace(note, sequences=tuple(sorted((*note.sequences, sequence))))


def left(note: Note, sequence: int) -> Note:
    if sequence not in note.sequences:
        return note
    others = tuple(other for other in note.sequences if other != sequence)
    return Note(others) if sequence == note.sequences[0] else replace(note, sequences=others)


def counted(note: Note, sequence: int) -> Note:
    """One more attempt begins, or has just failed."""
    note = joined(note, sequence)
    return replace(note, attempts=note.attempts + 1) if note.admits(sequence) else note


def uncounted(note: Note, sequence: int) -> Note:
    """The attempt says nothing about the message: the world was away."""
    if sequence not in note.sequences[:1]:
        return note
    return replace(note, attempts=note.attempts - 1) if note.attempts > 1 else left(note, sequence)


def with_failure(note: Note, failed: Failed) -> Note:
    return replace(note, failed=failed)


async def read(board: Board, key: str) -> Note:
    note, _ = await board.read(key)
    return _decoded(note)


async def change(board: Board, key: str, how: Callable[[Note], Note]) -> Note:
    """What the note is after `how` changed it, whoever else changes it too. Raises Unavailable."""
    while True:
        stored, version = await board.read(key)
        before = _decoded(stored)
        after = how(before)
        if after == before:
            return before
        new = msgspec.json.encode(after) if after != Note() else b""
        if await board.write(key, new, version):
            return after


def _decoded(note: bytes) -> Note:
    return msgspec.json.decode(note, type=Note) if note else Note()
