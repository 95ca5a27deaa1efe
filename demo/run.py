"""The first ten minutes: a trained network to a simulated, verified and routed design.

Run by ``make demo``. Each step is a command of pulsefold; the script prints it before it runs it.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def pulsefold(*arguments: str | Path) -> None:
    """Print a command and run it; a failure ends the demo with the command's exit code."""
    words = [str(a) for a in arguments]
    print(f"\n$ pulsefold {shlex.join(words)}", flush=True)
    done = subprocess.run([sys.executable, "-m", "pulsefold", *words], check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def main(arguments: Sequence[str] | None = None) -> None:
    """Compile, simulate, verify, run and build the demo network, and count its right answers."""
    parser = argparse.ArgumentParser(description="the digits network, from ONNX to a bitstream")
    parser.add_argument("--board", default="ulx3s-85f")
    parser.add_argument("--fps", default="20000", help="wanted frames a second")
    parser.add_argument("-o", "--output", type=Path, default=Path("build/demo"), help="where everything goes")
    parser.add_argument("--no-build", action="store_true", help="stop before place and route")
    options = parser.parse_args(arguments)
    design, images, scores = (options.output / name for name in ("digits", "images.npy", "scores.npy"))

    options.output.mkdir(parents=True, exist_ok=True)
    with np.load(HERE / "digits_test.npz", allow_pickle=False) as file:
        np.save(images, file["images"].astype(np.float32))
        labels = file["labels"]

    pulsefold("inspect", HERE / "digits.onnx")
    pulsefold("compile", HERE / "digits.onnx", "--board", options.board, "--fps", options.fps, "-o", design)
    pulsefold("simulate", design, "--input", images, "--output", scores)
    right = int(np.count_nonzero(np.load(scores).argmax(axis=1) == labels))
    print(f"{right} of {len(labels)} digits right, answered by the simulated circuit")
    pulsefold("verify", design, "--input", images, "--limit", "10")
    pulsefold("run", design, "--device", "sim", "--input", images, "--limit", "100")
    if not options.no_build:
        pulsefold("build", design)
        print(f"\nthe report is {design / 'report.html'}, the bitstream is in {design / 'bitstream'}")


if __name__ == "__main__":
    main()
