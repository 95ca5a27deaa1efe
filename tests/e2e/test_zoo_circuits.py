"""Circuits of the published structures, each as small as it can be, against golden under random stalls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from branches import check_circuit

import zoo
from pulsefold import api
from pulsefold.boards import get_board
from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.plan.plan import Plan, make_plan
from pulsefold.design import target_of

#: Those whose simulator is compiled in seconds.
QUICK = ("shufflenet", "mobilenet1")


def tiny_plan(name: str, folder: Path) -> Plan:
    """The network in 8 bits, on a board without limits, at some thousand cycles a frame."""
    model = zoo.TINY[name]()
    onnx.save(model, folder / "float.onnx")
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim[1:]]
    x = np.random.default_rng(5).normal(size=(8, *shape)).astype(np.float32)
    api.quantize(folder / "float.onnx", x, folder / "quantized.onnx")
    graph = import_model(folder / "quantized.onnx")
    return make_plan(graph, target_of(get_board("unlimited"), 100), fps=3_000)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in zoo.TINY]
)
def test_circuit_is_golden_and_keeps_its_promise(name: str, tmp_path: Path) -> None:
    """Every integer, freely running and with pauses at both ends; cycles a frame and latency as planned."""
    plan = tiny_plan(name, tmp_path)
    measured = check_circuit(plan, 3)
    if plan.network.straight:
        assert measured["latency"] == plan.latency_cycles
