"""Trains the net that finds text on anatomy: `python -m training.overlay_net --out FILE --seed N`.

The whole recipe is here and in `training/overlays`: nothing is trained on but what the simulator draws
with the fonts of its `tuning` part. Beside the ONNX file its recipe is written as JSON, and every
SAVED_EVERY steps the weights so far.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Final, Literal

import torch
from msgspec import Struct, to_builtins
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from training.overlay_start import resume
from training.overlays.crops import FAINT_LEVELS, Crops, Faint, Sample
from training.overlays.remnants import Remnants

OPSET = 18
NETS = Path(__file__).parent.parent / "workers" / "ingest" / "nets"
WARM_STEPS = 50
SAMPLED = 12
"""Batches from which a net that is trained on gets back its norms' statistics."""
SAVED_EVERY = 500
POSITIVE_WEIGHT = 2.0
AMBIGUOUS_PX = 3
"""Beside ink, within this distance, either answer is right."""


Shown = Literal["crops", "remnants"]
SHOWN: Final[dict[Shown, Callable[[int, Faint], IterableDataset[Sample]]]] = {
    "crops": Crops,
    "remnants": Remnants,
}


class Recipe(Struct, frozen=True):
    """All that makes a net: the same recipe, the same net (on the same build of torch)."""

    seed: int
    steps: int
    widths: tuple[int, ...]
    batch: int = 16
    learning_rate: float = 4e-3
    threads: int = 1
    workers: int = 1
    start: str = ""
    """The net that is trained on; none, if empty."""
    faint_share: float = 0.0
    """Of lines, those hardly brighter or darker than what they lie on."""
    faint_levels: tuple[int, int] = FAINT_LEVELS
    """By so many grey levels, at least and at most."""
    reshaped_share: float = 0.0
    """Of lines, those in letters of no face that there is."""
    shown: Shown = "crops"
    """Crops as they are drawn, or what ingest leaves of them."""
    cool_steps: int = 0
    """The last steps, in which the learning rate falls to nothing; all of them, if 0."""

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        left = (self.steps - step) / (self.cool_steps or self.steps)
        return self.learning_rate * min(1, left, step / WARM_STEPS)


class OverlayNet(nn.Module):
    """RGB uint8 (N, H, W, 3), H and W multiples of 16, to logits of ink (N, 1, H/2, W/2)."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth = widths
        self.fine = conv(3, half, stride=2, side=6)
        self.down = nn.ModuleList(
            [
                nn.Sequential(conv(half, quarter, 2), conv(quarter, quarter)),
                nn.Sequential(conv(quarter, eighth, 2), conv(eighth, eighth)),
                nn.Sequential(conv(eighth, sixteenth, 2), conv(sixteenth, sixteenth)),
            ]
        )
        self.up = nn.ModuleList(
            [
                nn.Conv2d(sixteenth, eighth, 1),
                nn.Conv2d(eighth, quarter, 1),
                nn.Conv2d(quarter, half, 1),
            ]
        )
        self.mix = nn.ModuleList([conv(eighth, eighth), conv(quarter, quarter), conv(half, half)])
        self.last = nn.Conv2d(half, 1, 1)

    def forward(self, rgb: Tensor) -> Tensor:
        scaled = rgb.permute(0, 3, 1, 2).float() / 255 - 0.5
        levels = [self.fine(scaled)]
        for step in self.down:
            levels.append(step(levels[-1]))
        seen = levels.pop()
        for up, mix in zip(self.up, self.mix, strict=True):
            seen = mix(functional.interpolate(up(seen), scale_factor=2.0) + levels.pop())
        logits: Tensor = self.last(seen)
        return logits


def conv(wide_in: int, wide_out: int, stride: int = 1, side: int = 3) -> nn.Sequential:
    """Convolution, batch norm (folded on export), ReLU."""
    return nn.Sequential(
        nn.Conv2d(wide_in, wide_out, side, stride, (side - 1) // 2, bias=False),
        nn.BatchNorm2d(wide_out),
        nn.ReLU(inplace=True),
    )


def loss_of(logits: Tensor, ink: Tensor) -> Tensor:
    """Weighted cross-entropy plus Dice at half size; what lies beside ink does not count."""
    truth = functional.max_pool2d(ink[:, None].float(), 2)
    near = functional.max_pool2d(truth, 2 * (AMBIGUOUS_PX // 2 + 1) + 1, 1, AMBIGUOUS_PX // 2 + 1)
    counts = torch.maximum(truth, 1 - near)
    each = functional.binary_cross_entropy_with_logits(
        logits, truth, pos_weight=torch.tensor(POSITIVE_WEIGHT), reduction="none"
    )
    chance = torch.sigmoid(logits) * counts
    dice = 1 - (2 * (chance * truth).sum() + 1) / (chance.sum() + truth.sum() + 1)
    return (each * counts).sum() / counts.sum() + 0.5 * dice


def train(recipe: Recipe, saved: Path) -> tuple[OverlayNet, list[float]]:
    """The trained net and its loss after every hundred steps; its weights so far go to a file."""
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    net = OverlayNet(recipe.widths)
    data = batches(recipe)
    if recipe.start:
        resume(net, NETS / f"{recipe.start}.onnx", [rgb for rgb, _ in islice(data, SAMPLED)])
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(net.parameters(), lr=recipe.learning_rate, weight_decay=1e-4)
    losses: list[float] = []
    recent: list[float] = []
    for step, (rgb, ink) in enumerate(islice(data, recipe.steps)):
        optimiser.param_groups[0]["lr"] = recipe.rate(step)
        loss = loss_of(net(rgb), ink)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        recent.append(loss.item())
        if len(recent) == 100:
            losses.append(round(sum(recent) / 100, 4))
            sys.stderr.write(f"step {step + 1} loss {losses[-1]}\n")
            recent.clear()
        if (step + 1) % SAVED_EVERY == 0:
            torch.save(net.state_dict(), saved)
    return net.eval(), losses


def batches(recipe: Recipe) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches of crops and their ink."""
    faint = Faint(recipe.faint_share, recipe.faint_levels, recipe.reshaped_share)
    samples = SHOWN[recipe.shown](recipe.seed, faint)
    return iter(DataLoader(samples, recipe.batch, num_workers=recipe.workers))


def export(net: OverlayNet, path: Path) -> str:
    """Writes the ONNX file; its hex SHA-256."""
    torch.onnx.export(
        net.cpu(),
        (torch.zeros(1, 64, 96, 3, dtype=torch.uint8),),
        path,
        input_names=["rgb"],
        output_names=["logits"],
        dynamic_axes={"rgb": {1: "height", 2: "width"}},
        opset_version=OPSET,
        dynamo=False,
    )
    return sha256(path.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.overlay_net", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--widths", type=int, nargs=4, default=(12, 24, 32, 48))
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    parser.add_argument("--start", default="", help="name of the net to train on")
    parser.add_argument("--faint-share", type=float, default=0.0)
    parser.add_argument("--faint-levels", type=int, nargs=2, default=FAINT_LEVELS)
    parser.add_argument("--reshaped-share", type=float, default=0.0)
    parser.add_argument("--shown", choices=list(SHOWN), default="crops")
    parser.add_argument("--cool-steps", type=int, default=0, help="of slower and slower learning")
    given = parser.parse_args()
    recipe = Recipe(
        given.seed,
        given.steps,
        tuple(given.widths),
        learning_rate=given.learning_rate,
        start=given.start,
        faint_share=given.faint_share,
        faint_levels=tuple(given.faint_levels),
        reshaped_share=given.reshaped_share,
        shown=given.shown,
        cool_steps=given.cool_steps,
    )
    net, losses = train(recipe, given.out.with_suffix(".pt"))
    digest = export(net, given.out)
    told = {**to_builtins(recipe), "torch": torch.__version__, "sha256": digest, "losses": losses}
    given.out.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
