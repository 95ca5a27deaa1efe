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
            beats = [int.from_bytes(row.tobytes(), "little") for row in inputs[f"beats{k}"]]
            player = _Player(dut, job, stimulus, beats)
            error = ""
            try:
                await player.play()
            except ContractError as broken:
                error = str(broken)
            size = job["out_words"] * 4
            words = b"".join(beat.to_bytes(size, "little") for beat in player.sink.beats)
            arrays[f"beats{k}"] = np.frombuffer(words, "<u4").reshape(-1, job["out_words"])
            arrays[f"accepted{k}"] = np.array(player.source.accepted, np.uint64)
            arrays[f"produced{k}"] = np.array(player.sink.produced, np.uint64)
            results.append({"error": error, "cycles": player.cycle, "paths": sorted(player.paths)})
    np.savez(folder / "out.npz", allow_pickle=False, **arrays)
    (folder / "result.json").write_text(json.dumps(results), encoding="utf-8")


class _Player:
    """One stimulus: the agents, and the clock that steps them."""

    def __init__(self, dut: Any, job: dict[str, Any], stimulus: dict[str, Any], beats: list[int]) -> None:
        self._dut, self._job, self._stimulus = dut, job, stimulus
        rng = random.Random(stimulus["seed"])
        self._rng = rng
        self.source = Source(dut, beats, bits=job["in_bits"], stall=stimulus["stall_in"], rng=rng)
        self.sink = Sink(dut, stall=stimulus["stall_out"], after_valid=stimulus["ready_after_valid"], rng=rng)
        self._monitor = Monitor(dut)
        self.cycle = 0
        self.paths: set[str] = set()

    async def play(self) -> None:
        """Reset, run until every beat is out, and a little longer to catch surplus ones."""
        await self._reset()
        moved = 0
        inputs, outputs = self._stimulus["inputs"], self._stimulus["outputs"]
        while len(self.sink.beats) < outputs:
            if await self._step():
                moved = self.cycle
            if self.cycle - moved > self._job["idle_cycles"]:
                msg = (
                    f"stuck: no transfer at either end for {self._job['idle_cycles']} cycles; "
                    f"{len(self.source.accepted)} of {inputs} beats went in and "
                    f"{len(self.sink.beats)} of {outputs} came out in {self.cycle} cycles"
                )
                raise ContractError(msg)
        for _ in range(self._job["drain_cycles"]):
            await self._step()

    async def _reset(self) -> None:
        dut = self._dut
        dut.i__valid.value = 0
        dut.o__ready.value = 0
        if self._job["reset"]:
            dut.rst.value = 1
        for _ in range(_RESET_CYCLES):
            await Timer(1)
            await self._edge()
        if self._job["reset"]:
            dut.rst.value = 0

    async def _step(self) -> bool:
        """One clock cycle; whether a beat went in or out."""
        self.source.drive()
        self.sink.drive()
        await Timer(1)
        self._monitor.sample(self.cycle, ready=self.sink.ready)
        taken = self.source.sample(self.cycle)
        given = self.sink.sample(self.cycle)
        if self._rng.randrange(_PROBE) == 0:
            await self._probe()
        await self._edge()
        self.cycle += 1
        return taken or given

    async def _edge(self) -> None:
        if self._job["clock"]:
            self._dut.clk.value = 1
            await Timer(1)
            self._dut.clk.value = 0

    async def _probe(self) -> None:
        """Turn o.ready over between two edges: what follows at once hangs on it combinationally."""
        dut = self._dut
        watched = {"i.ready": dut.i__ready, "o.valid": dut.o__valid, "o.payload": dut.o__payload}
        before = {name: int(handle.value) for name, handle in watched.items()}
        dut.o__ready.value = int(not self.sink.ready)
        await Timer(1)
        self.paths |= {name for name, handle in watched.items() if int(handle.value) != before[name]}
        dut.o__ready.value = int(self.sink.ready)
        await Timer(1)
