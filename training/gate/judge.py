"""The gate's nets: what they see, what they take a picture for, and how far it is from all they know."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn


class GateNet(nn.Module):
    """Pictures (N, channels, side, side) in [0, 1] to logits (N, classes); `depths` are what it sees."""

    def __init__(self, channels: int, classes: int, widths: Sequence[int]) -> None:
        super().__init__()
        first, second, third, fourth = widths
        self.early = nn.Sequential(
            conv(channels, first, 2), conv(first, second, 2), conv(second, third)
        )
        self.late = nn.Sequential(conv(third, fourth, 2), conv(fourth, fourth))
        self.last = nn.Linear(2 * fourth, classes)

    def depths(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Features at two depths, (N, width) each."""
        early = self.early(pictures)
        late = self.late(early)
        both = torch.cat([late.mean((2, 3)), late.amax((2, 3))], 1)
        return torch.cat([early.mean((2, 3)), early.amax((2, 3))], 1), both

    def forward(self, pictures: Tensor) -> Tensor:
        logits: Tensor = self.last(self.depths(pictures)[1])
        return logits


class Judge(nn.Module):
    """A trained net and its distances: pictures to chances (N, classes) and strangeness (N,), 1 the limit."""

    def __init__(self, net: GateNet, near: Sequence["Near"]) -> None:
        super().__init__()
        self.net = net
        for depth, one in enumerate(near):
            self.register_buffer(f"whiten{depth}", one.whiten)
            self.register_buffer(f"centres{depth}", one.centres)
        self.limits = tuple(one.limit for one in near)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        depths = self.net.depths(pictures)
        chances = torch.softmax(self.net.last(depths[1]), 1)
        far = [
            distance(seen, getattr(self, f"whiten{at}"), getattr(self, f"centres{at}")) / limit
            for at, (seen, limit) in enumerate(zip(depths, self.limits, strict=True))
        ]
        return chances, torch.stack(far, 1).amax(1)


class Jury(nn.Module):
    """Judges asked together: the mean of their chances, and of their strangeness."""

    def __init__(self, judges: Sequence[Judge]) -> None:
        super().__init__()
        self.judges = nn.ModuleList(judges)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        chances, far = zip(*(judge(pictures) for judge in self.judges), strict=True)
        return torch.stack(chances).mean(0), torch.stack(far).mean(0)


def together(judges: Sequence[Judge]) -> Judge | Jury:
    """One judge as it is, several as a jury."""
    return Jury(judges) if len(judges) > 1 else judges[0]


class Near(NamedTuple):
    """What is near at one depth: whitening (width, width), centres of classes (classes, width), limit."""

    whiten: Tensor
    centres: Tensor
    limit: float


def conv(wide_in: int, wide_out: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution, batch norm (folded on export), ReLU."""
    return nn.Sequential(
        nn.Conv2d(wide_in, wide_out, 3, stride, 1, bias=False),
        nn.BatchNorm2d(wide_out),
        nn.ReLU(inplace=True),
    )


def distance(seen: Tensor, whiten: Tensor, centres: Tensor) -> Tensor:
    """To the nearest centre, (N,)."""
    apart = (seen @ whiten)[:, None] - centres[None]
    return apart.square().sum(2).amin(1).sqrt()
