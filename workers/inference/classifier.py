"""Reads a model bundle and predicts the cause of a stroke from a case's de-identified images."""

import platform
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Literal, NamedTuple, Self

import numpy as np
from msgspec import Struct

from domain.stroke import PREDICTED, Cause
from workers.inference.context import Context
from workers.inference.graphs import Bag, Floats, Graphs, OneGraph, Told, TwoGraphs
from workers.inference.manifest import BundleRefused, Manifest, checked_files, read_manifest
from workers.inference.runtime import CPU, fingerprint
from workers.pixels import PIXELS_VERSION, tiles

Decision = Literal["answer", "abstain", "out-of-distribution"]


class Prediction(Struct, frozen=True, kw_only=True):
    """Calibrated probabilities in permille, most likely cause first. `left_open` is that one alone if the
    model answers, and else every cause. `attention_permille` is each image's share, in the order given;
    `patterns` what the lesions look like, in permille. `runtime` names what computed it."""

    ranked: tuple[tuple[Cause, int], ...]
    interval_permille: tuple[int, int]
    decision: Decision
    left_open: tuple[Cause, ...]
    attention_permille: tuple[int, ...]
    patterns: dict[str, int] = {}
    distance: float = 0.0
    runtime: str


class Seen(NamedTuple):
    """An image's tiles (n, 1, side, side), and what each is told to be (n, s)."""

    tiles: Floats
    sequence: Floats


class Prepared(NamedTuple):
    """A case as the model takes it: tiles (n, 1, side, side), of which image each is (n,), of how
    many `images`, what each is told to be (n, s), context (c,)."""

    tiles: Floats
    image: tuple[int, ...]
    images: int
    sequence: Floats
    context: Floats


class NothingToSee(Exception):
    """None of the images holds a head."""


class Classifier:
    """A loaded bundle. Not thread-safe by promise; CPU-bound: call it away from an event loop.

    `predict` is `prepare`, `encode` and `decide` of one case; for many, tiles may be encoded and cases
    decided together: on a processor the bits of each stay as they are alone.
    """

    def __init__(self, manifest: Manifest, graphs: Graphs) -> None:
        self.manifest = manifest
        self.graphs = graphs
        self.runtime = _fingerprint(manifest, graphs)

    @classmethod
    def load(cls, folder: Path, providers: Sequence[str] = (CPU,)) -> Self:
        """Raises BundleRefused when a file is missing, altered or made for other pixels."""
        manifest = read_manifest(folder)
        files = checked_files(folder, manifest)
        if manifest.pixels != PIXELS_VERSION:
            raise BundleRefused(f"{folder} was trained on {manifest.pixels}, not {PIXELS_VERSION}.")
        kind = TwoGraphs if manifest.format == "bundle@2" else OneGraph
        return cls(manifest, kind(files, providers))

    def predict(
        self,
        derivatives: Sequence[bytes],
        context: Context = Context(),  # noqa: B008 - frozen
        sequences: Sequence[Sequence[str]] = (),
    ) -> Prediction:
        """The cause as ingest's derivatives show it, the same whatever their order.

        `sequences` are what ingest recognised each image's heads as. Raises NothingToSee when no image
        holds a head.
        """
        case = self.prepare(derivatives, context, sequences)
        return self.decide([(case, self.encode(case.tiles))])[0]

    def prepare(
        self,
        derivatives: Sequence[bytes],
        context: Context,
        sequences: Sequence[Sequence[str]] = (),
    ) -> Prepared:
        """Raises NothingToSee."""
        order = sorted(range(len(derivatives)), key=lambda at: sha256(derivatives[at]).digest())
        named = sequences or [()] * len(derivatives)
        return self.together([(at, self.see(derivatives[at], named[at])) for at in order], context)

    def see(self, derivative: bytes, sequences: Sequence[str]) -> Seen:
        found = tiles(derivative)
        return Seen(found, one_hot(sequences, self.manifest.sequences, len(found)))

    def together(self, images: Sequence[tuple[int, Seen]], context: Context) -> Prepared:
        """A case from its images, each with its place. Raises NothingToSee."""
        if not sum(len(seen.tiles) for _, seen in images):
            raise NothingToSee
        return Prepared(
            tiles=np.concatenate([seen.tiles for _, seen in images]),
            image=tuple(at for at, seen in images for _ in seen.tiles),
            images=len(images),
            sequence=np.concatenate([seen.sequence for _, seen in images]),
            context=context.vector(self.manifest.context),
        )

    def encode(self, tiles: Floats) -> Floats:
        """Tiles (n, 1, side, side) of any cases to embeddings (n, e)."""
        return self.graphs.encode(tiles)

    def decide(self, cases: Sequence[tuple[Prepared, Floats]]) -> list[Prediction]:
        """Of each case with the embeddings of its tiles."""
        told = self.told(cases)
        return [self._said(case, said) for (case, _), said in zip(cases, told, strict=True)]

    def told(self, cases: Sequence[tuple[Prepared, Floats]]) -> list[Told]:
        """What the graphs say, before any rounding or limit."""
        return self.graphs.decide([Bag(seen, case.sequence, case.context) for case, seen in cases])

    def interval(self, top: int) -> tuple[int, int]:
        """The 95 % interval of similar held-out cases, widened if need be to hold `top` itself."""
        rows = self.manifest.intervals
        row = next((row for row in rows if row.at_least <= top < row.below), rows[-1])
        return min(row.low, top), max(row.high, top)

    def _said(self, case: Prepared, told: Told) -> Prediction:
        permille = _permille(told.probability)
        ranked = sorted(zip(self.manifest.causes, permille, strict=True), key=lambda pair: -pair[1])
        decision = self._decision(tuple(ranked), told.distance)
        patterns = zip(self.manifest.patterns, told.pattern, strict=True)
        return Prediction(
            ranked=tuple(ranked),
            interval_permille=self.interval(ranked[0][1]),
            decision=decision,
            left_open=ranked[0][:1] if decision == "answer" else PREDICTED,
            attention_permille=_per_image(case, told.attention),
            patterns={name: round(1000 * float(share)) for name, share in patterns},
            distance=told.distance,
            runtime=self.runtime,
        )

    def _decision(self, ranked: tuple[tuple[Cause, int], ...], distance: float) -> Decision:
        """It answers when the most likely cause, and no other, is left open."""
        farthest = self.manifest.distance_max
        if farthest is not None and distance > farthest:
            return "out-of-distribution"
        top, permille = ranked[0]
        limits = self.manifest.conformal.limits if self.manifest.conformal else None
        alone = limits is None or [c for c, said in ranked if said >= limits[c]] == [top]
        return "answer" if alone and permille >= self.manifest.abstain_below else "abstain"


def one_hot(names: Sequence[str], known: Sequence[str], count: int) -> Floats:
    """What each of an image's `count` tiles is told to be, float32 (count, known): nothing, where ingest
    did not name as many heads."""
    told = names if len(names) == count else [""] * count
    return np.array([[name == each for each in known] for name in told], np.float32).reshape(
        count, len(known)
    )


def _permille(probability: Floats) -> list[int]:
    """Whole permille that sum to 1000: the last cause takes the rounding."""
    head = [round(1000 * float(share)) for share in probability[:-1]]
    return [*head, 1000 - sum(head)]


def _per_image(case: Prepared, attention: Floats) -> tuple[int, ...]:
    image = np.array(case.image)
    shares = (attention[image == at].sum() for at in range(case.images))
    return tuple(round(1000 * float(share)) for share in shares)


def _fingerprint(manifest: Manifest, graphs: Graphs) -> str:
    """Library, provider, processor family and model: what a prediction's bits depend on."""
    by = fingerprint(graphs.providers)
    return f"{by} {platform.machine()} {manifest.pixels} {manifest.sha256[:12]}"
