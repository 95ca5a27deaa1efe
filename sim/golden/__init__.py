"""The golden model: every operation in NumPy, integers only."""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.ir.graph import Graph
from pulsefold.sim.golden.present import (
    Arrays,
    input_arrays,
    present_output,
    present_raw,
    quantize_input,
    quantize_inputs,
)
from pulsefold.sim.golden.run import OPERATIONS, run

__all__ = [
    "OPERATIONS",
    "Arrays",
    "infer",
    "input_arrays",
    "present_output",
    "present_raw",
    "quantize_input",
    "quantize_inputs",
    "run",
]


def infer(graph: Graph, x: Arrays) -> np.ndarray:
    """The model's own (first) output for the model's own inputs, all batch first."""
    output = graph.outputs[0]
    q = run(graph, quantize_inputs(graph, x))
    return present_output(graph, output, q[output.tensor])
