"""Evaluates a QONNX file with the ONNX reference evaluator: no code of pulsefold takes part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

__all__ = ["predict"]


class BipolarQuant(OpRun):
    """QONNX BipolarQuant: +scale where x >= 0, else -scale."""

    op_domain = "qonnx.custom_op.general"

    def _run(self, x: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray]:
        return (np.where(x >= 0, scale, -scale).astype(np.float32),)


class Quant(OpRun):
    """QONNX Quant, as far as the demo uses it: rounding half to even."""

    op_domain = "qonnx.custom_op.general"

    def _run(
        self,
        x: np.ndarray,
        scale: np.ndarray,
        zero_point: np.ndarray,
        bits: np.ndarray,
        *,
        signed: int,
        narrow: int,
        rounding_mode: str,
    ) -> tuple[np.ndarray]:
        if rounding_mode != "ROUND":
            raise NotImplementedError(rounding_mode)
        n = int(bits)
        low = -(2 ** (n - 1)) + narrow if signed else 0
        high = 2 ** (n - 1) - 1 if signed else 2**n - 1 - narrow
        q = np.rint(np.clip(x / scale + zero_point, low, high))
        return (((q - zero_point) * scale).astype(np.float32),)


class BatchNormalization(OpRun):
    """ONNX BatchNormalization-9 with the stored statistics.

    The evaluator's own one blends the statistics of the batch in whenever an opset below 14 gives it a
    momentum, and momentum has a default.
    """

    def _run(
        self,
        x: np.ndarray,
        scale: np.ndarray,
        bias: np.ndarray,
        mean: np.ndarray,
        var: np.ndarray,
        *,
        epsilon: float,
        **_: object,
    ) -> tuple[np.ndarray]:
        s, b, m, v = (a.reshape(-1, *[1] * (x.ndim - 2)) for a in (scale, bias, mean, var))
        return ((s * (x - m) / np.sqrt(v + np.float32(epsilon)) + b).astype(np.float32),)


def predict(path: Path, x: np.ndarray) -> np.ndarray:
    """Scores of the model for a batch of images."""
    evaluator = ReferenceEvaluator(onnx.load(path), new_ops=[BatchNormalization, BipolarQuant, Quant])
    (scores,) = evaluator.run(["scores"], {"image": x})
    return np.asarray(scores)
