"""The id of a design covers what its host computes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from pulsefold.boards import get_board
from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.ir import Graph
from pulsefold.compiler.ir.graph import HostStep
from pulsefold.compiler.plan.plan import make_plan
from pulsefold.design import Design, target_of
from pulsefold.identity import identity_of

DEMO = Path(__file__).resolve().parents[1] / "demo" / "digits.onnx"


def test_steps_of_the_host_are_part_of_the_id() -> None:
    board, graph = get_board("ulx3s-85f"), import_model(DEMO)
    plan = make_plan(graph, target_of(board, None), fps=1000)

    def id_of(*steps: HostStep) -> bytes:
        outputs = tuple(replace(entry, steps=steps) for entry in graph.outputs)
        changed: Graph = replace(graph, outputs=outputs)
        design = Design(
            folder=DEMO.parent, board=board, graph=changed, plan=replace(plan, graph=changed), sha256="0" * 64
        )
        return identity_of(design).design_id

    variants = [
        (),
        (HostStep(op="softmax"),),
        (HostStep(op="softmax", axes=(1,)),),
        (HostStep(op="leaky_relu", scale=Fraction(1, 3)),),
    ]
    assert len({id_of(*steps) for steps in variants}) == len(variants)


def test_a_clock_is_the_same_however_it_is_written() -> None:
    board, graph = get_board("ulx3s-85f"), import_model(DEMO)

    def id_of(clock_mhz: float) -> bytes:
        plan = make_plan(graph, target_of(board, clock_mhz), fps=1000)
        return identity_of(
            Design(folder=DEMO.parent, board=board, graph=graph, plan=plan, sha256="0" * 64)
        ).design_id

    assert id_of(50) == id_of(50.0) != id_of(60)
