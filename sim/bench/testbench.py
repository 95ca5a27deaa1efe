"""The one cocotb test module: files say what to drive, files take what came.

Runs in the simulator's process, named by :mod:`pulsefold.sim.bench.unit`. The argument ``+job=FOLDER``
names a folder with ``job.json`` and ``in.npz``; the results are ``out.npz`` and ``result.json`` there.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import Timer

from pulsefold.sim.bench.agents import ContractError, Monitor, Sink, Source

_RESET_CYCLES = 4

#: One in so many cycles is probed for combinational paths.
_PROBE = 4


@cocotb.test()
async def stream_unit(dut: Any) -> None:
    """Play every stimulus of the job, each after a reset."""
    folder = Path(str(cocotb.plusargs["job"]))
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    arrays: dict[str, np.ndarray] = {}
    results = []
    with np.load(folder / "in.npz", allow_pickle=False) as inputs:
        for k, stimulus in enumerate(job["stimuli"]):
            beats = {
                name: [int.from_bytes(row.tobytes(), "little") for row in inputs[f"{name}_{k}"]]
                for name in job["inputs"]
            }
            player = _Player(dut, job, stimulus, beats)
            error = ""
            try:
                await player.play()
            except ContractError as broken:
                error = str(broken)
            for (name, count), sink in zip(job["outputs"].items(), player.sinks, strict=True):
                words = b"".join(beat.to_bytes(count * 4, "little") for beat in sink.beats)
                arrays[f"beats_{name}_{k}"] = np.frombuffer(words, "<u4").reshape(-1, count)
                arrays[f"cycles_{name}_{k}"] = np.array(sink.produced, np.uint64)
            for name, source in zip(job["inputs"], player.sources, strict=True):
                arrays[f"cycles_{name}_{k}"] = np.array(source.accepted, np.uint64)
            results.append({"error": error, "cycles": player.cycle, "paths": sorted(player.paths)})
    np.savez(folder / "out.npz", allow_pickle=False, **arrays)
    (folder / "result.json").write_text(json.dumps(results), encoding="utf-8")


class _Player:
    """One stimulus: the agents, and the clock that steps them."""

    def __init__(
        self, dut: Any, job: dict[str, Any], stimulus: dict[str, Any], beats: dict[str, list[int]]
    ) -> None:
        self._dut, self._job, self._stimulus = dut, job, stimulus
        rng = random.Random(stimulus["seed"])
        self._rng = rng
        self.sources = [
            Source(dut, name, beats[name], bits=bits, stall=stimulus["stall_in"], rng=rng)
            for name, bits in job["inputs"].items()
        ]
        self.sinks = [
            Sink(dut, name, stall=stimulus["stall_out"], after_valid=stimulus["ready_after_valid"], rng=rng)
            for name in job["outputs"]
        ]
        self._monitors = [Monitor(dut, name) for name in job["outputs"]]
        self.cycle = 0
        self.paths: set[str] = set()

    async def play(self) -> None:
        """Reset, run until every beat is out, and a little longer to catch surplus ones."""
        await self._reset()
        moved = 0
        inputs, outputs = self._stimulus["inputs"], self._stimulus["outputs"]
        while any(len(sink.beats) < count for sink, count in zip(self.sinks, outputs, strict=True)):
            if await self._step():
                moved = self.cycle
            if self.cycle - moved > self._job["idle_cycles"]:
                msg = (
                    f"stuck: no transfer at either end for {self._job['idle_cycles']} cycles; "
                    f"{sum(len(s.accepted) for s in self.sources)} of {sum(inputs)} beats went in and "
                    f"{sum(len(s.beats) for s in self.sinks)} of {sum(outputs)} came out "
                    f"in {self.cycle} cycles"
                )
                raise ContractError(msg)
        for _ in range(self._job["drain_cycles"]):
            await self._step()

    async def _reset(self) -> None:
        dut = self._dut
        for name in self._job["inputs"]:
            getattr(dut, f"{name}__valid").value = 0
        for name in self._job["outputs"]:
            getattr(dut, f"{name}__ready").value = 0
        if self._job["reset"]:
            dut.rst.value = 1
        for _ in range(_RESET_CYCLES):
            await Timer(1)
            await self._edge()
        if self._job["reset"]:
            dut.rst.value = 0

    async def _step(self) -> bool:
        """One clock cycle; whether a beat went in or out."""
        for agent in (*self.sources, *self.sinks):
            agent.drive()
        await Timer(1)
        for monitor, sink in zip(self._monitors, self.sinks, strict=True):
            monitor.sample(self.cycle, ready=sink.ready)
        moved = [agent.sample(self.cycle) for agent in (*self.sources, *self.sinks)]
        if self._rng.randrange(_PROBE) == 0:
            await self._probe()
        await self._edge()
        self.cycle += 1
        return any(moved)

    async def _edge(self) -> None:
        if self._job["clock"]:
            self._dut.clk.value = 1
            await Timer(1)
            self._dut.clk.value = 0

    async def _probe(self) -> None:
        """Turn a ready over between two edges: what follows at once hangs on it combinationally."""
        dut = self._dut
        outputs = list(self._job["outputs"])
        watched = {f"{name}.ready": getattr(dut, f"{name}__ready") for name in self._job["inputs"]}
        watched |= {
            f"{name}.{member}": getattr(dut, f"{name}__{member}")
            for name in outputs
            for member in ("valid", "payload")
        }
        before = {name: int(handle.value) for name, handle in watched.items()}
        turned = self._rng.randrange(len(outputs)) if len(outputs) > 1 else 0
        ready = getattr(dut, f"{outputs[turned]}__ready")
        ready.value = int(not self.sinks[turned].ready)
        await Timer(1)
        self.paths |= {name for name, handle in watched.items() if int(handle.value) != before[name]}
        ready.value = int(self.sinks[turned].ready)
        await Timer(1)
