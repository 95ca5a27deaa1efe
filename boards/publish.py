"""What a build leaves a user: the bitstream, the netlist, the timing, and what was reached."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from pulsefold.boards.cachedtools import Step
from pulsefold.boards.implementation import Implementation, Seconds
from pulsefold.boards.seeds import Routed
from pulsefold.boards.steps import Steps

__all__ = ["publish"]


def publish(
    steps: Steps,
    folder: Path,
    *,
    netlist: Step,
    routed: Routed,
    packed: Step,
    clock_mhz: float,
) -> Implementation:
    """Copy what a user wants out of the steps' folders into `folder`, all or nothing."""
    flow = steps.flow
    work = Path(tempfile.mkdtemp(prefix=".bitstream-", dir=folder.parent))
    try:
        bitstream = folder / f"{steps.board.name}{Path(flow.bitstream_name).suffix}"
        shutil.copyfile(packed.folder / flow.bitstream_name, work / bitstream.name)
        for name in ("netlist.json", "cells.json"):
            shutil.copyfile(netlist.folder / name, work / name)
        for name in ("timing.json", flow.routed_name):
            shutil.copyfile(routed.step.folder / name, work / name)
        # mkdtemp's folder is the owner's alone; a build folder is not.
        work.chmod(0o755)
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    taken, need = flow.routed(routed.report.used), steps.needed(netlist)
    return Implementation(
        board=steps.board.name,
        clock_mhz=clock_mhz,
        fmax_mhz=round(routed.report.fmax_mhz, 3),
        luts=int(taken.luts),
        ffs=int(taken.ffs or need.ffs),
        brams=int(taken.brams),
        dsps=taken.dsps,
        seed=routed.seed,
        seeds=routed.seeds,
        seconds=Seconds(synth=netlist.seconds, route=routed.step.seconds, pack=packed.seconds),
        bitstream=bitstream,
        netlist=folder / "netlist.json",
        critical_path=routed.report.critical_path,
        cached=all(step.cached for step in (netlist, routed.step, packed)),
    )
