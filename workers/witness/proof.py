"""What an auditor takes along: a case's events, each proved to be in the log that was signed.

`verify.py` in the root of the repository checks it with nothing but Python.
"""

import json
from base64 import b64encode
from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct, to_builtins

from commands.ports import Blobs, Damaged, Missing
from domain.events import Recorded
from domain.merkle import inclusion_path, verify_inclusion
from workers.witness import notes
from workers.witness.notes import PublicKey, log_name, verifier_key
from workers.witness.tiles import CHECKPOINT, Tiles

FORMAT = "ictus-proof-v1"


class ProvedEvent(Struct, frozen=True):
    """`payload` is the event's exact text; `path` the inclusion proof in base64, leaf upwards."""

    sequence: int
    payload: str
    path: list[str]


class Proof(Struct, frozen=True):
    """`key` is the witness's verifier key, `checkpoint` the signed note."""

    format: str
    key: str
    checkpoint: str
    case: UUID
    events: list[ProvedEvent]

    def text(self) -> str:
        """As it is written and as verify.py demands it, to the byte."""
        return json.dumps(to_builtins(self), indent=1, ensure_ascii=False) + "\n"


async def prove(
    blobs: Blobs, key: PublicKey, ledger: UUID, case: UUID, events: Sequence[Recorded]
) -> Proof:
    """Of those events that the last checkpoint covers. Raises Damaged when they are not the ones
    that were witnessed, Missing when nothing was."""
    name = log_name(ledger)
    try:
        note = await blobs.get(CHECKPOINT)
    except Missing:
        raise Missing("nothing was witnessed yet: is the role `witness` running?") from None
    checkpoint = notes.open_checkpoint(note, name, key)
    tiles = Tiles(blobs, checkpoint.size)
    proved = []
    for event in events:
        if event.sequence <= checkpoint.size:
            path = inclusion_path(event.sequence - 1, checkpoint.size)
            heads = [await tiles.head(*each) for each in path]
            leaf = bytes.fromhex(event.hash)
            if not verify_inclusion(
                leaf, event.sequence - 1, checkpoint.size, heads, checkpoint.root
            ):
                raise Damaged(f"event {event.sequence} is not the one that was witnessed")
            proved.append(_proved(event, heads))
    return Proof(FORMAT, verifier_key(name, key.public), note.decode(), case, proved)


def _proved(event: Recorded, path: list[bytes]) -> ProvedEvent:
    encoded = [b64encode(head).decode("ascii") for head in path]
    return ProvedEvent(event.sequence, event.payload.decode(), encoded)
