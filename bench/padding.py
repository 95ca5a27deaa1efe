"""Prints how much of the block RAM that plans claim is empty, and how near to the best possible they are.

Nothing is synthesised: counts are the planner's, which ``bench/costs.py`` holds against those of place and
route. A plan is the smallest for so many cycles a frame, the fastest that fits (``--padding 100``), the one
that is taken where nothing is asked for, or the fastest that leaves at most 15 % empty (``--padding 15``).
No plan that fits takes fewer than the least cycles; a plan's layers cost at the most so much more than those
of the best that keeps its rate and padding, by the planner's prices (``compiler/plan/bound.py``).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from pulsefold.boards import get_board
from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.plan.plan import Plan, make_plan
from pulsefold.compiler.plan.target import PADDING
from pulsefold.design import target_of
from pulsefold.errors import DoesNotFitError

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs" / "padding.md"

_DIGITS = "demo/digits.onnx"
_TFC = "models/tfc_w1a1_mnist_qonnx.onnx"

#: Networks, boards and cycles a frame.
DESIGNS = (
    ("models/mnist_lfcW1A1.onnx", "ulx3s-85f", (128, 256, 4096, 65_536)),
    ("models/kws_w3a3_qonnx.onnx", "ulx3s-85f", (896, 4096, 16_384)),
    ("models/cifar10_cnvW1A1.onnx", "ulx3s-85f", (3600, 28_800, 115_200, 819_200)),
    ("models/cifar10_cnvW1A2.onnx", "ulx3s-85f", (9600, 86_400, 819_200)),
    ("models/vww_mobilenetv1_025_96_int8_qdq.onnx", "ulx3s-85f", (41_472, 294_912)),
    ("models/ad_autoencoder_int8_qdq.onnx", "ulx3s-85f", (1024, 8192)),
    ("models/resnet8_int8_qdq.onnx", "ulx3s-85f", (49_152, 393_216)),
    ("models/kws_dscnn_int8_qdq.onnx", "ulx3s-85f", (20_000, 320_000)),
    ("models/espcn_nnresize_quant_qonnx.onnx", "ulx3s-85f", (4_000_000,)),
    (_TFC, "ulx3s-85f", (80, 896)),
    (_TFC, "icebreaker", (448, 3584)),
    (_TFC, "tang-nano-9k", (512, 4096)),
    (_TFC, "tang-nano-20k", (128, 1024)),
    (_DIGITS, "ulx3s-85f", (3456,)),
    (_DIGITS, "icebreaker", (20_736,)),
    (_DIGITS, "tang-nano-9k", (20_736,)),
    (_DIGITS, "tang-nano-20k", (3456,)),
)


def plans(model: Path, board: str, bounds: tuple[int, ...]) -> Iterator[tuple[str, Plan | None]]:
    """What is asked for, and the plan, where there is one."""
    graph = import_model(model)
    target = target_of(get_board(board), None)
    for cycles in bounds:
        yield f"{cycles:,} cycles", make_plan(graph, target, fps=target.clock_mhz * 1e6 / (cycles + 0.5))
    yield "fastest", make_plan(graph, target, padding=1.0)
    yield "nothing", make_plan(graph, target)
    try:
        filled = make_plan(graph, target, padding=PADDING)
    except DoesNotFitError:
        filled = None
    yield f"fastest, {PADDING:.0%}", filled


def shown(plan: Plan | None) -> str:
    """Cells of a row."""
    if plan is None:
        return "none found" + " | -" * 5
    assert plan.bound
    proven = f"{plan.bound.cycles:,} | {plan.bound.gap:.1%}"
    return f"{plan.cycles:,} | {plan.cost.luts:,.0f} | {plan.cost.brams:.0f} | {plan.padding:.0%} | {proven}"


def main() -> None:
    """Plan all designs, print the table and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--shared", type=Path, default=REPOSITORY.parent / "shared", help="folder of models and data"
    )
    options = parser.parse_args()
    lines = [
        "| network | board | asked for | cycles | LUTs | block RAMs | empty | least cycles | above least |",
        "|" + "---|" * 9,
    ]
    for name, board, bounds in DESIGNS:
        model = (REPOSITORY if name == _DIGITS else options.shared) / name
        if not model.exists():
            parser.error(f"{model}: no such file; --shared names the folder of models and data")
        print(f"{model.stem} on {board}: planning", file=sys.stderr)
        for asked, plan in plans(model, board, bounds):
            lines.append(f"| {model.stem} | {board} | {asked} | {shown(plan)} |")
            print(lines[-1], file=sys.stderr)
    table = "\n".join(lines)
    printed = "Printed by `.venv/bin/python bench/padding.py`."
    PAGE.write_text(f"# Block RAM that is empty\n\n{__doc__}\n{printed}\n\n{table}\n", encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
