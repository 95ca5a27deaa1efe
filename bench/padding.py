"""Prints how much of the block RAM that plans claim is empty, and what it would take to fill it at any price.

Nothing is synthesised: counts are the planner's, which ``bench/costs.py`` holds against those of place and
route. "At any price" is the plan within 15 % with the least price of empty bits that was tried, else the
fullest of those tried, with as many cycles a frame or fewer.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from pulsefold.boards import get_board
from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.plan.layers import layers_of
from pulsefold.compiler.plan.plan import Plan, settle, table_of
from pulsefold.compiler.plan.search import smallest_for
from pulsefold.compiler.plan.target import PADDING, Target
from pulsefold.compiling import padding
from pulsefold.design import target_of

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs" / "padding.md"

BOARD = "ulx3s-85f"

#: Networks and cycles a frame.
DESIGNS = (
    ("models/mnist_lfcW1A1.onnx", (128, 256, 4096, 65_536)),
    ("models/kws_w3a3_qonnx.onnx", (896, 4096, 16_384)),
    ("models/cifar10_cnvW1A1.onnx", (3600, 28_800, 115_200, 819_200)),
    ("models/cifar10_cnvW1A2.onnx", (9600, 86_400, 819_200)),
    ("models/vww_mobilenetv1_025_96_int8_qdq.onnx", (41_472, 294_912)),
    ("models/ad_autoencoder_int8_qdq.onnx", (1024, 8192)),
    ("models/resnet8_int8_qdq.onnx", (49_152, 393_216)),
    ("models/kws_dscnn_int8_qdq.onnx", (20_000, 320_000)),
    ("models/tfc_w1a1_mnist_qonnx.onnx", (80, 896)),
    ("demo/digits.onnx", (3456,)),
)

#: Factors of the price of empty bits.
_PRICES = (4.0, 16.0, 64.0, 256.0)


def plans(model: Path, cycles: tuple[int, ...]) -> Iterator[tuple[Plan, Plan]]:
    """The plan for each number of cycles, and the one that is filled at any price."""
    graph = import_model(model)
    target = target_of(get_board(BOARD), None)
    layers = layers_of(graph)
    table = table_of(graph, target, layers)

    def planned(bound: int, empty: float) -> Plan:
        def choose(room: Target):
            picks = smallest_for(table, room, bound, empty=empty)
            assert picks, f"{model.name} cannot be as fast as {bound} cycles"
            return picks

        return settle(graph, target, layers, choose, bound)

    for bound in cycles:
        first = planned(bound, 1.0)
        others = [plan for price in _PRICES if not target.shortage((plan := planned(bound, price)).core_cost)]
        within = [plan for plan in others if share(plan) <= PADDING]
        yield first, first if share(first) <= PADDING else (within or sorted([*others, first], key=share))[0]


def share(plan: Plan) -> float:
    """Of the block RAM that is claimed, what is empty."""
    return padding(plan.cost, get_board(BOARD))


def shown(plan: Plan) -> str:
    """Cells of a row."""
    return f"{plan.cycles:,} | {plan.cost.luts:,.0f} | {plan.cost.brams:.0f} | {share(plan):.0%}"


def main() -> None:
    """Plan all designs, print the table and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--shared", type=Path, default=REPOSITORY.parent / "shared", help="folder of models and data"
    )
    options = parser.parse_args()
    lines = [
        "| network | cycles | LUTs | block RAMs | empty | at any price: cycles | LUTs | block RAMs | empty |",
        "|" + "---|" * 9,
    ]
    for name, cycles in DESIGNS:
        model = (REPOSITORY if name.startswith("demo/") else options.shared) / name
        if not model.exists():
            parser.error(f"{model}: no such file; --shared names the folder of models and data")
        print(f"{model.stem}: planning", file=sys.stderr)
        for first, filled in plans(model, cycles):
            lines.append(f"| {model.stem} | {shown(first)} | {shown(filled)} |")
            print(lines[-1], file=sys.stderr)
    table = "\n".join(lines)
    printed = f"Printed by `.venv/bin/python bench/padding.py`, for {BOARD}."
    PAGE.write_text(f"# Block RAM that is empty\n\n{__doc__}\n{printed}\n\n{table}\n", encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
