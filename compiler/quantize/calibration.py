"""The calibration data: the model's own inputs, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto

from pulsefold.compiler.quantize.graph import FloatGraph
from pulsefold.errors import InputArrayError

__all__ = ["Images", "check_calibration"]

_TODO = "give an array (images, ...) of the model's own input, saved with numpy.save"


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Arrays of the model's inputs by name, with one batch axis: indices and slices pick images of all.

    Parameters
    ----------
    arrays
        One for each input, of as many images; the first axis is the batch.
    """

    arrays: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __getitem__(self, images: slice | np.ndarray) -> Images:
        return Images({name: array[images] for name, array in self.arrays.items()})


def check_calibration(x: np.ndarray | Mapping[str, np.ndarray], graph: FloatGraph) -> Images:
    """The data, as they are, if they belong to the model's inputs; converted batch by batch when used.

    Parameters
    ----------
    x
        The array of the only input, or one for each by name.
    graph
        The model.

    Raises
    ------
    InputArrayError
        An input has no array or an array no input, or their images do not fit the inputs or each other.
    """
    where = "calibration data"
    names = [declared.name for declared in graph.inputs]
    if not isinstance(x, Mapping):
        if len(names) > 1:
            todo = "give one for each: NAME=X.npy, or all in one .npz"
            msg = f"it is one array, and the model has the inputs {', '.join(names)}"
            raise InputArrayError(msg, where=where, todo=todo)
        x = {names[0]: x}
    if strange := [name for name in x if name not in names]:
        todo = f"its inputs are: {', '.join(names)}"
        raise InputArrayError(f"the model has no input {strange[0]!r}", where=where, todo=todo)
    if absent := [name for name in names if name not in x]:
        todo = "give an array for each input: NAME=X.npy, or all in one .npz"
        raise InputArrayError(f"there is no array for the input {absent[0]!r}", where=where, todo=todo)
    for declared in graph.inputs:
        _check(x[declared.name], declared, f"{where} of {declared.name!r}" if len(names) > 1 else where)
    counts = {name: len(x[name]) for name in names}
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{count} of {name}" for name, count in counts.items())
        todo = "give the same number of each: image i of all inputs is run together"
        raise InputArrayError(f"the numbers of images differ: {shown}", where=where, todo=todo)
    return Images({name: x[name] for name in names})


def _check(x: np.ndarray, declared: onnx.ValueInfoProto, where: str) -> None:
    """Refuse what is not the input's."""
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
