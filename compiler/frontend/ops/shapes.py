"""Operators that only rename positions, which mean nothing in a stream."""

from __future__ import annotations

from math import prod

import numpy as np

from pulsefold.compiler.frontend.ops.common import Call
from pulsefold.compiler.frontend.values import Const, Hosted, Pick, Rivals, Stream

__all__ = ["flatten", "identity", "reshape", "shape_of", "size_of", "squeeze", "transpose", "unsqueeze"]

Flowing = Stream | Pick | Hosted | Rivals


def identity(call: Call) -> Flowing:
    """Identity, and Dropout at inference."""
    if (
        call.node.op_type == "Dropout"
        and isinstance(training := call.input(2), Const)
        and training.value.any()
    ):
        raise call.refuse("it is in training mode", "export the model in evaluation mode: model.eval()")
    return _flowing(call)


def flatten(call: Call) -> Flowing:
    """Flatten-13 behind the batch axis."""
    value = _flowing(call)
    rank = value.index.ndim
    axis = call.integer("axis", 1)
    axis = axis + rank if axis < 0 else axis
    if axis != 1:
        raise call.refuse(f"it flattens at axis {axis}, across the batch", "flatten at axis 1")
    return _moved(call, value, value.index.reshape(1, -1))


def reshape(call: Call) -> Flowing:
    """Reshape-13 that keeps the batch axis."""
    value = _flowing(call)
    target = list(call.integers("shape", 1) or [])
    old = value.index.shape
    if not call.integer("allowzero", 0):
        for i, size in enumerate(target):
            if size == 0 and i < len(old):
                target[i] = old[i]
    shown = list(target)
    # The batch axis is 1 here, whatever size the model fixes for it.
    if target and target[0] in (1, call.batch or 1):
        target[0] = 1
    rest = [size for size in target if size != -1]
    if target.count(-1) == 1 and all(size > 0 for size in rest) and not value.index.size % prod(rest):
        target[target.index(-1)] = value.index.size // prod(rest)
    if not target or target[0] != 1 or prod(target) != value.index.size or min(target) < 1:
        msg = f"it reshapes {['N', *old[1:]]} to {shown}, which does not keep the batch axis in front"
        raise call.refuse(msg, "reshape to (N, ...) with the batch axis first")
    return _moved(call, value, value.index.reshape(target))


def transpose(call: Call) -> Flowing:
    """Transpose-13 that keeps the batch axis."""
    value = _flowing(call)
    rank = value.index.ndim
    perm = call.integers("perm") or list(range(rank))[::-1]
    if sorted(perm) != list(range(rank)):
        raise call.wrong(f"perm is {perm} for {rank} axes")
    if perm[0] != 0:
        raise call.refuse(f"it moves the batch axis: perm is {perm}", "keep the batch axis first")
    return _moved(call, value, value.index.transpose(perm))


def squeeze(call: Call) -> Flowing:
    """Squeeze-13 of axes behind the batch axis."""
    value = _flowing(call)
    rank = value.index.ndim
    axes = call.integers("axes", 1)
    if axes is None:
        axes = [i for i in range(1, rank) if value.index.shape[i] == 1]
    axes = [a + rank if a < 0 else a for a in axes]
    if 0 in axes:
        raise call.refuse("it removes the batch axis", "keep the batch axis first")
    if any(not 0 < a < rank or value.index.shape[a] != 1 for a in axes):
        raise call.wrong(f"it squeezes axes {axes} of {['N', *value.index.shape[1:]]}")
    return _moved(call, value, value.index.squeeze(tuple(axes)))


def unsqueeze(call: Call) -> Flowing:
    """Unsqueeze-13 behind the batch axis."""
    value = _flowing(call)
    axes = call.integers("axes", 1) or []
    rank = value.index.ndim + len(axes)
    axes = [a + rank if a < 0 else a for a in axes]
    if 0 in axes:
        raise call.refuse("it puts an axis in front of the batch axis", "keep the batch axis first")
    if len(set(axes)) != len(axes) or any(not 0 < a < rank for a in axes):
        raise call.wrong(f"it adds axes {axes} to {['N', *value.index.shape[1:]]}")
    return _moved(call, value, np.expand_dims(value.index, tuple(axes)))


def shape_of(call: Call) -> Const:
    """Shape-15 of activations: known but for an open batch axis, which may only go into a Reshape."""
    sizes = [call.batch or 1, *_flowing(call).index.shape[1:]]
    taken = sizes[call.integer("start", 0) : call.integer("end", len(sizes))]
    return Const(value=np.array(taken, np.int64), symbolic=call.batch is None)


def size_of(call: Call) -> Const:
    """Size-13 of activations."""
    count = (call.batch or 1) * _flowing(call).index.size
    return Const(value=np.array(count, np.int64), symbolic=call.batch is None)


def _flowing(call: Call) -> Flowing:
    value = call.input(0)
    return value if isinstance(value, (Pick, Hosted, Rivals)) else call.stream()


def _moved(call: Call, value: Flowing, index: np.ndarray) -> Flowing:
    if isinstance(value, (Stream, Pick, Rivals)):
        return value.moved(index)
    # The host's steps look at axes: only axes of one element may come and go behind them.
    wide = [n for n in index.shape if n > 1] == [n for n in value.index.shape if n > 1]
    if not wide or not np.array_equal(index.ravel(), value.index.ravel()):
        done = value.steps[-1].op
        raise call.refuse(f"it moves elements behind {done}", f"put it in front of {done}")
    return value.reshaped(index)
