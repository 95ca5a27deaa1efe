"""Run: a design on a board, real or virtual."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pulsefold.design import Design
from pulsefold.errors import DeviceError, PulsefoldError
from pulsefold.firmware.board import Board
from pulsefold.hdl.debug.upload import digest
from pulsefold.identity import identity_of
from pulsefold.probing import check_probe, probe_section
from pulsefold.progress import Silent
from pulsefold.retraining import contents_of
from pulsefold.sim import golden
from pulsefold.sim.virtual import Executable, VirtualBoard, build_virtual
from pulsefold.simulating import images_of
from pulsefold.statistics import check_statistics, statistics_section
from pulsefold.verifying import random_inputs

__all__ = ["Deployed", "Run", "deployed", "run", "selftest", "virtual_board"]

Say = Callable[[str], None]

#: Devices that are simulations, and how the host's bytes get into them.
SIMULATED = {"sim": "bytes", "sim:uart": "uart", "sim:spi": "spi"}

#: Seconds without progress: a real board, and one that is simulated.
_PATIENCE, _SIMULATED_PATIENCE = 5.0, 120.0

#: Images of a self-test.
_SELFTEST_IMAGES = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """What a run gave.

    Parameters
    ----------
    outputs
        The model's outputs by name, or the last integers; none for a self-test.
    report
        Figures.
    mismatches
        Output elements that differ from the golden model, where it was asked; of a probe, 1
        where anything does.
    """

    outputs: Mapping[str, np.ndarray]
    report: dict[str, Any]
    mismatches: int = 0

    @property
    def y(self) -> np.ndarray:
        """The first output."""
        return next(iter(self.outputs.values()))


class Deployed:
    """A design on an open board: the model's own inputs to its own outputs.

    Parameters
    ----------
    design
        Which design.
    board
        Where it runs.
    """

    def __init__(self, design: Design, board: Board) -> None:
        self.design, self.board = design, board

    def infer(self, x: golden.Arrays, *, raw: bool = False) -> dict[str, np.ndarray]:
        """Run a batch of the model's own inputs; its own outputs by name, or with `raw` the last integers."""
        graph = self.design.graph
        return self.presented(
            self.integers(golden.quantize_inputs(graph, golden.input_arrays(graph, x))), raw=raw
        )

    def presented(self, got: Mapping[str, np.ndarray], *, raw: bool) -> dict[str, np.ndarray]:
        """Integers of the plan's exits as the model's own outputs by name."""
        graph = self.design.graph
        return {
            o.name: golden.present_raw(o, got[o.tensor])
            if raw
            else golden.present_output(graph, o, got[o.tensor])
            for o in graph.outputs
        }

    def integers(self, q: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run quantized inputs (N, H, W, C) by tensor; the integers of the plan's exits by tensor."""
        plan = self.design.plan
        return dict(zip(plan.exits, self.board.infer([q[name] for name in plan.entries]), strict=True))


def virtual_board(design: Design, link: str = "bytes", progress: Say | None = None) -> Executable:
    """The design's board as a program; see :mod:`pulsefold.sim.virtual`."""
    say = progress or Silent()
    plan = design.plan
    return build_virtual(
        lambda: design.debug.core(plan),
        design.board,
        plan.target.clock_mhz,
        identity_of(design),
        link=link,
        progress=lambda stage, done, of: say(f"virtual board: {stage}"),
    )


@contextlib.contextmanager
def deployed(
    design: Design,
    device: str,
    *,
    weights: Design | None = None,
    baud: int | None = None,
    timeout: float | None = None,
    progress: Say | None = None,
) -> Iterator[Deployed]:
    """Open a design's board.

    Parameters
    ----------
    design
        Which design.
    device
        ``sim``: a virtual board whose host protocol gets the bytes at once; ``sim:uart``, ``sim:spi``: one
        with that line bit by bit; else a serial port.
    weights
        The design with other weights, which the board shall have; its own, if None.
    baud
        Rate; the board's, if None.
    timeout
        Seconds without progress after which it is given up; 5, and 120 where the board is simulated, if None.
    progress
        Called with a line now and then.

    Raises
    ------
    DeviceError
        If there is no such port, nobody answers, or the board runs another design.
    """
    link, say = SIMULATED.get(device), progress or Silent()
    if timeout is not None and not 0 < timeout <= 86_400:
        raise PulsefoldError(f"the time-out must lie between 0 and 86400 s, not {timeout}", where="--timeout")
    if device.startswith("sim:") and link is None:
        raise DeviceError(
            f"there is no device {device!r}", where="--device", todo=f"use {', '.join(SIMULATED)} or a port"
        )
    identity = identity_of(design)
    patience = timeout or (_PATIENCE if link is None else _SIMULATED_PATIENCE)
    with contextlib.ExitStack() as stack:
        port = device
        if link is not None:
            executable = virtual_board(design, link, progress)
            quiet = 4 * design.plan.latency_cycles + 200_000
            virtual = stack.enter_context(VirtualBoard(executable, patience_cycles=quiet))
            port = virtual.port
        board = Board.open(
            port, baud=baud or design.board.baud, design_id=identity.design_id, timeout=patience
        )
        stack.enter_context(board)
        if design.debug.writable:
            # Whoever was here before may have left others.
            load(board, weights or design, say)
        yield Deployed(weights or design, board)


def load(board: Board, design: Design, say: Say) -> None:
    """Load the weights of a design where the board has others."""
    data = contents_of(design.plan)
    name = digest(data)
    if board.loaded() != name:
        say(f"loading {len(data):,} bytes of weights")
        board.load(data, name)


def run(
    design: Design,
    x: golden.Arrays,
    device: str,
    *,
    limit: int | None = None,
    raw: bool = False,
    statistics: bool = False,
    probe: Sequence[str] = (),
    weights: Design | None = None,
    baud: int | None = None,
    timeout: float | None = None,
    progress: Say | None = None,
) -> Run:
    """Run inputs on a board.

    Parameters
    ----------
    design
        A compiled design.
    x
        The model's own input, batch first; arrays by name where it has several.
    device, baud, timeout
        As for :func:`deployed`.
    limit
        Take at most so many images.
    raw
        Give the integers before the last scale.
    statistics
        Also report how long each unit worked and waited; of a design with counters.
    probe
        Look at these streams instead, until one differs from the golden model; of one image if no limit is
        given.
    weights
        Load these first: `design` with those of another model, of
        :func:`pulsefold.retraining.retrained`.
    progress
        Called with a line now and then.
    """
    say = progress or Silent()
    circuit, design = design, weights or design
    if statistics:
        check_statistics(design)
    if limit is not None and limit < 1:
        raise PulsefoldError(f"the limit must be at least 1, not {limit}", where="--limit")
    looked = check_probe(design, probe) if probe else ()
    limit = limit or (1 if looked else None)
    arrays = {name: a[:limit] if limit else a for name, a in golden.input_arrays(design.graph, x).items()}
    with deployed(circuit, device, weights=weights, baud=baud, timeout=timeout, progress=say) as there:
        say(f"running on {device}")
        started = time.monotonic()
        if looked:
            q = golden.quantize_inputs(design.graph, arrays)
            section, got = probe_section(design, there.board, q, looked, say)
            report = figures(there, device, images_of(q), time.monotonic() - started)
            wrong = section["first_mismatch"] is not None
            outputs = there.presented(got, raw=raw)
            return Run(outputs=outputs, report={**report, "probe": section}, mismatches=int(wrong))
        outputs = there.infer(arrays, raw=raw)
        images = min(len(y) for y in outputs.values())
        report = figures(there, device, images, time.monotonic() - started, statistics=statistics)
        return Run(outputs=outputs, report=report)


def selftest(
    design: Design,
    device: str,
    *,
    images: int | None = None,
    statistics: bool = False,
    weights: Design | None = None,
    baud: int | None = None,
    timeout: float | None = None,
    progress: Say | None = None,
) -> Run:
    """Images that reach every integer of the input, compared with the golden model."""
    say = progress or Silent()
    circuit, design = design, weights or design
    if statistics:
        check_statistics(design)
    graph = design.graph
    q = golden.quantize_inputs(graph, random_inputs(design, images or _SELFTEST_IMAGES))
    want = golden.run(graph, q)
    with deployed(circuit, device, weights=weights, baud=baud, timeout=timeout, progress=say) as there:
        say(f"testing on {device}")
        started = time.monotonic()
        got = there.integers(q)
        seconds = time.monotonic() - started
        report = figures(there, device, images_of(q), seconds, statistics=statistics)
    report["mismatches"] = sum(int(np.count_nonzero(got[name] != want[name])) for name in got)
    for name, values in got.items():
        wrong = np.argwhere(values != want[name])
        if len(wrong):
            image, *place = (int(k) for k in wrong[0])
            numbers = {"board": int(values[tuple(wrong[0])]), "golden": int(want[name][tuple(wrong[0])])}
            report["first_mismatch"] = {"image": image, "tensor": name, "place": place, **numbers}
            break
    return Run(outputs={}, report=report, mismatches=report["mismatches"])


def figures(
    there: Deployed, device: str, images: int, seconds: float, *, statistics: bool = False
) -> dict[str, Any]:
    """Section ``run``: what the host saw and the board counted."""
    report: dict[str, Any] = {
        "device": device,
        "images": images,
        "seconds": seconds,
        "images_per_second": images / seconds if seconds else None,
        "frames_sent_again": there.board.sent_again,
    }
    counters = there.board.counters()
    if counters is not None:
        names = ("cycles", "waiting_for_input", "not_taking_input", "waiting_for_link", "bad_frames")
        report["board"] = dict(zip(names, counters, strict=True))
    if statistics:
        real = None if device in SIMULATED else seconds
        report["statistics"] = statistics_section(
            there.design, there.board.statistics(), images, seconds=real
        )
    return report
