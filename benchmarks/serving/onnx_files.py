"""Two networks of known cost with random weights: what they say means nothing, only how long they take.

Input `images` is uint8 (n, 224, 224, 3), output `scores` float32 (n, 2). `small` is of the class of
MobileNet (depthwise separable convolutions), `large` is a ResNet18.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

SIDE: Final = 224
CLASSES: Final = 2
SEED = 7
SMALL_BLOCKS = ((24, 1), (48, 2), (48, 1), (96, 2), (96, 1), (192, 2), (192, 1), (192, 1), (320, 2))
LARGE_STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))


class Net:
    """Adds one node after the other; `at` names what the last one gave, `channels` its width."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(SEED)
        self._nodes: list[NodeProto] = []
        self._weights: list[TensorProto] = []
        self.at, self.channels = "images", 3
        self._scaled()

    def _scaled(self) -> None:
        self.node("Cast", to=TensorProto.FLOAT)
        self.node("Mul", self.weight(np.array(1 / 255, np.float32)))
        self.node("Transpose", perm=(0, 3, 1, 2))

    def weight(self, values: NDArray[np.generic]) -> str:
        name = f"w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(values, name))
        return name

    def node(self, operator: str, *more: str, at: str | None = None, **attributes: Any) -> str:
        name = f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, [at or self.at, *more], [name], **attributes))
        self.at = name
        return name

    def convolution(
        self,
        width: int,
        kernel: int,
        stride: int = 1,
        *,
        depthwise: bool = False,
        relu: bool = True,
    ) -> str:
        groups = self.channels if depthwise else 1
        shape = (width, self.channels // groups, kernel, kernel)
        scale = np.sqrt(2 / np.prod(shape[1:]))
        values = (self._random.standard_normal(shape) * scale).astype(np.float32)
        pads = [kernel // 2] * 4
        self.node(
            "Conv",
            self.weight(values),
            group=groups,
            strides=[stride] * 2,
            kernel_shape=[kernel] * 2,
            pads=pads,
        )
        self.channels = width
        return self.node("Relu") if relu else self.at

    def finished(self) -> bytes:
        self.node("GlobalAveragePool")
        self.node("Flatten")
        values = self._random.standard_normal((self.channels, CLASSES)).astype(np.float32)
        self.node("MatMul", self.weight(values / self.channels))
        self._nodes.append(helper.make_node("Softmax", [self.at], ["scores"]))
        graph = helper.make_graph(
            self._nodes,
            "benchmark",
            [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", CLASSES])],
            self._weights,
        )
        model: ModelProto = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
        )
        return bytes(model.SerializeToString())


def small() -> bytes:
    """Some 40 million multiplications per image."""
    net = Net()
    net.convolution(16, 3, 2)
    for width, stride in SMALL_BLOCKS:
        net.convolution(net.channels, 3, stride, depthwise=True)
        net.convolution(width, 1)
    return net.finished()


def large() -> bytes:
    """ResNet18: some 1.8 billion multiplications per image."""
    net = Net()
    net.convolution(64, 7, 2)
    net.node("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for width, stride in LARGE_STAGES:
        _residual(net, width, stride)
        _residual(net, width, 1)
    return net.finished()


def _residual(net: Net, width: int, stride: int) -> None:
    entered, channels = net.at, net.channels
    net.convolution(width, 3, stride)
    out = net.convolution(width, 3, relu=False)
    if stride != 1 or channels != width:
        net.at, net.channels = entered, channels
        entered = net.convolution(width, 1, stride, relu=False)
    net.node("Add", entered, at=out)
    net.node("Relu")


MODELS: dict[str, Callable[[], bytes]] = {"small": small, "large": large}


def images(number: int) -> NDArray[np.uint8]:
    """What is asked about: uint8 (number, 224, 224, 3)."""
    random = np.random.default_rng(SEED)
    return random.integers(0, 256, (number, SIDE, SIDE, 3), np.uint8)
