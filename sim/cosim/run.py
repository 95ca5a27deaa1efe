"""One run of a compiled simulator: files in, a process, files out."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from pulsefold.errors import InputArrayError, OutputError, ToolFailedError, VerificationError
from pulsefold.sim.cosim.compile import Progress
from pulsefold.sim.cosim.packing import pack, unpack
from pulsefold.sim.cosim.ports import Ports, StreamPort
from pulsefold.sim.transfers import Transfers

__all__ = ["SimRun", "Stimulus", "execute"]

_IDLE, _TOO_LONG = 3, 4
_FOREVER = 2**64 - 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stimulus:
    """What a run is asked to do; the parameters of :meth:`~pulsefold.sim.cosim.simulator.Simulator.run`."""

    beats: tuple[np.ndarray, ...]
    outputs: tuple[int, ...]
    stall_in: float = 0.0
    stall_out: float = 0.0
    seed: int = 0
    max_cycles: int | None = None
    idle_cycles: int = 1_000_000
    taps: bool = False
    waves: Path | None = None
    wave_window: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for name in ("stall_in", "stall_out"):
            if not 0.0 <= getattr(self, name) < 1.0:
                msg = f"{name} must be at least 0 and less than 1, not {getattr(self, name)!r}"
                raise ValueError(msg)
        for name in ("outputs", "seed", "idle_cycles"):
            value = getattr(self, name)
            if np.min(value) < 0:
                msg = f"{name} must not be negative, but is {value!r}"
                raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimRun(Transfers):
    """What came out.

    Parameters
    ----------
    seconds
        Wall-clock seconds of the simulation proper, without start and files.
    taps
        For each tap by name, where recorded: beats uint64 [m, lanes] and their cycles uint64 [m].
    """

    seconds: float
    taps: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=lambda: MappingProxyType({}))


def execute(
    executable: Path, design: Path, ports: Ports, stimulus: Stimulus, progress: Progress | None
) -> SimRun:
    """Run `executable` in the folder `design`, where its memory contents are."""
    if stimulus.taps and not ports.taps:
        raise InputArrayError("the design has no taps", todo="simulate the variant with taps")
    with tempfile.TemporaryDirectory(prefix="pulsefold-") as name:
        folder = Path(name)
        for beats, port in zip(stimulus.beats, ports.inputs, strict=True):
            pack(beats, port).tofile(folder / f"{port.name}.beats")
        waves = None if stimulus.waves is None else stimulus.waves.resolve()
        # Waves of a failed run are the ones wanted, so they are renamed whatever happened.
        partial = None if waves is None else waves.with_name(f".partial-{folder.name}{waves.suffix}")
        if waves is not None and not waves.parent.is_dir():
            raise OutputError("the folder for the waves does not exist", where=str(waves.parent))
        try:
            arguments = _arguments(folder, partial, stimulus)
            total = sum(stimulus.outputs)
            code, done = _launch([str(executable), *arguments], design, folder, total, progress)
        finally:
            if waves is not None and partial is not None and partial.exists():
                partial.replace(waves)
        cycles, sent, received = int(done[0]), int(done[1]), int(done[2])
        if code in (_IDLE, _TOO_LONG):
            raise _failure(code, cycles, sent, received, stimulus)
        return SimRun(
            all_beats=tuple(_beats(folder / f"{port.name}.beats", port) for port in ports.outputs),
            all_accepted=tuple(_cycles(folder / f"{port.name}.cycles") for port in ports.inputs),
            all_produced=tuple(_cycles(folder / f"{port.name}.cycles") for port in ports.outputs),
            cycles=cycles,
            seconds=float(done[3]),
            taps=_taps(folder, ports) if stimulus.taps else MappingProxyType({}),
        )


def _arguments(folder: Path, waves: Path | None, stimulus: Stimulus) -> list[str]:
    first, last = stimulus.wave_window or (0, _FOREVER)
    numbers = [
        int(stimulus.stall_in * 2**64),
        int(stimulus.stall_out * 2**64),
        stimulus.seed % 2**64,
        _FOREVER if stimulus.max_cycles is None else stimulus.max_cycles,
        stimulus.idle_cycles,
        int(stimulus.taps),
    ]
    counts = [*map(len, stimulus.beats), *stimulus.outputs]
    return [str(folder), *map(str, numbers), str(waves or ""), str(first), str(last), *map(str, counts)]


def _launch(
    command: list[str], cwd: Path, folder: Path, outputs: int, progress: Progress | None
) -> tuple[int, list[str]]:
    """Run to the end; the exit code and the words of the last line."""
    done: list[str] = []
    with (
        (folder / "stderr").open("w+", encoding="utf-8", errors="replace") as errors,
        subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                word, _, rest = line.partition(" ")
                if word == "progress" and progress is not None:
                    progress("simulate", int(rest), outputs)
                elif word == "done":
                    done = rest.split()
            code = process.wait()
        except BaseException:
            process.kill()
            raise
        errors.seek(0)
        text = errors.read()
    # A memory file that is not there is only a warning to Verilator.
    if code not in (0, _IDLE, _TOO_LONG) or len(done) != 4 or "%Warning" in text or "%Error" in text:
        raise ToolFailedError(
            f"the simulator ended with code {code}", where=command[0], why="\n".join(text.splitlines()[-10:])
        )
    if progress is not None:
        progress("simulate", int(done[2]), outputs)
    return code, done


def _failure(code: int, cycles: int, sent: int, received: int, stimulus: Stimulus) -> VerificationError:
    counts = (
        f"{sent} of {sum(map(len, stimulus.beats))} beats went in and "
        f"{received} of {sum(stimulus.outputs)} came out "
        f"in {cycles} cycles (stall_in={stimulus.stall_in}, stall_out={stimulus.stall_out}, "
        f"seed={stimulus.seed})"
    )
    if code == _TOO_LONG:
        return VerificationError("the simulation took too many cycles", where="simulation", why=counts)
    last = cycles - stimulus.idle_cycles - 1
    return VerificationError(
        f"the circuit is stuck: no transfer at either end for {stimulus.idle_cycles} cycles",
        where="simulation",
        why=counts,
        todo=f"look at waves from cycle {max(0, last - 100)} to {last + 100}",
    )


def _beats(path: Path, port: StreamPort) -> np.ndarray:
    return unpack(np.fromfile(path, "<u4").reshape(-1, port.words), port)


def _cycles(path: Path) -> np.ndarray:
    return np.fromfile(path, "<u8")


def _taps(folder: Path, ports: Ports) -> Mapping[str, tuple[np.ndarray, np.ndarray]]:
    recorded = {
        tap.name: (_beats(folder / f"tap_{tap.name}.beats", tap), _cycles(folder / f"tap_{tap.name}.cycles"))
        for tap in ports.taps
    }
    return MappingProxyType(recorded)
