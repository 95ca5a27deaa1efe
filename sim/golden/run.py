"""The whole graph in integers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

import numpy as np

from pulsefold.compiler.ir import (
    Concat,
    Constant,
    Conv,
    Graph,
    Lrn,
    MaxPool,
    Product,
    Reorder,
    Requantize,
    Sum,
    SumPool,
    Table,
    Threshold,
)
from pulsefold.errors import InputArrayError
from pulsefold.sim.golden.constant import constant
from pulsefold.sim.golden.conv import conv
from pulsefold.sim.golden.joins import concat, product, sum_
from pulsefold.sim.golden.lrn import lrn
from pulsefold.sim.golden.maxpool import maxpool
from pulsefold.sim.golden.reorder import reorder
from pulsefold.sim.golden.requantize import requantize
from pulsefold.sim.golden.sumpool import sumpool
from pulsefold.sim.golden.table import table
from pulsefold.sim.golden.threshold import threshold

__all__ = ["OPERATIONS", "run"]

#: Node class -> its function (node, one int64 [N, H, W, C] an input) -> int64 [N, OH, OW, O].
OPERATIONS: Mapping[type, Callable[..., np.ndarray]] = MappingProxyType(
    {
        Concat: concat,
        Constant: constant,
        Conv: conv,
        Lrn: lrn,
        MaxPool: maxpool,
        Product: product,
        Reorder: reorder,
        Requantize: requantize,
        Sum: sum_,
        SumPool: sumpool,
        Table: table,
        Threshold: threshold,
    }
)

#: Bytes that the largest tensor of one chunk of the batch may have.
_CHUNK_BYTES = 1 << 26


def run(
    graph: Graph, inputs: Mapping[str, np.ndarray], *, keep: bool | Collection[str] = False
) -> dict[str, np.ndarray]:
    """Integers of the graph, int64 [N, H, W, C] by tensor name.

    Parameters
    ----------
    graph
        What to run.
    inputs
        Integers of every input tensor.
    keep
        False: the tensors that outputs read. True: all. Names: those as well as the outputs.
    """
    names = {output.tensor for output in graph.outputs}
    names |= set(graph.tensors) if keep is True else set(keep or ())
    sources = {}
    for source in graph.inputs:
        tensor = graph.tensors[source.tensor]
        q = np.asarray(inputs[source.tensor])
        if q.dtype.kind not in "iu" or q.shape[1:] != tensor.shape:
            msg = f"integers of shape {['N', *tensor.shape]} are meant, not {q.dtype} {list(q.shape)}"
            raise InputArrayError(msg, where=f"tensor {source.tensor!r}", todo="use quantize_input")
        sources[source.tensor] = q.astype(np.int64)
    lengths = sorted({len(q) for q in sources.values()})
    if len(lengths) > 1:
        msg = f"the inputs hold batches of {' and '.join(map(str, lengths))} frames"
        raise InputArrayError(msg, todo="give as many frames of each")
    batch = lengths[0]
    widest = max(tensor.elements for tensor in graph.tensors.values())
    chunk = max(1, _CHUNK_BYTES // (8 * widest))
    results = {name: np.empty((batch, *graph.tensors[name].shape), np.int64) for name in names}
    last = {name: k for k, node in enumerate(graph.nodes) for name in node.inputs}
    for start in range(0, batch, chunk):
        part = slice(start, start + chunk)
        values = {name: q[part] for name, q in sources.items()}
        for k, node in enumerate(graph.nodes):
            values[node.output] = OPERATIONS[type(node)](node, *(values[name] for name in node.inputs))
            for name in node.inputs:
                # What nothing reads any more is let go: large networks hold a few tensors at a time.
                if last[name] == k and name not in names:
                    values.pop(name, None)
        for name in names:
            results[name][part] = values[name]
    return results
