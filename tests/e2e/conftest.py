"""Runs the command line in this process, and small files to give it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pulsefold.cli import main

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def pulsefold(capfd) -> Callable[..., Outcome]:
    def run(*arguments: object) -> Outcome:
        code = main([str(a) for a in arguments])
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def model() -> Path:
    return REPOSITORY / "demo" / "digits.onnx"


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    with np.load(REPOSITORY / "demo" / "digits_test.npz") as file:
        return file["images"].astype(np.float32)


@pytest.fixture(scope="session")
def design(tmp_path_factory, model) -> Path:
    """The demo network, compiled once; tests must leave it as it is."""
    folder = tmp_path_factory.mktemp("design") / "digits"
    assert main(["compile", str(model), "--board", "ulx3s-85f", "-o", str(folder), "--fps", "5000"]) == 0
    return folder
