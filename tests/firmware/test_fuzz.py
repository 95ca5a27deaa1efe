"""Arbitrary bytes: for the Python driver from hypothesis, for the library in C from its own fuzzers.

``make fuzz`` gives each of them as long as it is told, and atheris as well where it is installed.
"""

import importlib.util
import random
import re
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

HERE = Path(__file__).resolve().parent


def load(name):
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fuzzing = load("fuzzing")
QUICK = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
#: What hypothesis thinks of, and bytes without any sense, which lead deeper.
BYTES = st.binary(max_size=400) | st.builds(
    lambda seed, size: random.Random(seed).randbytes(size), st.integers(0, 1 << 32), st.integers(0, 1500)
)


@given(BYTES)
@QUICK
def test_bytes_that_are_parsed(data):
    fuzzing.parsed(data)


@given(BYTES)
@QUICK
def test_a_board_that_says_anything(data):
    fuzzing.anything(data)


@given(BYTES)
@example(b"")
@QUICK
def test_an_honest_board_behind_a_bad_line(data):
    fuzzing.damaged(data)


def test_fuzzers_of_the_library_in_c(make_c, tmp_path):
    """A moment of each, from a fixed seed, under the sanitizers."""
    said = make_c(tmp_path, "fuzz", "CC=gcc", "SECONDS=2")
    found = re.findall(r"^(\w+): (\d+) executions .* 0 crashes$", said, re.MULTILINE)
    assert [name for name, _ in found] == ["decoder", "session", "line"]
    assert all(int(count) > 10 for _, count in found)
