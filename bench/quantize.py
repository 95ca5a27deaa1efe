"""Accuracy of post-training quantization: prints a table of trained networks, formats and methods.

Calibration is on 500 training images, accuracy on the whole test set, both in ONNX Runtime without graph
optimizations, operator by operator; for QONNX on the same arithmetic in plain operators.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from cases import REPOSITORY, idx
from PIL import Image

from pulsefold.compiler.quantize import Format, Recipe, quantize_model
from pulsefold.progress import Progress

#: Images that ranges are measured on.
CALIBRATION = 500

#: Test images, their labels, calibration images.
Data = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    network: str
    weights: str = "int8"
    activations: str = "int8"
    options: dict[str, Any] = field(default_factory=dict)


def mnist(shared: Path) -> Data:
    """Raw pixels, (N, 1, 28, 28)."""
    folder = shared / "data" / "mnist"
    test, train = (
        idx(folder / f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28) for part in ("t10k", "train")
    )
    labels = idx(folder / "t10k-labels-idx1-ubyte.gz", 8)
    return test.astype(np.float32), labels, some(train).astype(np.float32)


def cifar(convert: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], Data]:
    """CIFAR-10 (JPEG), converted from (N, 32, 32, 3)."""

    def load(shared: Path) -> Data:
        test, labels = decoded(shared, "test_10000")
        train, _ = decoded(shared, "train_16000")
        return convert(test), labels, convert(some(train))

    return load


@cache
def decoded(shared: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """All images of a file, and their labels."""
    with np.load(shared / "data" / "cifar10-jpeg" / f"cifar10_{part}.npz") as file:
        ends, data, labels = file["offset"], file["jpeg"], file["label"]
    images = [np.asarray(Image.open(io.BytesIO(data[a:b].tobytes()))) for a, b in pairwise(ends)]
    return np.stack(images), labels


def some(images: np.ndarray) -> np.ndarray:
    """Calibration images, spread over the set."""
    return images[np.linspace(0, len(images) - 1, CALIBRATION).astype(int)]


def plain(images: np.ndarray) -> np.ndarray:
    """Pixels as floats."""
    return images.astype(np.float32)


def normalized(images: np.ndarray) -> np.ndarray:
    """The mean and deviation of ImageNet, channels first."""
    mean, deviation = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)
    return ((images / np.float32(255) - mean) / deviation).transpose(0, 3, 1, 2).astype(np.float32)


DATA: dict[str, Callable[[Path], Data]] = {
    "mnist_cnn_float": mnist,
    "resnet8_float": cifar(plain),
    "cifar_resnet20_float": cifar(normalized),
}

_RESNET = "cifar_resnet20_float"
ROWS = (
    *(Row(network=name) for name in DATA),
    *(Row(network=name, weights="int4", activations="int4") for name in DATA),
    *(
        Row(network=_RESNET, weights="int4", activations="int4", options=options)
        for options in (
            {"method": "minmax"},
            {"method": "percentile"},
            {"method": "entropy"},
            {"rounding": "nearest"},
            {"bias_correction": False},
            {"equalize": True},
            {"sums": "int4"},
            {"edges": "int4"},
        )
    ),
    Row(network=_RESNET, weights="int3", activations="int3"),
    Row(network=_RESNET, weights="ternary", activations="int8"),
    Row(network="mnist_cnn_float", weights="ternary", activations="int4"),
    Row(network="mnist_cnn_float", weights="binary", activations="int4"),
    Row(network="resnet8_float", options={"per_channel": False}),
    Row(network="resnet8_float", options={"per_channel": False, "equalize": True}),
)

_TITLES = ("network", "weights", "activations", "options", "float top-1 %", "quantized top-1 %", "seconds")


def top1(model: onnx.ModelProto, x: np.ndarray, labels: np.ndarray) -> float:
    """Share of right answers in percent."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    declared = session.get_inputs()[0]
    batch = declared.shape[0] if isinstance(declared.shape[0], int) else 100
    right = 0
    for start in range(0, len(x), batch):
        y = np.asarray(session.run(None, {declared.name: x[start : start + batch]})[0])
        answers = y.reshape(len(y), -1).argmax(axis=1)
        right += np.count_nonzero(answers == labels[start : start + batch])
    return 100 * right / len(x)


def recipe(row: Row) -> Recipe:
    """What a row asks for."""
    options = dict(row.options)
    for name in ("edges", "sums"):
        if name in options:
            options[name] = Format.parse(options[name], f"--{name}", few=False)
    return Recipe(
        weights=Format.parse(row.weights, "--weights", few=True),
        activations=Format.parse(row.activations, "--activations", few=False),
        **options,
    )


def main() -> None:
    """Run the rows asked for and merge them into the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="default: " + ", ".join(DATA))
    parser.add_argument("--shared", type=Path, default=REPOSITORY.parent / "shared")
    parser.add_argument("--results", type=Path, default=REPOSITORY / "bench" / "quantize.json")
    options = parser.parse_args()
    data: dict[str, Data] = {}
    exact: dict[str, float] = {}
    done = {tuple(line[:4]): line for line in known(options.results)}
    for row in ROWS:
        if options.networks and row.network not in options.networks:
            continue
        path = options.shared / "models" / f"{row.network}.onnx"
        if not path.exists():
            sys.stderr.write(f"{row.network}: skipped, {path} is not there\n")
            continue
        if row.network not in data:
            data[row.network] = DATA[row.network](options.shared)
            exact[row.network] = top1(onnx.load(path), *data[row.network][:2])
        x, labels, calibration = data[row.network]
        started = time.monotonic()
        with Progress() as say:
            made = quantize_model(path, calibration, recipe(row), say)
        seconds = time.monotonic() - started
        shown = ", ".join(f"{k.replace('_', ' ')}: {v}" for k, v in row.options.items()) or "-"
        figures = (f"{v:.2f}" for v in (exact[row.network], top1(made.plain, x, labels)))
        line = [row.network, row.weights, row.activations, shown, *figures, f"{seconds:.0f}"]
        print("| " + " | ".join(line) + " |", flush=True)
        done[tuple(line[:4])] = line
        options.results.write_text(json.dumps(list(done.values()), indent=1) + "\n", encoding="utf-8")
    print("\n| " + " | ".join(_TITLES) + " |\n|" + "---|" * len(_TITLES))
    for line in done.values():
        print("| " + " | ".join(line) + " |")


def known(path: Path) -> list[list[str]]:
    """Rows of earlier runs."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


if __name__ == "__main__":
    main()
