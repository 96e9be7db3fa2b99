"""Takes up an exported overlay net where its training ended, so that more steps make it better."""

from collections.abc import Iterable
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn


def resume(net: nn.Module, path: Path, samples: Iterable[Tensor]) -> None:
    """Loads the file's weights into a net of the same shape.

    Batch norms were folded into the convolutions on export: on `samples` (RGB uint8 batches) they get
    back the statistics that leave the net's answers as they were.
    """
    convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for module, (weight, bias) in zip(_executed(net, convolutions), _stored(path), strict=True):
        module.weight.data.copy_(
            weight if weight.shape == module.weight.shape else unfolded(weight)
        )
        norm = _norm_after(net, module)
        (module if norm is None else norm).bias.data.copy_(bias)  # type: ignore[union-attr]
    net.eval()
    for norm, mean, spread in _statistics(net, norms, samples):
        norm.running_mean.copy_(mean)  # type: ignore[union-attr]
        norm.running_var.copy_(spread**2)  # type: ignore[union-attr]
        norm.weight.data.copy_(spread)
        norm.bias.data.add_(mean)
    net.train()


def unfolded(weight: Tensor) -> Tensor:
    """Weights over the channels of 2 x 2 pixels, as older files have them, as those over the pixels."""
    out, channels, height, width = weight.shape
    blocks = weight.reshape(out, channels // 4, 2, 2, height, width)
    return blocks.permute(0, 1, 4, 2, 5, 3).reshape(out, channels // 4, 2 * height, 2 * width)


def _stored(path: Path) -> list[tuple[Tensor, Tensor]]:
    """Weight and bias of every convolution, in the order in which they run."""
    graph = onnx.load(path).graph
    values = {each.name: torch.tensor(numpy_helper.to_array(each)) for each in graph.initializer}
    nodes = [node for node in graph.node if node.op_type == "Conv"]
    return [(values[node.input[1]], values[node.input[2]]) for node in nodes]


def _executed(net: nn.Module, modules: list[nn.Conv2d]) -> list[nn.Conv2d]:
    """The modules in the order in which they run."""
    order: list[nn.Conv2d] = []
    hooks = [module.register_forward_hook(lambda m, *_: order.append(m)) for module in modules]
    with torch.no_grad():
        net(torch.zeros(1, 32, 32, 3, dtype=torch.uint8))
    for hook in hooks:
        hook.remove()
    return order


def _norm_after(net: nn.Module, convolution: nn.Conv2d) -> nn.BatchNorm2d | None:
    for block in net.modules():
        if isinstance(block, nn.Sequential) and block[0] is convolution:
            return block[1]  # type: ignore[return-value]
    return None


def _statistics(
    net: nn.Module, norms: list[nn.BatchNorm2d], samples: Iterable[Tensor]
) -> list[tuple[nn.BatchNorm2d, Tensor, Tensor]]:
    """What goes into every norm: mean and standard deviation by channel."""
    seen: dict[nn.BatchNorm2d, list[Tensor]] = {norm: [] for norm in norms}

    def note(norm: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
        flat = inputs[0].transpose(0, 1).flatten(1)
        seen[norm].append(torch.stack([flat.mean(1), (flat**2).mean(1)]))

    hooks = [norm.register_forward_pre_hook(note) for norm in norms]
    with torch.no_grad():
        for sample in samples:
            net(sample)
    for hook in hooks:
        hook.remove()
    moments = {norm: torch.stack(noted).mean(0) for norm, noted in seen.items()}
    return [
        (norm, mean, (square - mean**2).clamp_min(1e-8).sqrt())
        for norm, (mean, square) in moments.items()
    ]
