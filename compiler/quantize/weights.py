"""Weights as integers: one scale a tensor or an output channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pulsefold.compiler.quantize.quantizer import Quantizer, round_scale
from pulsefold.compiler.quantize.recipe import Format

__all__ = ["LayerWeights", "as_matrix", "from_matrix", "integer_bias", "quantize_weights", "weight_quantizer"]

#: Largest bias, in units of the accumulator: float32 holds every one, and accumulators stay narrow.
_LARGEST_BIAS = 1 << 23

#: Weights looked at together.
_BLOCK = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerWeights:
    """A linear layer in integers.

    Parameters
    ----------
    levels
        The weights: ``w = levels * scale``, in the ONNX shape, around zero.
    quantizer
        Its scale has one element, or one an output channel.
    axis
        Axis of `levels` that the scales count.
    bias
        Integers of the accumulator's scale (input's times weights'), one an output channel; or None.
    """

    levels: np.ndarray
    quantizer: Quantizer
    axis: int
    bias: np.ndarray | None

    @property
    def scales(self) -> np.ndarray:
        """Scales, shaped to multiply `levels`."""
        return shaped(self.quantizer.scale, self.axis, self.levels.ndim)

    def bias_scale(self, input_scale: float) -> np.ndarray:
        """Scale of each output of the bias, in float32: exact, since both factors have short mantissas."""
        scale = np.asarray(self.quantizer.scale, np.float64) * input_scale
        count = 1 if self.bias is None else len(self.bias)
        return np.tile(scale.ravel(), count // scale.size).astype(np.float32)

    @property
    def values(self) -> np.ndarray:
        """The weights in float32, exactly."""
        return (self.levels * self.scales).astype(np.float32)


def shaped(scale: np.ndarray, axis: int, rank: int) -> np.ndarray:
    """One number an output, along its axis."""
    if scale.ndim == 0:
        return scale
    return scale.reshape([-1 if i == axis else 1 for i in range(rank)])


def as_matrix(weights: np.ndarray, axis: int) -> np.ndarray:
    """(outputs, everything else)."""
    return np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)


def from_matrix(matrix: np.ndarray, axis: int, shape: tuple[int, ...]) -> np.ndarray:
    """The inverse of :func:`as_matrix`."""
    moved = (shape[axis], *(s for i, s in enumerate(shape) if i != axis))
    return np.moveaxis(matrix.reshape(moved), 0, axis)


def weight_quantizer(
    weights: np.ndarray, axis: int, kind: Format, *, per_channel: bool, importance: np.ndarray | None = None
) -> Quantizer:
    """Scales for weights.

    Eight bits keep the largest weight; fewer clip where that lowers the mean square error, weighted by
    `importance`, one number a weight of the matrix (outputs, inputs). Ternary scales are the best in that
    sense (F. Li, B. Liu, "Ternary weight networks", 2016, without its approximation); a binary scale is the
    mean magnitude (M. Rastegari et al., "XNOR-Net", 2016).
    """
    matrix = as_matrix(weights, axis)
    if not per_channel:
        # A sample of a large layer says enough, except about its largest weight.
        flat = matrix.reshape(1, -1)
        matrix = flat[:, :: -(-flat.shape[1] // _BLOCK)] if kind.bits < 8 else flat
        importance = None
    narrow = kind.bits == 8 or kind.name == "ternary"
    shape = Quantizer(bits=kind.bits, signed=True, narrow=narrow, scale=round_scale(1.0))
    step = max(1, _BLOCK // matrix.shape[1])
    parts = []
    for start in range(0, len(matrix), step):
        block = matrix[start : start + step]
        cost = None if importance is None else importance[start : start + step]
        parts.append(_scales(block, kind, shape, cost))
    scale = np.concatenate(parts)
    scale = np.where(scale > 0, scale, 1.0)
    rounded = round_scale(scale if per_channel else scale[0])
    return Quantizer(bits=shape.bits, signed=True, narrow=narrow, scale=rounded)


def _scales(matrix: np.ndarray, kind: Format, shape: Quantizer, importance: np.ndarray | None) -> np.ndarray:
    """The scale of each row."""
    if kind.name == "binary":
        return np.abs(matrix).mean(axis=1, dtype=np.float64)
    largest = np.maximum(matrix.max(axis=1), -matrix.min(axis=1)).astype(np.float64)
    if kind.bits == 8:
        return largest / shape.high
    matrix = matrix.astype(np.float64)
    if kind.name == "ternary":
        return _ternary(matrix)
    cost = np.ones_like(matrix) if importance is None else importance
    best = largest / shape.high
    least = np.full(len(matrix), np.inf)
    for fraction in np.linspace(1.05, 0.25, 81):
        scale = round_scale(largest * fraction / shape.high)[:, None]
        q = np.clip(np.rint(matrix / scale), shape.low, shape.high)
        error = ((q * scale - matrix) ** 2 * cost).sum(axis=1)
        best = np.where(error < least, scale[:, 0], best)
        least = np.minimum(least, error)
    return best


def _ternary(matrix: np.ndarray) -> np.ndarray:
    """The best magnitude of each row: of its k largest, the mean, for the k that explains most."""
    ordered = -np.sort(-np.abs(matrix), axis=1)
    sums = np.cumsum(ordered, axis=1)
    k = np.arange(1, matrix.shape[1] + 1)
    best = np.argmax(sums**2 / k, axis=1)
    return sums[np.arange(len(matrix)), best] / (best + 1)


def quantize_weights(weights: np.ndarray, quantizer: Quantizer, axis: int) -> np.ndarray:
    """The nearest levels, as int8; binary weights by their sign."""
    levels = np.empty(weights.shape, np.int8)
    scale = np.broadcast_to(shaped(quantizer.scale, axis, weights.ndim), weights.shape)
    step = max(1, _BLOCK // max(1, weights[0].size))
    for start in range(0, len(weights), step):
        part = slice(start, start + step)
        if quantizer.bits == 1:
            levels[part] = np.where(weights[part] >= 0, 1, -1)
        else:
            levels[part] = np.clip(np.rint(weights[part] / scale[part]), quantizer.low, quantizer.high)
    return levels


def roomy(quantizer: Quantizer, bias: np.ndarray | None, input_scale: float, groups: int) -> Quantizer:
    """The same with larger scales in channels whose bias would not fit the accumulator.

    Only channels whose weights are next to nothing are affected: what they compute is their bias.
    """
    if bias is None:
        return quantizer
    each = np.abs(bias.astype(np.float64)).reshape(groups, -1).max(axis=0)
    least = each / (input_scale * _LARGEST_BIAS)
    scale = quantizer.scale
    needed = least if scale.ndim else least.max()
    if not np.any(needed > scale):
        return quantizer
    return Quantizer(
        bits=quantizer.bits,
        signed=True,
        narrow=quantizer.narrow,
        scale=round_scale(np.maximum(scale, needed)),
    )


def integer_bias(bias: np.ndarray, quantizer: Quantizer, input_scale: float, groups: int) -> np.ndarray:
    """``round(bias / (input scale * weight scale))`` of each output channel."""
    scale = np.asarray(quantizer.scale, np.float64)
    each = np.tile(scale, groups) if scale.ndim else scale
    return np.rint(bias.astype(np.float64) / (each * float(input_scale))).astype(np.int64)
