"""Rounding weights in turn, each making up for the errors of those before it.

The error of a layer's outputs is a quadratic form of the errors of its weights, with the second moments of
the layer's inputs as its matrix. Weights are rounded column by column, and what a rounding costs is taken
back by the columns still to come: E. Frantar et al., "GPTQ: accurate post-training quantization for
generative pre-trained transformers", 2022, after B. Hassibi, D. Stork, "Optimal brain surgeon", 1993.
"""

from __future__ import annotations

import math

import numpy as np

from pulsefold.compiler.quantize.quantizer import Quantizer

__all__ = ["LARGEST", "Moments", "adapted", "round_in_turn"]

#: Most columns: the work grows with their cube.
LARGEST = 4608

#: Columns whose corrections are put off and made together, as one matrix product.
_BLOCK = 64

#: Added to the diagonal, as a share of its mean: keeps the inverse sane where inputs depend on each other.
_DAMPING = 0.01

#: Weight of the given weights beside the data, as a share of the mean of the diagonal.
_RIDGE = 0.5


class Moments:
    """Second moments of a layer's inputs, of each group of a convolution, in units of their own.

    ``matrix`` is ``sum(x x^T) / unit^2`` of the inputs x of the rounded layer, ``cross`` is
    ``sum(y x^T) / unit^2`` with the inputs y of the same layer of the float network. Nothing that is made of
    them asks for the unit.

    Parameters
    ----------
    groups, columns
        The shape of the weights: (outputs, columns), the outputs in that many groups.
    largest
        Largest magnitude of the inputs. The unit is the power of two above it: squares of what float32 holds
        it need not hold.
    """

    def __init__(self, groups: int, columns: int, largest: float) -> None:
        self._unit = math.ldexp(1, min(math.frexp(largest)[1], 127))
        self.matrix = np.zeros((groups, columns, columns), np.float32)
        self.cross = np.zeros((groups, columns, columns), np.float32)

    @property
    def most(self) -> int:
        """Rows after which more say little."""
        return max(8192, 4 * self.matrix.shape[1])

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        """Rows (n, groups * columns) of both networks."""
        groups, columns, _ = self.matrix.shape
        x = x.reshape(-1, groups, columns)
        y = y.reshape(-1, groups, columns)
        # One product at a time: stacks of matrices are multiplied without the help of BLAS.
        for g in range(groups):
            a, b = (np.ascontiguousarray(v[:, g] / self._unit, np.float32) for v in (x, y))
            self.matrix[g] += a.T @ a
            self.cross[g] += b.T @ a

    @property
    def importance(self) -> np.ndarray:
        """The mean square of each input, (groups, columns)."""
        return np.einsum("gii->gi", self.matrix) + 1e-12


def adapted(matrix: np.ndarray, moments: Moments) -> np.ndarray:
    """Weights (outputs, columns) that give for the rounded inputs what the given ones give for the exact.

    The least-squares solution, pulled towards the given weights where the data say little.
    """
    groups, columns, _ = moments.matrix.shape
    w = matrix.astype(np.float64).reshape(groups, -1, columns)
    hessian, cross = moments.matrix.astype(np.float64), moments.cross.astype(np.float64)
    mean = np.einsum("gii->g", hessian)[:, None, None] / columns
    ridge = (_RIDGE * mean + 1e-9) * np.eye(columns)
    solved = np.linalg.solve(hessian + ridge, (w @ (cross + ridge)).transpose(0, 2, 1))
    return solved.transpose(0, 2, 1).reshape(matrix.shape)


def round_in_turn(matrix: np.ndarray, quantizer: Quantizer, moments: Moments) -> np.ndarray:
    """Levels for weights (outputs, columns), as int32.

    Parameters
    ----------
    matrix
        The weights.
    quantizer
        Its scale has one element, or one an output.
    moments
        Of the inputs that the weights meet.
    """
    hessian = moments.matrix.astype(np.float64)
    groups, columns, _ = hessian.shape
    w = matrix.astype(np.float64).reshape(groups, -1, columns)
    scale = np.broadcast_to(np.asarray(quantizer.scale, np.float64), matrix.shape[0]).reshape(groups, -1)
    diagonal = np.einsum("gii->gi", hessian)
    # An input that is always zero has any weight.
    diagonal += _DAMPING * diagonal.mean(axis=1, keepdims=True) + 1e-9
    # The largest first: they have the most others left to make up for them.
    order = np.argsort(-diagonal, axis=1)
    w = np.take_along_axis(w, order[:, None, :], axis=2)
    hessian = np.take_along_axis(hessian, order[:, :, None], axis=1)
    hessian = np.take_along_axis(hessian, order[:, None, :], axis=2)
    # The upper Cholesky factor of the inverse holds, row by row, what is left of it in each turn.
    factor = np.linalg.cholesky(np.linalg.inv(hessian)).transpose(0, 2, 1)
    levels = np.empty(w.shape, np.int32)
    for start in range(0, columns, _BLOCK):
        stop = min(start + _BLOCK, columns)
        errors = np.empty((*w.shape[:2], stop - start))
        for i in range(start, stop):
            q = _nearest(w[:, :, i] / scale, quantizer)
            levels[:, :, i] = q
            error = (w[:, :, i] - q * scale) / factor[:, i, i, None]
            errors[:, :, i - start] = error
            w[:, :, i + 1 : stop] -= error[:, :, None] * factor[:, i, None, i + 1 : stop]
        w[:, :, stop:] -= errors @ factor[:, start:stop, stop:]
    back = np.argsort(order, axis=1)
    return np.take_along_axis(levels, back[:, None, :], axis=2).reshape(matrix.shape)


def _nearest(x: np.ndarray, quantizer: Quantizer) -> np.ndarray:
    if quantizer.bits == 1:
        return np.where(x >= 0, 1, -1)
    return np.clip(np.rint(x), quantizer.low, quantizer.high)
