"""The QONNX quantizers in NumPy, written from their definitions, for onnx's reference evaluator.

Independent of the importer and of the exact arithmetic on purpose: this is what they are held to.
After qonnx.custom_op.general: quant.py, bipolar_quant.py and multithreshold.py.
"""

from __future__ import annotations

import numpy as np
from onnx.reference.op_run import OpRun

__all__ = ["DOMAIN", "QUANTIZERS", "SOURCE_OPS"]

DOMAIN = "qonnx.custom_op.general"


def _rounded(mode: str, u: np.ndarray) -> np.ndarray:
    match mode.upper():
        case "ROUND" | "HALF_EVEN":
            return np.round(u)
        case "CEIL":
            return np.ceil(u)
        case "FLOOR":
            return np.floor(u)
        case "UP":
            return np.sign(u) * np.ceil(np.abs(u))
        case "DOWN":
            return np.sign(u) * np.floor(np.abs(u))
        case "HALF_UP":
            return np.sign(u) * np.floor(np.abs(u) + 0.5)
        case "HALF_DOWN":
            return np.sign(u) * np.ceil(np.abs(u) - 0.5)
    msg = f"unknown rounding mode {mode!r}"
    raise ValueError(msg)


class Quant(OpRun):
    """(round(clamp(x / scale + zero point)) - zero point) * scale."""

    op_domain = DOMAIN

    def _run(
        self,
        x: np.ndarray,
        scale: np.ndarray,
        zeropt: np.ndarray,
        bitwidth: np.ndarray,
        signed: int | None = None,
        narrow: int | None = None,
        rounding_mode: str | None = None,
    ) -> tuple[np.ndarray]:
        signed = 1 if signed is None else signed
        u = x / scale + zeropt
        bits = float(np.max(bitwidth))
        if bits == 1 and signed:
            q = np.where(u >= 0, 1.0, -1.0)
        else:
            low = -(2.0 ** (bits - 1)) + bool(narrow) if signed else 0.0
            high = 2.0 ** (bits - 1) - 1 if signed else 2.0**bits - 1 - bool(narrow)
            q = _rounded(rounding_mode or "ROUND", np.clip(u, low, high))
        return ((q - zeropt) * scale,)


class BipolarQuant(OpRun):
    """+scale where x >= 0, -scale elsewhere."""

    op_domain = DOMAIN

    def _run(self, x: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray]:
        return (np.where(x >= 0, 1.0, -1.0) * scale,)


class MultiThreshold(OpRun):
    """out_scale * (thresholds that x has reached) + out_bias."""

    op_domain = DOMAIN

    def _run(
        self,
        x: np.ndarray,
        thresholds: np.ndarray,
        out_dtype: str | None = None,
        out_scale: float | None = None,
        out_bias: float | None = None,
        data_layout: str | None = None,
    ) -> tuple[np.ndarray]:
        axis = x.ndim - 1 if (data_layout or "NCHW").endswith("C") and x.ndim != 2 else 1
        count = np.zeros(x.shape)
        shape = [1] * x.ndim
        shape[axis] = thresholds.shape[0]
        for step in thresholds.T:
            count += x >= step.reshape(shape)
        return ((1.0 if out_scale is None else out_scale) * count + (out_bias or 0.0),)


class BatchNormalization(OpRun):
    """(x - mean) / sqrt(var + epsilon) * scale + bias along axis 1.

    onnx's own takes the statistics of the batch for opset 9 whenever the node has a momentum, as
    exporters always write it.
    """

    op_domain = ""

    def _run(
        self,
        x: np.ndarray,
        scale: np.ndarray,
        bias: np.ndarray,
        mean: np.ndarray,
        var: np.ndarray,
        epsilon: float | None = None,
        momentum: float | None = None,
        spatial: int | None = None,
        training_mode: int | None = None,
    ) -> tuple[np.ndarray]:
        shape = (-1, *(1,) * (x.ndim - 2))
        epsilon = float(np.float32(1e-5)) if epsilon is None else epsilon
        root = np.sqrt(var + epsilon).reshape(shape)
        return ((x - mean.reshape(shape)) / root * scale.reshape(shape) + bias.reshape(shape),)


#: Quantizers, behind which values are compared.
QUANTIZERS: dict[str, type[OpRun]] = {op.__name__: op for op in (Quant, BipolarQuant, MultiThreshold)}

#: All operators that replace or extend those of onnx.
SOURCE_OPS: list[type[OpRun]] = [*QUANTIZERS.values(), BatchNormalization]
