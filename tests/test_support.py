"""docs/support.md is what docs/support.py writes of the code's tables."""

from __future__ import annotations

import runpy
from pathlib import Path

from pulsefold.compiler.frontend.refused import REFUSED
from pulsefold.compiler.frontend.registry import RULES
from pulsefold.sim.golden.onnx_ops import WRITERS
from pulsefold.sim.golden.run import OPERATIONS

DOCS = Path(__file__).parents[1] / "docs"


def test_the_page_is_current() -> None:
    page = runpy.run_path(str(DOCS / "support.py"))["support_page"]()
    assert (DOCS / "support.md").read_text() == page, "run: python docs/support.py"
    for name in (*RULES, *REFUSED, *(kind.__name__ for kind in OPERATIONS)):
        assert f"| {name} |" in page


def test_nothing_is_both_supported_and_refused() -> None:
    assert not set(RULES) & set(REFUSED)


def test_every_operation_has_a_form_in_plain_onnx() -> None:
    assert set(WRITERS) == set(OPERATIONS)
