"""Top-1 of a quantized network, in golden's exact arithmetic and in ONNX Runtime's float32, side by side.

Where the two name another class, the values of that image are compared behind every quantizer, each layer
given golden's own integers: a difference must lie on a rounding boundary of its quantizer.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime
from cases import REPOSITORY
from quantize import decoded

from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.ir.graph import Graph
from pulsefold.sim.golden import present_output, quantize_inputs, run
from pulsefold.sim.runtime import compare_runtime

#: Images at once.
BATCH = 250

MODEL = "resnet8_int8_qdq"


def exact_scores(graph: Graph, x: np.ndarray) -> np.ndarray:
    """The model's first output by golden."""
    output = graph.outputs[0]
    parts = []
    for start in range(0, len(x), BATCH):
        q = run(graph, quantize_inputs(graph, x[start : start + BATCH]))
        parts.append(present_output(graph, output, q[output.tensor]))
    return np.concatenate(parts)


def runtime_scores(path: Path, x: np.ndarray) -> np.ndarray:
    """The model's first output by ONNX Runtime as one gets it without asking for anything."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate(
        [np.asarray(session.run(None, {name: x[i : i + BATCH]})[0]) for i in range(0, len(x), BATCH)]
    )


def report(shared: Path) -> dict:
    """Everything that is printed; classes are the first greatest of the scores."""
    path = shared / "models" / f"{MODEL}.onnx"
    pixels, labels = decoded(shared, "test_10000")
    x = (pixels.astype(np.int16) - 128).astype(np.int8)
    graph = import_model(path)
    golden, runtime = (s.argmax(axis=1) for s in (exact_scores(graph, x), runtime_scores(path, x)))
    other = np.flatnonzero(golden != runtime)
    found: Counter[str] = Counter()
    mismatches = 0
    for i in other:
        for c in compare_runtime(path, graph, x[i : i + 1]).comparisons:
            found[c.value] += c.differing
            mismatches += c.mismatches
    return {
        "model": MODEL,
        "images": len(x),
        "golden_right": int((golden == labels).sum()),
        "runtime_right": int((runtime == labels).sum()),
        "other_class": len(other),
        "golden_alone_right": int((golden == labels)[other].sum()),
        "runtime_alone_right": int((runtime == labels)[other].sum()),
        "values_differing": {name: count for name, count in found.items() if count},
        "mismatches": mismatches,
    }


def main() -> None:
    """Print the figures as text, or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=REPOSITORY.parent / "shared")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = report(options.shared)
    if options.json:
        print(json.dumps(figures, indent=1))
        return
    for name, value in figures.items():
        if name != "values_differing":
            print(f"{name.replace('_', ' ')}: {value}")
    print("values that differ in the images of another class, by quantizer:")
    for name, count in figures["values_differing"].items():
        print(f"  {count} of {name}")


if __name__ == "__main__":
    main()
