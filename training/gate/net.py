"""Trains one of the gate's nets: `python -m training.gate.net sequence|page --out FILE [--seed N]`.

The recipe is here and in the drawings beside: nothing is trained on but what these draw. The exported net
tells how likely each class is and how strange a picture is: its distance from the nearest class of scans, at
two depths of the net (Mahalanobis, one covariance for all), over the distance that all but RARE of the scans
keep. Several members, trained apart on the same pictures, are asked together: what one of them takes for a
head by mistake, another does not. Beside the ONNX file its recipe is written as JSON.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
import torch
from msgspec import Struct, structs, to_builtins
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.gate import heads, pages
from training.gate.judge import GateNet, Judge, Near, distance, together
from workers.ingest.recognise import ANY_MRI, MRI, PAGES, SEQUENCES, STRANGE

OPSET: Final = 18
RARE: Final = 0.002
"""Share of the drawn scans that may be called strange."""

SHRINKAGE: Final = 0.02
"""Of the covariance towards a multiple of one, so that no direction counts for too much."""

SMOOTHING: Final = 0.02
MEMBERS_APART: Final = 100
"""Between the seeds of one member and the next."""
PART: Final = 200
"""Pictures drawn at a time by one process."""

Which = Literal["sequence", "page"]
Drawn = tuple[NDArray[np.float32], NDArray[np.int64]]


class Task(NamedTuple):
    """What a net tells apart, in how many colours, and who draws it: (count, seed) to pictures, classes."""

    classes: tuple[str, ...]
    channels: int
    draw: Callable[[int, int], Drawn]


TASKS: Final[dict[Which, Task]] = {
    "sequence": Task(SEQUENCES, 1, heads.many),
    "page": Task(PAGES, 3, pages.many),
}


class Recipe(Struct, frozen=True):
    """All that makes a net: the same recipe, the same net (on the same build of torch)."""

    net: Which
    seed: int
    pictures: int
    epochs: int
    widths: tuple[int, ...] = (12, 24, 40, 56)
    batch: int = 64
    learning_rate: float = 3e-3
    threads: int = 1
    processes: int = 2
    members: int = 1
    """Nets trained apart, of which the mean is taken."""

    def of(self, member: int) -> "Recipe":
        """The recipe of one of them."""
        return structs.replace(self, seed=self.seed + member * MEMBERS_APART)


def loss_of(logits: Tensor, classes: Tensor) -> Tensor:
    """Cross-entropy; of a head whose sequence nobody knows, only that it is one of MRI's."""
    known = classes != ANY_MRI
    sure = functional.cross_entropy(
        logits[known], classes[known], label_smoothing=SMOOTHING, reduction="sum"
    )
    logs = torch.log_softmax(logits[~known], 1)[:, : len(MRI)]
    return (sure - logs.logsumexp(1).sum()) / len(classes)


def train(recipe: Recipe, drawn: Drawn) -> GateNet:
    """The trained net."""
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    task = TASKS[recipe.net]
    net = GateNet(task.channels, len(task.classes), recipe.widths)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(net.parameters(), lr=recipe.learning_rate, weight_decay=1e-3)
    steps = recipe.epochs * (len(drawn[1]) // recipe.batch)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate, steps)
    for epoch in range(recipe.epochs):
        told = 0.0
        for pictures, classes in batches(drawn, recipe, epoch):
            loss = loss_of(net(pictures), classes)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            plan.step()
            told += loss.item()
        sys.stderr.write(f"epoch {epoch + 1} loss {told * recipe.epochs / steps:.4f}\n")
    return net.eval()


def batches(drawn: Drawn, recipe: Recipe, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Every picture once, in another order each time, half of them mirrored."""
    rng = np.random.default_rng([recipe.seed, epoch])
    order = rng.permutation(len(drawn[1]))
    for start in range(0, len(order) - recipe.batch + 1, recipe.batch):
        chosen = order[start : start + recipe.batch]
        pictures = drawn[0][chosen]
        if rng.random() < 0.5:
            pictures = pictures[..., ::-1]
        yield torch.from_numpy(np.ascontiguousarray(pictures)), torch.from_numpy(drawn[1][chosen])


@torch.no_grad()
def judged(net: GateNet, fitted: Drawn, held_out: Drawn, classes: Sequence[str]) -> Judge:
    """The net with what is near: centres and covariance of one set, limits of another."""
    home = [at for at, name in enumerate(classes) if name != STRANGE]
    near = []
    for seen, others in zip(depths_of(net, fitted[0]), depths_of(net, held_out[0]), strict=True):
        known = torch.from_numpy(fitted[1])
        means = torch.stack([seen[known == at].mean(0) for at in home])
        inside = torch.cat([seen[known == at] - means[at_] for at_, at in enumerate(home)])
        whiten = whitening(inside)
        scans = torch.from_numpy(np.isin(held_out[1], [*home, ANY_MRI]))
        far = distance(others[scans], whiten, means @ whiten)
        near.append(Near(whiten, means @ whiten, float(torch.quantile(far, 1 - RARE))))
    return Judge(net, near).eval()


def depths_of(net: GateNet, pictures: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
    """Features of many pictures at both depths."""
    parts = [net.depths(part) for part in torch.split(torch.from_numpy(pictures), 256)]
    return torch.cat([early for early, _ in parts]), torch.cat([late for _, late in parts])


def whitening(inside: Tensor) -> Tensor:
    """What makes the spread within classes round."""
    spread = inside.T @ inside / len(inside)
    width = len(spread)
    spread = (1 - SHRINKAGE) * spread + SHRINKAGE * spread.trace() / width * torch.eye(width)
    inverse: Tensor = torch.linalg.inv(torch.linalg.cholesky(spread))
    return inverse.T


def drawn_by(recipe: Recipe, count: int, seed: int) -> Drawn:
    """Pictures in the order of their numbers, however many processes draw them."""
    seeds = [1000 * seed + part for part in range(count // PART)]
    with ProcessPoolExecutor(recipe.processes, get_context("spawn")) as pool:
        parts = list(pool.map(partial(TASKS[recipe.net].draw, PART), seeds))
    pictures, classes = zip(*parts, strict=True)
    return np.concatenate(pictures), np.concatenate(classes)


@torch.no_grad()
def figures(judge: nn.Module, held_out: Drawn, classes: Sequence[str]) -> dict[str, float]:
    """How often held-out drawings of the trained kinds are told right, by class."""
    parts = [judge(part)[0] for part in torch.split(torch.from_numpy(held_out[0]), 256)]
    said = torch.cat(parts).argmax(1).numpy()
    return {
        name: round(float((said[held_out[1] == at] == at).mean()), 4)
        for at, name in enumerate(classes)
    }


def export(judge: nn.Module, channels: int, side: int, path: Path) -> str:
    """Writes the ONNX file; its hex SHA-256."""
    torch.onnx.export(
        judge,
        (torch.zeros(2, channels, side, side),),
        path,
        input_names=["pictures"],
        output_names=["chances", "strangeness"],
        dynamic_axes={"pictures": {0: "pictures"}},
        opset_version=OPSET,
        dynamo=False,
    )
    return sha256(path.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.gate.net", description=__doc__)
    parser.add_argument("net", choices=list(TASKS))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pictures", type=int, default=14_000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--members", type=int, default=1, help="nets asked together")
    given = parser.parse_args()
    recipe = Recipe(given.net, given.seed, given.pictures, given.epochs, members=given.members)
    task = TASKS[recipe.net]
    drawn = drawn_by(recipe, recipe.pictures, recipe.seed)
    held_out = drawn_by(recipe, max(PART, recipe.pictures // 5), recipe.seed + 1)
    nets = (train(recipe.of(member), drawn) for member in range(recipe.members))
    judge = together([judged(net, drawn, held_out, task.classes) for net in nets])
    digest = export(judge, task.channels, drawn[0].shape[-1], given.out)
    told = {
        **to_builtins(recipe),
        "classes": task.classes,
        "torch": torch.__version__,
        "sha256": digest,
        "right": figures(judge, held_out, task.classes),
        "rare": RARE,
    }
    given.out.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n")
    sys.stderr.write(f"{json.dumps(told)}\n")


if __name__ == "__main__":
    main()
