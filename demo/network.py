"""The demo network: two binary convolutions, one pooling, one binary matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from demo.layers import BatchNorm, BinaryLinear, Flatten, Layer, MaxPool, Patches, Sign

__all__ = ["INPUT_BITS", "Network", "NetworkShape", "quantize"]

INPUT_BITS = 4


def quantize(x: np.ndarray) -> np.ndarray:
    """The input quantizer: unsigned integers of 4 bits at scale 1, so that 16 becomes 15."""
    return np.clip(np.rint(x), 0, (1 << INPUT_BITS) - 1).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkShape:
    """Sizes of the demo network.

    Parameters
    ----------
    channels
        Output channels of the two 3x3 convolutions.
    classes
        Outputs of the matrix product.
    """

    channels: tuple[int, int] = (32, 48)
    classes: int = 10


class Network:
    """Layers in order. Images are [N, 1, 8, 8], scores [N, classes].

    Parameters
    ----------
    shape
        Its sizes.
    rng
        Source of the initial latent weights.
    """

    def __init__(self, shape: NetworkShape, rng: np.random.Generator) -> None:
        first, second = shape.channels
        self.shape = shape
        self.linear = (
            BinaryLinear(9, first, rng),
            BinaryLinear(9 * first, second, rng),
            BinaryLinear(4 * second, shape.classes, rng),
        )
        self.norm = (BatchNorm(first), BatchNorm(second), BatchNorm(shape.classes))
        self.layers: Sequence[Layer] = (
            *(Patches(3), self.linear[0], self.norm[0], Sign()),
            *(Patches(3), self.linear[1], self.norm[1], MaxPool(), Sign()),
            *(Flatten(), self.linear[2], self.norm[2]),
        )

    def forward(self, x: np.ndarray, *, train: bool = False) -> np.ndarray:
        """Scores of images in the model's own input format."""
        y = quantize(x).transpose(0, 2, 3, 1)
        for layer in self.layers:
            y = layer.forward(y, train=train)
        return y

    def backward(self, dy: np.ndarray) -> None:
        """Gradients of every parameter for the last training forward."""
        for layer in reversed(self.layers):
            dy = layer.backward(dy)

    def accuracy(self, x: np.ndarray, y: np.ndarray) -> float:
        """Share of images whose greatest score is the label's."""
        return float(np.mean(self.forward(x).argmax(axis=1) == y))
