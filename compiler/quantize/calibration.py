"""The calibration data: the model's own input, checked."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from pulsefold.compiler.quantize.graph import FloatGraph
from pulsefold.errors import InputArrayError

__all__ = ["check_calibration"]

_TODO = "give an array (images, ...) of the model's own input, saved with numpy.save"


def check_calibration(x: np.ndarray, graph: FloatGraph) -> np.ndarray:
    """The data, as they are, if they belong to the model's input; converted batch by batch when used."""
    declared = graph.inputs[0]
    where = "calibration data"
    want = [d.dim_value for d in declared.type.tensor_type.shape.dim][1:]
    if x.dtype.kind not in "fiu":
        raise InputArrayError(f"it holds {x.dtype}, and numbers are meant", where=where, todo=_TODO)
    if x.ndim != len(want) + 1 or list(x.shape[1:]) != want:
        shown, meant = (", ".join(map(str, s)) for s in (x.shape, ["N", *want]))
        msg = f"its shape is ({shown}), and the model's input {declared.name!r} is ({meant})"
        raise InputArrayError(msg, where=where, todo=_TODO)
    if not len(x):
        raise InputArrayError("it holds no images", where=where, todo=_TODO)
    kind = declared.type.tensor_type.elem_type
    for start in range(0, len(x), 64):
        part = x[start : start + 64]
        if x.dtype.kind == "f" and not np.isfinite(part).all():
            image = start + int(np.argmin(np.isfinite(part).reshape(len(part), -1).all(axis=1)))
            raise InputArrayError(f"image {image} holds NaN or infinity", where=where, todo=_TODO)
        if kind in (TensorProto.UINT8, TensorProto.INT8):
            limits = np.iinfo(np.uint8 if kind == TensorProto.UINT8 else np.int8)
            if part.min() < limits.min or part.max() > limits.max or np.any(part != np.rint(part)):
                msg = f"it holds other numbers than the model's input: {limits.dtype}"
                raise InputArrayError(msg, where=where, todo=_TODO)
        elif np.abs(part.astype(np.float64)).max(initial=0) > np.finfo(np.float32).max:
            raise InputArrayError("it holds numbers too large for float32", where=where, todo=_TODO)
    return x
