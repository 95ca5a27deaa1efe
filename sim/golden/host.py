"""What the host computes in floating point behind the last integers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pulsefold.compiler.ir.graph import HostStep

__all__ = ["host_steps"]


def host_steps(steps: Sequence[HostStep], x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The steps in turn on float64 [N, ...], rounded once to the output's element type at the end."""
    for step in steps:
        x = _step(step, x)
    return x.astype(dtype)


def _step(step: HostStep, x: np.ndarray) -> np.ndarray:
    low = -np.inf if step.low is None else float(step.low)
    high = np.inf if step.high is None else float(step.high)
    match step.op:
        case "clip":
            return np.clip(x, low, high)
        case "affine":
            return x * float(step.scale) + float(step.offset)
        case "quantize":
            return np.clip(np.rint(x / float(step.scale)) + float(step.offset), low, high)
        case "sigmoid":
            return 1 / (1 + np.exp(-x))
        case "leaky_relu":
            return np.where(x < 0, x * float(step.scale), x)
        case "softplus":
            return np.logaddexp(x, 0)
        case "abs" | "exp" | "log" | "sqrt" | "tanh":
            # Above and below what a function takes there is infinity and NaN, as in the model itself.
            with np.errstate(all="ignore"):
                return getattr(np, step.op)(x)
        case "softmax" | "log_softmax":
            shifted = x - x.max(axis=step.axes, keepdims=True)
            total = np.exp(shifted).sum(axis=step.axes, keepdims=True)
            return np.exp(shifted) / total if step.op == "softmax" else shifted - np.log(total)
    msg = f"no host step {step.op!r}"
    raise ValueError(msg)
