"""A bundle's graphs in ONNX Runtime: the same bits for a case, whoever is beside it.

Sums over n numbers may be taken in another order for another n. So a case is always padded to a size of
its own, by its own number of tiles, and a batch has two cases at least.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from workers.inference.manifest import ENCODER_FILE, HEAD_FILE, MODEL_FILE
from workers.inference.runtime import Graph

PLACES_MIN: Final = 8
BATCH_MIN: Final = 2
TILES_MAX: Final = 64
"""Encoded at a time: memory, not speed."""

Floats = NDArray[np.float32]


class Bag(NamedTuple):
    """A case: embeddings (n, e) of its tiles, what each is told to be (n, s), context (c,)."""

    embeddings: Floats
    sequence: Floats
    context: Floats


class Told(NamedTuple):
    """Calibrated probability (causes,), attention (n,), pattern (patterns,), and how far from what the
    model was trained on; patterns and distance are of bundle@2 only."""

    probability: Floats
    attention: Floats
    pattern: Floats
    distance: float


class Graphs(Protocol):
    """`providers` are what computes."""

    providers: tuple[str, ...]

    def encode(self, tiles: Floats) -> Floats:
        """Tiles (n, 1, side, side) to embeddings (n, e)."""
        ...

    def decide(self, bags: Sequence[Bag]) -> list[Told]: ...


class TwoGraphs:
    """A bundle@2."""

    def __init__(self, files: Mapping[str, bytes], providers: Sequence[str]) -> None:
        self._encoder = Graph(files[ENCODER_FILE], providers)
        self._head = Graph(files[HEAD_FILE], providers)
        self.providers = self._encoder.providers

    def encode(self, tiles: Floats) -> Floats:
        parts = [tiles[at : at + TILES_MAX] for at in range(0, len(tiles), TILES_MAX)]
        found = [self._encoder.run({"tiles": part})[0] for part in parts]
        return np.asarray(np.concatenate(found), np.float32)

    def decide(self, bags: Sequence[Bag]) -> list[Told]:
        alike = defaultdict(list)
        for at, bag in enumerate(bags):
            alike[places(len(bag.embeddings))].append(at)
        told: dict[int, Told] = {}
        for size, members in alike.items():
            chosen = [bags[at] for at in members]
            told |= zip(members, self._together(chosen, size), strict=True)
        return [told[at] for at in range(len(bags))]

    def _together(self, bags: Sequence[Bag], size: int) -> list[Told]:
        """Cases that are padded to the same number of tiles."""
        rows = [*bags, *[bags[0]] * (BATCH_MIN - len(bags))]
        inputs = {
            "embedding": np.stack([padded(bag.embeddings, size) for bag in rows]),
            "real": np.stack([np.arange(size) < len(bag.embeddings) for bag in rows]),
            "sequence": np.stack([padded(bag.sequence, size) for bag in rows]),
            "context": np.stack([bag.context for bag in rows]),
        }
        outputs = self._head.run(
            {name: inputs[name] for name in self._head.inputs},
            ("probability", "attention", "pattern", "distance"),
        )
        return [
            Told(probability, attention[: len(bag.embeddings)], pattern, float(distance))
            for bag, probability, attention, pattern, distance in zip(bags, *outputs, strict=False)
        ]


class OneGraph:
    """A bundle@1: its one graph takes a case's tiles, so that there is nothing to encode."""

    def __init__(self, files: Mapping[str, bytes], providers: Sequence[str]) -> None:
        self._graph = Graph(files[MODEL_FILE], providers)
        self.providers = self._graph.providers

    def encode(self, tiles: Floats) -> Floats:
        return tiles

    def decide(self, bags: Sequence[Bag]) -> list[Told]:
        return [self._alone(bag) for bag in bags]

    def _alone(self, bag: Bag) -> Told:
        """Its third place in `af` is for `unknown`."""
        af = np.append(bag.context, np.float32(1 - bag.context.sum()))
        probability, attention = self._graph.run({"tiles": bag.embeddings, "af": af})
        return Told(probability, attention, np.zeros(0, np.float32), 0.0)


def places(tiles: int) -> int:
    """What a case of so many tiles is padded to: 8, 16, 32 …"""
    return max(PLACES_MIN, 1 << (tiles - 1).bit_length())


def padded(rows: Floats, size: int) -> Floats:
    return np.pad(rows, ((0, size - len(rows)), (0, 0)))
