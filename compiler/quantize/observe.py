"""One pass over the calibration data: how the values of the float network are distributed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from pulsefold.compiler.quantize.calibration import Images
from pulsefold.compiler.quantize.graph import FloatGraph
from pulsefold.compiler.quantize.histogram import Histogram
from pulsefold.compiler.quantize.session import opened, run_batches
from pulsefold.compiler.quantize.types import infer_types
from pulsefold.errors import ModelError

__all__ = ["observe"]

#: Bytes of values that are looked at in one run.
_BUDGET = 192 << 20


def observe(
    graph: FloatGraph, values: Sequence[str], x: Images, say: Callable[[str], None]
) -> dict[str, Histogram]:
    """The distribution of each value over all of `x`; memory is bounded whatever their number and size."""
    found = {name: Histogram() for name in values}
    inputs = {v.name for v in graph.inputs}
    for name in inputs & set(values):
        found[name].add(x.arrays[name])
    inner = [name for name in values if name not in inputs]
    shapes = infer_types(graph).shapes
    # A size that is not known beforehand is taken for a large one.
    sizes = {name: 4 * prod(d or 1 for d in shapes.get(name, [1 << 20])) for name in inner}
    groups: list[list[str]] = []
    filled = _BUDGET
    for name in inner:
        if filled + sizes[name] > _BUDGET:
            groups.append([])
            filled = 0
        groups[-1].append(name)
        filled += sizes[name]
    for i, group in enumerate(groups):
        of = f" (part {i + 1} of {len(groups)})" if len(groups) > 1 else ""
        batch = int(min(64, max(1, _BUDGET // (2 * sum(sizes[name] for name in group)))))
        with opened(graph, group) as runner:
            for done, results in run_batches(runner, x, batch):
                for name, y in zip(group, results, strict=True):
                    if not np.isfinite(y).all():
                        msg = f"its value {name!r} becomes NaN or infinite on the calibration data"
                        todo = "check the data: the model's own input, prepared as for training"
                        raise ModelError(msg, where=graph.name, todo=todo)
                    found[name].add(y)
                say(f"calibrating{of}: {done} / {len(x)}")
    return found
