"""The host's part at both ends: float arrays to integers, integers to what the model itself would give."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import lcm

import numpy as np

from pulsefold.compiler.ir.graph import Graph, Input, Output, Tensor
from pulsefold.compiler.numerics.floats import nearest_float
from pulsefold.errors import InputArrayError
from pulsefold.sim.golden.host import host_steps
from pulsefold.sim.golden.threshold import levels

__all__ = ["Arrays", "input_arrays", "present_output", "present_raw", "quantize_input", "quantize_inputs"]

#: The model's own inputs: an array where there is one, else arrays by input name; batch first.
Arrays = np.ndarray | Mapping[str, np.ndarray]


def input_arrays(graph: Graph, x: Arrays) -> dict[str, np.ndarray]:
    """The model's own inputs by name.

    Raises
    ------
    InputArrayError
        If an input has no array, an array no input, or the batches differ.
    """
    names = list(dict.fromkeys(entry.name for entry in graph.inputs))
    if not isinstance(x, Mapping):
        if len(names) != 1:
            todo = f"give an array for each of {', '.join(names)}"
            raise InputArrayError(f"the model has {len(names)} inputs", todo=todo)
        return {names[0]: np.asarray(x)}
    for name in x:
        if name not in names:
            todo = f"the inputs are: {', '.join(names)}"
            raise InputArrayError(f"the model has no input {name!r}", todo=todo)
    for name in names:
        if name not in x:
            raise InputArrayError("no array was given for it", where=f"input {name!r}")
    arrays = {name: np.asarray(x[name]) for name in names}
    batches = {name: a.shape[0] if a.ndim else 0 for name, a in arrays.items()}
    if len(set(batches.values())) > 1:
        counts = ", ".join(f"{count} of {name}" for name, count in batches.items())
        raise InputArrayError(f"the batches differ: {counts}", todo="give the same number of each")
    return arrays


def quantize_inputs(graph: Graph, x: Arrays) -> dict[str, np.ndarray]:
    """The model's own inputs as integers int64 [N, H, W, C], by tensor; see :func:`quantize_input`."""
    arrays = input_arrays(graph, x)
    return {entry.tensor: quantize_input(entry, arrays[entry.name]) for entry in graph.inputs}


def quantize_input(inp: Input, x: np.ndarray) -> np.ndarray:
    """The model's own input, batch first, as integers int64 [N, H, W, C].

    Parameters
    ----------
    inp
        Which input.
    x
        [N, *inp.shape], of an element type that converts to the model's without loss, or float64,
        which is rounded to the model's type first.

    Raises
    ------
    InputArrayError
        The shape or the element type is another, it holds nothing, or a value is NaN or infinite.
    """
    where = f"input {inp.name!r}"
    sizes = ", ".join(map(str, inp.shape))
    want = f"[N, {sizes}] of {inp.dtype}"
    x = np.asarray(x)
    if x.dtype.kind not in "iuf":
        raise InputArrayError(f"it holds {x.dtype}, and {want} is meant", where=where, todo="give numbers")
    if x.dtype != np.float64 and not np.can_cast(x.dtype, inp.dtype, "safe"):
        msg = f"it holds {x.dtype}, which {inp.dtype} cannot hold without loss"
        raise InputArrayError(msg, where=where, todo=f"convert it: x.astype('{inp.dtype}')")
    if x.ndim != len(inp.shape) + 1 or x.shape[1:] != inp.shape:
        todo = "put the batch axis first; one frame is a batch of 1: x[None]" if x.shape == inp.shape else ""
        msg = f"its shape is {list(x.shape)}, and {want} is meant"
        raise InputArrayError(msg, where=where, todo=todo or f"reshape it to [N, {sizes}]")
    if not len(x):
        raise InputArrayError("it holds no images", where=where, todo="give at least one")
    if x.dtype.kind == "f" and not np.all(np.isfinite(x)):
        raise InputArrayError("it holds NaN or infinity", where=where, todo="give finite numbers")
    if np.dtype(inp.dtype).kind != "f" and x.dtype.kind == "f":
        msg = f"it holds {x.dtype}, and the model takes {inp.dtype}"
        raise InputArrayError(msg, where=where, todo=f"convert it: x.astype('{inp.dtype}')")
    with np.errstate(over="ignore"):
        x = x.astype(inp.thresholds.dtype)
    flat = np.empty((len(x), inp.index.size), x.dtype)
    flat[:, inp.index.ravel()] = x.reshape(len(x), -1)
    frames = flat.reshape(len(x), *inp.frame)
    # One threshold from -1: a bipolar tensor. Other two-valued inputs count from 0.
    step = 2 if (inp.first, inp.thresholds.shape[1]) == (-1, 1) else 1
    return levels(frames, inp.thresholds, inp.descending, first=inp.first, step=step)


def present_raw(output: Output, q: np.ndarray) -> np.ndarray:
    """The last integers in the axes of the model's own output, batch first, int64.

    For an output that picks channels (TopK, ArgMax): all of them, [N, C], or [N, H, W, C] of a map.
    """
    if output.kind != "values":
        return q.reshape(len(q), -1) if q.shape[1:3] == (1, 1) else q
    return q.reshape(len(q), -1)[:, output.index.ravel()].reshape(len(q), *output.shape)


def present_output(graph: Graph, output: Output, q: np.ndarray) -> np.ndarray:
    """The model's own output, batch first: scale * q + offset rounded once to its element type.

    Steps of the host (softmax, say) are computed in float64 behind them.

    Indices of TopK are those of the exact rational values, the lower index first on ties.
    """
    tensor = graph.tensors[output.tensor]
    dtype = np.dtype(output.dtype)
    if output.kind == "values" and output.steps:
        return host_steps(
            output.steps, present_raw(output, real_values(tensor, q, np.dtype(np.float64))), dtype
        )
    if output.kind == "values":
        return present_raw(output, real_values(tensor, q, dtype))
    keys = _comparable(tensor, q)
    picked = np.argsort(-keys if output.largest else keys, axis=3, kind="stable")[..., : output.k]
    if output.kind == "topk_values":
        picked = np.take_along_axis(real_values(tensor, q, dtype), picked, axis=3)
    return picked.astype(dtype).reshape(len(q), -1)[:, output.index.ravel()].reshape(len(q), *output.shape)


def real_values(tensor: Tensor, q: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """scale * q + offset of each element, rounded once: the shape of `q`, channels last."""
    channels = tensor.shape[2]
    flat = q.reshape(-1, channels)
    result = np.empty(flat.shape, dtype)
    for c in range(channels):
        scale, offset = tensor.scale[c % len(tensor.scale)], tensor.offset[c % len(tensor.offset)]
        values, places = np.unique(flat[:, c], return_inverse=True)
        result[:, c] = _rounded(values, scale, offset, dtype)[places]
    return result.reshape(q.shape)


def _rounded(values: np.ndarray, scale: Fraction, offset: Fraction, dtype: np.dtype) -> np.ndarray:
    """scale * v + offset for each, correctly rounded."""
    if dtype.kind in "iu":
        # The model itself gives integers: scale and offset are whole.
        return (values * int(scale) + int(offset)).astype(dtype)
    if scale == 1 and offset == 0 and np.abs(values).max(initial=0) <= 1 << 24 and dtype.itemsize >= 4:
        return values.astype(dtype)
    wide = values * float(scale) + float(offset)
    # Three roundings, each within 2**-53 of its result: what both ends round to is decided.
    error = 2.0**-50 * (np.abs(values * float(scale)) + abs(float(offset)))
    low, high = (wide - error).astype(dtype), (wide + error).astype(dtype)
    for i in np.flatnonzero(low != high):
        low[i] = nearest_float(scale * int(values[i]) + offset, dtype.type)
    return low


def _comparable(tensor: Tensor, q: np.ndarray) -> np.ndarray:
    """Integers that compare as the exact real values do."""
    if len(tensor.scale) == len(tensor.offset) == 1:
        return q if tensor.scale[0] > 0 else -q if tensor.scale[0] < 0 else np.zeros_like(q)
    below = lcm(*(v.denominator for v in (*tensor.scale, *tensor.offset)))
    count = tensor.shape[2]
    scale = np.array([int(tensor.scale[c % len(tensor.scale)] * below) for c in range(count)], object)
    offset = np.array([int(tensor.offset[c % len(tensor.offset)] * below) for c in range(count)], object)
    return q.astype(object) * scale + offset
