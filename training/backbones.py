"""Encoders of one tile, in plain torch: a MobileNet's class by default, ResNet18, and a plain strided net.

Normalised per sample (GroupNorm; Y. Wu, K. He, ECCV 2018): what is said of a tile depends on no other.
"""

from collections.abc import Callable
from typing import Final, Literal, get_args

import torch
from torch import Tensor, nn

Backbone = Literal["mobile", "resnet18", "strided"]
BACKBONES: Final = get_args(Backbone)

GROUP_CHANNELS: Final = 8
MOBILE_STAGES: Final = ((24, 2, 2), (40, 3, 2), (64, 3, 2), (96, 2, 1))
"""Channels, blocks, stride; after a stem that halves."""

MOBILE_EXPANSION: Final = 4
RESNET_WIDTHS: Final = (64, 128, 256, 512)
STRIDED_WIDTHS: Final = (16, 32, 64, 96, 128)


class MeanAndMax(nn.Module):
    """Mean and maximum over the plane, side by side: a small lesion survives in the maximum."""

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)


class InvertedResidual(nn.Module):
    """Widen, look around, narrow (M. Sandler et al., CVPR 2018)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        inner = inputs * MOBILE_EXPANSION
        self.kept = stride == 1 and inputs == outputs
        self.body = nn.Sequential(
            *convolved(inputs, inner, 1),
            nn.Hardswish(),
            *convolved(inner, inner, 3, stride, groups=inner),
            nn.Hardswish(),
            *convolved(inner, outputs, 1),
        )

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = self.body(maps)
        return maps + out if self.kept else out


class Residual(nn.Module):
    """Two convolutions beside a way past them (K. He et al., CVPR 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolved(inputs, outputs, 3, stride), nn.ReLU(), *convolved(outputs, outputs, 3)
        )
        same = stride == 1 and inputs == outputs
        self.past = nn.Identity() if same else nn.Sequential(*convolved(inputs, outputs, 1, stride))

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(self.body(maps) + self.past(maps))


def encoder(backbone: Backbone) -> tuple[nn.Sequential, int]:
    """A net from tiles (n, 1, side, side) to embeddings (n, e), and e."""
    stages, width = _MADE[backbone]()
    return nn.Sequential(*stages, MeanAndMax()), 2 * width


def convolved(
    inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """A convolution that keeps the plane but for its stride, normalised."""
    convolution = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
    return [convolution, nn.GroupNorm(outputs // GROUP_CHANNELS, outputs)]


def _mobile() -> tuple[list[nn.Module], int]:
    width = 16
    stages: list[nn.Module] = [*convolved(1, width, 3, 2), nn.Hardswish()]
    for outputs, blocks, stride in MOBILE_STAGES:
        for block in range(blocks):
            stages.append(InvertedResidual(width, outputs, stride if block == 0 else 1))
            width = outputs
    return stages, width


def _resnet18() -> tuple[list[nn.Module], int]:
    width = RESNET_WIDTHS[0]
    stages: list[nn.Module] = [*convolved(1, width, 5, 2), nn.ReLU()]
    for outputs in RESNET_WIDTHS:
        stages += [Residual(width, outputs, 1 if outputs == width else 2)]
        stages += [Residual(outputs, outputs, 1)]
        width = outputs
    return stages, width


def _strided() -> tuple[list[nn.Module], int]:
    stages: list[nn.Module] = []
    width = 1
    for outputs in STRIDED_WIDTHS:
        stages += [*convolved(width, outputs, 3, 2), nn.ReLU()]
        width = outputs
    return stages, width


_MADE: Final[dict[Backbone, Callable[[], tuple[list[nn.Module], int]]]] = {
    "mobile": _mobile,
    "resnet18": _resnet18,
    "strided": _strided,
}
