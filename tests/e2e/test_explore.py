"""Explorations: sweeps that end complete whatever becomes of their workers, and nothing done twice."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import pulsefold
from pulsefold.errors import DoesNotFitError, OutputError, PulsefoldError
from pulsefold.exploring import front_of

DIGITS = Path(__file__).resolve().parents[2] / "demo" / "digits.onnx"

#: A task each.
BOARDS = ["ulx3s-85f", "ulx3s-45f", "ulx3s-25f", "icebreaker", "tang-nano-9k", "tang-nano-20k"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """A binary layer of 8 inputs and 4 outputs."""
    weights = np.where(np.random.default_rng(3).random((8, 4)) < 0.5, -1, 1).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("BipolarQuant", ["x", "one"], ["q"], domain="qonnx.custom_op.general"),
            helper.make_node("BipolarQuant", ["w", "one"], ["v"], domain="qonnx.custom_op.general"),
            helper.make_node("MatMul", ["q", "v"], ["y"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [
            numpy_helper.from_array(weights, "w"),
            numpy_helper.from_array(np.array(1, np.float32), "one"),
        ],
    )
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("qonnx.custom_op.general", 1)]
    path = tmp_path_factory.mktemp("tiny") / "tiny.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


def figures(points):
    return [(p.name, p.fps, p.resources, p.front) for p in points]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The estimates of an exploration that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    points = pulsefold.explore(DIGITS, board=BOARDS, out=folder, foldings=4, build="none")
    return folder, points


def test_sweep_from_smallest_to_fastest(whole):
    folder, points = whole
    assert {p.board for p in points} == set(BOARDS)
    for board in BOARDS:
        mine = [p for p in points if p.board == board]
        assert len(mine) >= 3
        assert [p.fps for p in mine] == sorted(p.fps for p in mine)
        # What is faster and on the front costs something more.
        front = [p for p in mine if p.front]
        assert front
        assert front[-1].estimated["luts"] > front[0].estimated["luts"]
        assert {p.name for p in mine if not p.front} == {
            p.name for p in mine if any(q.beats(p) for q in mine)
        }
    document = json.loads((folder / "explore.json").read_text())
    assert [p["name"] for p in document["points"]] == [p.name for p in points]
    page = (folder / "explore.html").read_text()
    assert page.count("<circle") == len(points)
    assert "<script" not in page


def test_a_folding_compiles_to_what_was_promised(whole, tmp_path):
    folder, points = whole
    point = next(p for p in points if p.board == "icebreaker")
    design = pulsefold.compile(
        DIGITS, board=point.board, out=tmp_path / "d", folding=folder / "foldings" / f"{point.name}.json"
    )
    assert design.plan.cycles == point.cycles
    assert round(design.plan.cost.luts) == point.estimated["luts"]


def test_front_is_what_nothing_beats(whole):
    _, points = whole
    front = front_of(points)
    assert all(not any(q.beats(p) for q in points) for p in front)
    assert all(any(q.beats(p) for q in front) for p in points if p not in front)


def running(word: str) -> dict[int, int]:
    """Processes whose command names a word, with their parents'."""
    found = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rsplit(")", 1)[1].split()[1])
            command = (status.parent / "cmdline").read_text()
        except OSError:
            continue
        if word in command:
            found[int(status.parent.name)] = parent
    return found


def children(word: str) -> list[int]:
    """Those of ours."""
    return [pid for pid, parent in running(word).items() if parent == os.getpid()]


def test_a_killed_worker_is_replaced(whole, tmp_path):
    killed = []

    def kill() -> None:
        for _ in range(600):
            for pid in children("pulsefold.points"):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                return
            time.sleep(0.02)

    thread = threading.Thread(target=kill)
    thread.start()
    points = pulsefold.explore(DIGITS, board=BOARDS[:3], out=tmp_path, foldings=4, build="none", jobs=2)
    thread.join()
    assert killed
    assert figures(points) == figures(p for p in whole[1] if p.board in BOARDS[:3])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems cannot bind a process to another")
def test_workers_end_with_an_exploration_that_is_killed(tmp_path):
    # The workers name the model.
    model = tmp_path / "model.onnx"
    model.write_bytes(DIGITS.read_bytes())
    options = ["--board", ",".join(BOARDS), "-o", str(tmp_path / "out"), "--build", "none", "--jobs", "2"]
    host = subprocess.Popen([sys.executable, "-m", "pulsefold", "explore", str(model), *options, "--quiet"])

    def workers() -> list[int]:
        return [pid for pid in running(str(model)) if pid != host.pid]

    for _ in range(600):
        if len(workers()) == 2:
            break
        time.sleep(0.05)
    assert len(workers()) == 2
    host.kill()
    host.wait()
    for _ in range(200):
        if not workers():
            break
        time.sleep(0.02)
    assert not workers()


def test_an_interrupted_exploration_goes_on(whole, tmp_path):
    def interrupt(line):
        if re.fullmatch(r"estimated: 2 of \d", line):
            raise KeyboardInterrupt

    options = {"board": BOARDS[:4], "out": tmp_path, "foldings": 4, "build": "none"}
    with pytest.raises(KeyboardInterrupt):
        pulsefold.explore(DIGITS, jobs=1, progress=interrupt, **options)
    assert not children("pulsefold.points")
    lines = []
    points = pulsefold.explore(DIGITS, progress=lines.append, **options)
    assert next(line for line in lines if line.startswith("estimated")) == "estimated: 2 of 4"
    assert figures(points) == figures(p for p in whole[1] if p.board in BOARDS[:4])


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two workers on the loopback: its address, and the workers' processes."""
    pytest.importorskip("distributed", reason="the extra `explore` is not installed")
    address = tmp_path / "scheduler.json"
    common = ["--scheduler-file", str(address), "--no-dashboard"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    dask = [sys.executable, "-m", "dask"]
    scheduler = subprocess.Popen([*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", *common], **quiet)
    options = [*common, "--nthreads", "1", "--no-nanny", "--host", "127.0.0.1"]
    workers = [
        subprocess.Popen([*dask, "worker", *options, "--local-directory", str(tmp_path / f"w{n}")], **quiet)
        for n in range(2)
    ]
    try:
        for _ in range(600):
            if address.exists():
                break
            time.sleep(0.1)
        yield json.loads(address.read_text())["address"], workers
    finally:
        for process in (*workers, scheduler):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_dask_survives_a_killed_worker(whole, cluster, tmp_path):
    address, workers = cluster

    def kill(line):
        if line == f"estimated: 1 of {len(BOARDS)}" and workers[0].poll() is None:
            # Both are at work now; its task, and perhaps the model that it holds, are lost.
            os.killpg(workers[0].pid, signal.SIGKILL)
            workers[0].wait()

    points = pulsefold.explore(
        DIGITS, board=BOARDS, out=tmp_path / "out", foldings=4, build="none", dask=address, progress=kill
    )
    assert workers[0].returncode == -signal.SIGKILL
    assert workers[1].poll() is None
    assert figures(points) == figures(whole[1])


def test_no_scheduler(tmp_path):
    pytest.importorskip("distributed", reason="the extra `explore` is not installed")
    with pytest.raises(PulsefoldError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        pulsefold.explore(DIGITS, board="icebreaker", out=tmp_path, build="none", dask="tcp://127.0.0.1:9")


def test_nothing_fits(tmp_path):
    with pytest.raises(DoesNotFitError, match="no folding"):
        pulsefold.explore(DIGITS, board="icebreaker", out=tmp_path, fps=[1e8], build="none")


def test_other_folders_are_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds other things"):
        pulsefold.explore(DIGITS, board="icebreaker", out=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"clocks": ["fast"]}, "--clocks"),
        ({"clocks": [0.5]}, "--clocks"),
        ({"fps": [-1]}, "--fps"),
        ({"foldings": 0}, "--foldings"),
        ({"build": "some"}, "--build"),
        ({"seeds": 0}, "--seeds"),
        ({"seeds": [0]}, "--seeds"),
        ({"jobs": 0}, "--jobs"),
    ],
)
def test_options_out_of_range(options, where, tmp_path):
    with pytest.raises(PulsefoldError) as caught:
        pulsefold.explore(DIGITS, board="icebreaker", out=tmp_path, **options)
    assert caught.value.where == where


@pytest.fixture
def counted(tmp_path, monkeypatch):
    """A cache of the test's own, and a function that gives the runs of each tool since it was last asked."""
    # The tools keep their own compiled form where it is.
    usual = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    log = tmp_path / "runs"
    for name in ("yosys", "nextpnr-ice40"):
        real = Path(sys.executable).parent / f"yowasp-{name}"
        script = tmp_path / name
        script.write_text(
            f'#!/bin/sh\n[ "$1" = --version ] || echo {name} >> "{log}"\n'
            f'export XDG_CACHE_HOME="{usual}"\nexec "{real}" "$@"\n',
            encoding="utf-8",
        )
        script.chmod(0o755)
        monkeypatch.setenv(name.upper().replace("-", "_"), str(script))

    def runs() -> dict[str, int]:
        lines = log.read_text().split() if log.exists() else []
        log.unlink(missing_ok=True)
        return {name: lines.count(name) for name in sorted(set(lines))}

    return runs


@pytest.mark.slow
@pytest.mark.synth
def test_no_point_is_built_twice(tiny, counted, tmp_path):
    out = tmp_path / "out"
    options = {"board": "icebreaker", "out": out, "foldings": 1, "seeds": 2}
    (point,) = pulsefold.explore(tiny, **options)
    assert counted() == {"nextpnr-ice40": 2, "yosys": 1}
    assert point.front
    assert point.built["fmax_mhz"] > 24
    assert {s["seed"] for s in point.built["seeds"]} == {1, 2}
    assert point.fps == 24e6 / point.cycles
    # From the results kept in the folder, and from the tools' cache where those are gone.
    (again,) = pulsefold.explore(tiny, **options)
    assert again == point
    for file in (out / "points").iterdir():
        file.unlink()
    (anew,) = pulsefold.explore(tiny, **options)
    assert counted() == {}
    assert anew.fps == point.fps
    # What is missing is a further clock: the best seed once more, and again where that missed it.
    points = pulsefold.explore(tiny, clocks=[24, "auto"], **options)
    runs = counted()
    assert 1 <= runs["yosys"] <= 4
    assert runs["nextpnr-ice40"] == runs["yosys"]
    fixed, fitted = sorted(points, key=lambda p: p.auto)
    assert fixed.built == anew.built
    assert fixed.fps < fitted.fps
    assert 24 < fitted.built["clock_mhz"] <= fitted.built["fmax_mhz"]


@pytest.mark.slow
@pytest.mark.synth
def test_a_clock_out_of_reach_is_said_and_costs_nothing_else(tiny, tmp_path):
    points = pulsefold.explore(tiny, board="icebreaker", out=tmp_path, foldings=1, clocks=[24, 204])
    missed = next(p for p in points if p.clock_mhz == 204)
    assert "not 204 MHz" in missed.failure
    assert not missed.front
    assert [p.front for p in points if p.clock_mhz == 24] == [True]
