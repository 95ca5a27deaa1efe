"""Quantize: a float model and calibration data to a file of integers, and how well they agree."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pulsefold.arrays import write_whole
from pulsefold.compiler.quantize import Quantized, Recipe, quantize_model
from pulsefold.compiler.quantize.session import opened, run_batches
from pulsefold.errors import OutputError
from pulsefold.progress import Silent

__all__ = ["Quantization", "quantize_file"]

#: Calibration images over which the two models are compared.
_COMPARED = 64

#: Bytes of outputs that are kept to compare.
_HELD = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quantization:
    """A quantized model that was written.

    Parameters
    ----------
    path
        The file.
    report
        What ``--json`` shows: format, layers with their bits, and how well the outputs agree.
    """

    path: Path
    report: dict[str, Any]


def quantize_file(
    model: Path,
    calibration: np.ndarray | Mapping[str, np.ndarray],
    out: Path,
    recipe: Recipe,
    progress: Callable[[str], None] | None = None,
) -> Quantization:
    """Quantize a float model into another file.

    Parameters
    ----------
    model
        ONNX file in float32, float16 or float64.
    calibration
        The model's own inputs, first axis the batch: an array of one, or arrays of several by input name.
    out
        Where the quantized model goes; written whole or not at all.
    recipe
        How.
    progress
        Called with a line now and then.

    Raises
    ------
    PulsefoldError
        See :mod:`pulsefold.errors`.
    """
    say = progress or Silent()
    started = time.monotonic()
    if out.is_dir() or not out.parent.is_dir():
        what = "is a folder" if out.is_dir() else "its folder does not exist"
        raise OutputError(what, where=str(out), todo="name a file, as in -o quantized.onnx")
    made = quantize_model(model, calibration, recipe, say)
    agreement = compare(made, say)
    data = made.model.SerializeToString()
    write_whole(out, lambda stream: stream.write(data))
    report = {
        "model": str(model),
        "output": str(out),
        "format": made.format,
        "opset": made.graph.opset,
        "weights": recipe.weights.name,
        "activations": recipe.activations.name,
        "method": recipe.method,
        "calibration_images": len(made.images),
        "layers": layer_rows(made),
        "quantizers": len(set(map(id, made.activations.values()))),
        **agreement,
        "seconds": round(time.monotonic() - started, 2),
    }
    return Quantization(path=out, report=report)


def layer_rows(made: Quantized) -> list[dict[str, Any]]:
    """What became of each linear layer."""
    rows = []
    for layer in made.layers:
        weights, source = made.weights[layer.name], made.activations[layer.source]
        rows.append(
            {
                "name": layer.name,
                "op": layer.op,
                "weights": layer.format.name,
                "weight_count": int(weights.levels.size),
                "scales": int(np.size(weights.quantizer.scale)),
                "activations": f"{'int' if source.signed else 'uint'}{source.bits}",
                "zero_point": source.zero,
            }
        )
    return rows


def compare(made: Quantized, say: Callable[[str], None]) -> dict[str, Any]:
    """Signal to noise of each output in dB, and the share of images whose largest output is the same."""
    names, x = made.graph.output_names, made.images
    with opened(made.graph) as exact:
        first = exact(x[:1])
        held = sum(y.nbytes for y in first)
        part = x[np.linspace(0, len(x) - 1, min(len(x), _COMPARED, max(1, _HELD // held))).astype(int)]
        wanted = []
        for done, results in run_batches(exact, part, 8):
            wanted.append(results)
            say(f"comparing, float: {done} / {len(part)}")
    signal, noise = np.zeros(len(names)), np.zeros(len(names))
    same = images = 0
    # One model after the other: a large one is there once.
    with opened(made.plain) as rounded:
        for (done, got), want in zip(run_batches(rounded, part, 8), wanted, strict=True):
            for i, (a, b) in enumerate(zip(want, got, strict=True)):
                signal[i] += np.square(a, dtype=np.float64).sum()
                noise[i] += np.square(a.astype(np.float64) - b).sum()
            if want[0].ndim > 1:
                flat = [v.reshape(len(v), -1) for v in (want[0], got[0])]
                same += int((flat[0].argmax(axis=1) == flat[1].argmax(axis=1)).sum())
                images += len(flat[0])
            say(f"comparing, quantized: {done} / {len(part)}")
    outputs = [
        {"name": name, "sqnr_db": None if not n else round(float(10 * np.log10(max(s, 1e-30) / n)), 2)}
        for name, s, n in zip(names, signal, noise, strict=True)
    ]
    return {"outputs": outputs, "same_top1": same / images if images else None}
