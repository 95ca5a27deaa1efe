"""The golden model: every operation in NumPy, integers only."""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.ir.graph import Graph
from pulsefold.errors import InputArrayError
from pulsefold.sim.golden.present import present_output, present_raw, quantize_input
from pulsefold.sim.golden.run import OPERATIONS, run

__all__ = ["OPERATIONS", "infer", "present_output", "present_raw", "quantize_input", "run"]


def infer(graph: Graph, x: np.ndarray) -> np.ndarray:
    """The model's own (first) output for the model's own input, both batch first."""
    if len(graph.inputs) != 1:
        msg = f"the model has {len(graph.inputs)} inputs"
        raise InputArrayError(msg, todo="give integers for each of them to run()")
    source, output = graph.inputs[0], graph.outputs[0]
    q = run(graph, {source.tensor: quantize_input(source, x)})
    return present_output(graph, output, q[output.tensor])
