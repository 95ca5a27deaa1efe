"""A random network in floating point, with marks where its values are to be quantized."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Sketch", "Step"]

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One operation.

    Parameters
    ----------
    kind
        Name of the lowering.
    inputs, output
        Stream names.
    attributes
        As its lowering reads them.
    weights
        Float arrays by role: ``"w"`` is quantized as weights are, ``"b"`` as biases, others stay.
    quantized
        Whether a quantizer stands behind it.
    same
        Whether that quantizer has the scale of the first input's.
    """

    kind: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    quantized: bool = True
    same: bool = False


class Sketch:
    """Steps, and the shape of every stream behind the batch axis.

    Parameters
    ----------
    rng
        Of the weights.
    shape
        (C, H, W) or (C,) of the first input.
    """

    def __init__(self, rng: np.random.Generator, *shapes: Shape) -> None:
        self.rng = rng
        self.steps: list[Step] = []
        self.inputs = tuple(f"x{i}" for i in range(len(shapes)))
        self.shape: dict[str, Shape] = dict(zip(self.inputs, shapes, strict=True))
        self.outputs: list[str] = []

    def add(self, kind: str, *inputs: str, shape: Shape, **fields: Any) -> str:
        output = f"v{len(self.steps)}"
        self.steps.append(Step(kind=kind, inputs=inputs, output=output, **fields))
        self.shape[output] = tuple(int(n) for n in shape)
        return output

    def conv(
        self,
        x: str,
        channels: int,
        kernel: tuple[int, int],
        *,
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
        groups: int = 1,
        bias: bool = True,
        auto_pad: str = "",
        quantized: bool = True,
    ) -> str:
        c, *size = self.shape[x]
        out = []
        for axis in range(2):
            reach = dilation[axis] * (kernel[axis] - 1) + 1
            if auto_pad.startswith("SAME"):
                out.append(-(-size[axis] // stride[axis]))
            else:
                out.append((size[axis] + pads[axis] + pads[axis + 2] - reach) // stride[axis] + 1)
        weights = {"w": self.normal(channels, c // groups, *kernel)}
        if bias:
            weights["b"] = self.normal(channels) * 0.3
        attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": stride, "dilations": dilation}
        attributes |= {"auto_pad": auto_pad} if auto_pad else {"pads": pads}
        attributes["group"] = groups
        return self.add(
            "Conv", x, shape=(channels, *out), attributes=attributes, weights=weights, quantized=quantized
        )

    def dense(self, x: str, channels: int, *, gemm: bool, bias: bool = True, quantized: bool = True) -> str:
        (c,) = self.shape[x]
        weights = {"w": self.normal(c, channels)}
        if bias:
            weights["b"] = self.normal(channels) * 0.3
        return self.add(
            "Gemm" if gemm else "MatMul", x, shape=(channels,), weights=weights, quantized=quantized
        )

    def normal(self, *shape: int) -> np.ndarray:
        """Weights that keep the variance of what they multiply."""
        fan = int(np.prod(shape[1:])) if len(shape) > 2 else shape[0]
        return self.rng.normal(size=shape).astype(np.float32) / np.float32(np.sqrt(max(1, fan)))
