"""Writes docs/support.md from the tables in the code: ``python docs/support.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pulsefold.compiler.frontend.refused import DEFAULT_TODO, REFUSED
from pulsefold.compiler.frontend.registry import RULES
from pulsefold.compiler.plan.lower import RULES as CIRCUITS
from pulsefold.compiler.plan.lower import WITHIN
from pulsefold.sim.golden.onnx_ops import WRITERS
from pulsefold.sim.golden.run import OPERATIONS

__all__ = ["PAGE", "support_page"]

PAGE = Path(__file__).with_name("support.md")

_QONNX = ("BipolarQuant", "MultiThreshold", "Quant")


def support_page() -> str:
    """The page."""
    return "\n".join(_lines()) + "\n"


def _format(name: str) -> str:
    rule = RULES[name]
    if name in _QONNX:
        return "QONNX"
    if name in ("QuantizeLinear", "DequantizeLinear"):
        return "QDQ"
    if rule.custom:
        return "QOperator (com.microsoft)"
    if rule.quantizer or name in ("ConvInteger", "MatMulInteger"):
        return "QOperator"
    return "any"


def _lines() -> Iterator[str]:
    yield "# What is supported"
    yield ""
    yield "Written by `python docs/support.py` from the tables in the code; a test holds it to them."
    yield "`pulsefold inspect MODEL.onnx` says the same of every node of a model."
    yield ""
    yield "## ONNX operators"
    yield ""
    yield "Activations reach a product as integers of a quantizer: of QONNX nodes (`Quant`, `BipolarQuant`,"
    yield "`MultiThreshold`), of QDQ pairs, or of QOperator nodes. A model in floating point is quantized"
    yield "first: `pulsefold quantize`. Operators whose inputs are all constants are computed at import."
    yield ""
    yield "| operator | format | what becomes of it |"
    yield "|---|---|---|"
    for name in sorted(RULES):
        yield f"| {name} | {_format(name)} | {RULES[name].why} |"
    yield ""
    yield "## Operations of the integer graph"
    yield ""
    yield "| operation | golden model | integer ONNX | dataflow circuit |"
    yield "|---|---|---|---|"
    for kind in sorted(OPERATIONS, key=lambda k: k.__name__):
        marks = ("yes" if kind in table else "no" for table in (OPERATIONS, WRITERS, {*CIRCUITS, *WITHIN}))
        yield f"| {kind.__name__} | {' | '.join(marks)} |"
    yield ""
    yield "## Refused by name"
    yield ""
    yield f"Any other operator is refused too, with: {DEFAULT_TODO}."
    yield ""
    yield "| operator | why | what to do |"
    yield "|---|---|---|"
    for name in sorted(REFUSED):
        why, todo = REFUSED[name]
        yield f"| {name} | {why} | {todo} |"


if __name__ == "__main__":
    PAGE.write_text(support_page(), encoding="utf-8")
