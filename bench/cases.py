"""Networks, inputs and labels of the benchmarks, and what is known of the right answers."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from cnv import cifar_jpeg, cnv_input, make_cnv_w2a2
from lenet import make_lenet
from onnx import numpy_helper

__all__ = ["BOARD_CASES", "CASES", "Case"]

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One network.

    Parameters
    ----------
    name
        What to ask for.
    model
        File, below the repository or below the folder of models and data.
    data
        Inputs, and labels or None, from that folder.
    scores
        Exact scores of the first inputs, where hardware printed them once.
    fps, board, clock_mhz
        What to compile for; no clock takes the board's, no rate the fastest that fits.
    padding
        Block RAM that may be empty; 1 takes the least logic.
    images
        Images through the circuit.
    build
        Whether it is placed and routed.
    riscv
        Whether that is with the soft processor and ten images.
    make
        Writes the model where it is no file of its own: from the folder of models and data, to a path.
    """

    name: str
    model: str
    data: Callable[[Path], tuple[np.ndarray, np.ndarray | None]]
    scores: Callable[[Path], np.ndarray] | None = None
    fps: float | None = None
    board: str = "ulx3s-85f"
    clock_mhz: float | None = None
    padding: float | None = None
    images: int = 200
    build: bool = False
    riscv: bool = False
    make: Callable[[Path, Path], None] | None = None


def idx(path: Path, offset: int) -> np.ndarray:
    """Payload of an IDX file."""
    with gzip.open(path) as stream:
        return np.frombuffer(stream.read(), np.uint8, offset=offset)


def mnist(convert: Callable[[np.ndarray], np.ndarray]):
    """The 10,000 MNIST test images, converted."""

    def load(shared: Path) -> tuple[np.ndarray, np.ndarray]:
        folder = shared / "data" / "mnist"
        x = idx(folder / "t10k-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
        return convert(x).astype(np.float32), idx(folder / "t10k-labels-idx1-ubyte.gz", 8)

    return load


def cnv(golden: slice):
    """The images with known scores, then the first 500 of the CIFAR-10 test set (JPEG)."""

    def load(shared: Path) -> tuple[np.ndarray, np.ndarray]:
        with np.load(shared / "data" / "cnv_golden.npz") as known:
            first = known["input"][golden]
        images, labels = cifar_jpeg(shared, slice(500))
        x = np.concatenate([first, cnv_input(images)])
        return x, np.concatenate([np.full(len(first), -1), labels])

    return load


def known_scores(key: str):
    """Scores that real hardware printed."""

    def load(shared: Path) -> np.ndarray:
        with np.load(shared / "data" / "cnv_golden.npz") as known:
            return np.atleast_2d(known[key])

    return load


def kws(shared: Path) -> tuple[np.ndarray, np.ndarray]:
    """1000 feature maps, scaled by the model's own input scale."""
    model = onnx.load(shared / "models" / "kws_w3a3_qonnx.onnx")
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    scale = values[model.graph.node[0].input[1]]
    with np.load(shared / "data" / "kws" / "kws_1000_int8.npz") as file:
        return (file["x"].astype(np.float32) * scale).reshape(-1, 1, 10, 49), file["y"]


def digits(shared: Path) -> tuple[np.ndarray, np.ndarray]:
    """The demo's test images."""
    with np.load(REPOSITORY / "demo" / "digits_test.npz") as file:
        return file["images"].astype(np.float32), file["labels"]


def unit(x: np.ndarray) -> np.ndarray:
    """Pixels to 0..1."""
    return x / np.float32(255)


def cifar_int8(shared: Path) -> tuple[np.ndarray, np.ndarray]:
    """The first 1000 of the CIFAR-10 test set (JPEG), as ResNet-8 wants them."""
    with np.load(shared / "data" / "cifar10-jpeg" / "cifar10_test_first1000_rgb.npz") as file:
        return (file["x"].astype(np.int16) - 128).astype(np.int8), file["y"]


def noise(*shape: int):
    """Random bytes: networks whose data is not here are held to their golden model alone."""

    def load(shared: Path) -> tuple[np.ndarray, None]:
        return np.random.default_rng(1).integers(-128, 128, (20, *shape)).astype(np.int8), None

    return load


def signs(x: np.ndarray) -> np.ndarray:
    """Pixels to -1 and +1."""
    return np.where(x >= 128, 1, -1).reshape(-1, 784)


def on_board(board: str, fps: float | None = 20_000) -> Case:
    """The demo on a board."""
    return Case(
        name=f"digits-{board}", model="demo/digits.onnx", data=digits, board=board, fps=fps, build=True
    )


#: Every board but the one of the first case, which is the demo too.
BOARD_CASES = (
    on_board("ulx3s-45f"),
    on_board("ulx3s-25f"),
    on_board("ulx3s-12f"),
    on_board("colorlight-i5"),
    on_board("orangecrab-85f"),
    on_board("orangecrab-25f"),
    on_board("icebreaker", fps=None),
    on_board("ice40-hx8k"),
    on_board("tang-nano-9k", fps=10_000),
    on_board("tang-nano-20k"),
    on_board("crosslink-nx-evn", fps=5_000),
)

_TFC = "models/tfc_w1a1_mnist_qonnx.onnx"

CASES = (
    Case(name="digits", model="demo/digits.onnx", data=digits, fps=20_000, images=360, build=True),
    Case(name="tfc-w1a1", model=_TFC, data=mnist(unit), fps=1e6, build=True),
    Case(name="tfc-w1a1-fast", model=_TFC, data=mnist(unit), fps=22e6, clock_mhz=90, build=True),
    Case(name="tfc-w1a1-max", model=_TFC, data=mnist(unit), build=True),
    Case(name="tfc-w1a1-raw", model="models/tfc_w1a1_mnist_qonnx_raw.onnx", data=mnist(unit), fps=1e6),
    Case(name="tfc-w2a2", model="models/tfc_w2a2_mnist_qonnx.onnx", data=mnist(unit), fps=3e5),
    Case(
        name="tfc-thresholds",
        model="models/tfc_w1a1_finn_multithreshold.onnx",
        data=mnist(lambda x: x),
        fps=1e6,
    ),
    Case(name="kws-w3a3", model="models/kws_w3a3_qonnx.onnx", data=kws, fps=20_000),
    Case(
        name="kws-w3a3-fast",
        model="models/kws_w3a3_qonnx.onnx",
        data=kws,
        fps=115_000,
        clock_mhz=104,
        build=True,
    ),
    Case(name="kws-w3a3-max", model="models/kws_w3a3_qonnx.onnx", data=kws, build=True),
    Case(name="lfc-w1a1", model="models/mnist_lfcW1A1.onnx", data=mnist(signs), fps=20_000),
    Case(
        name="lfc-w1a1-fast",
        model="models/mnist_lfcW1A1.onnx",
        data=mnist(signs),
        fps=330_000,
        clock_mhz=85,
        build=True,
    ),
    Case(
        name="lfc-w1a1-max",
        model="models/mnist_lfcW1A1.onnx",
        data=mnist(signs),
        fps=700_000,
        clock_mhz=90,
        build=True,
    ),
    Case(
        name="cnv-w1a1",
        model="models/cifar10_cnvW1A1.onnx",
        data=cnv(slice(0, 2)),
        scores=known_scores("w1a1_scores"),
        fps=3_000,
        images=22,
        build=True,
    ),
    Case(
        name="cnv-w1a1-fast",
        model="models/cifar10_cnvW1A1.onnx",
        data=cnv(slice(0, 2)),
        scores=known_scores("w1a1_scores"),
        fps=25_500,
        clock_mhz=92,
        images=6,
        build=True,
    ),
    Case(
        name="cnv-w1a2",
        model="models/cifar10_cnvW1A2.onnx",
        data=cnv(slice(0, 1)),
        scores=known_scores("w1a2_scores_deer"),
        fps=1_000,
        images=3,
    ),
    Case(
        name="cnv-w1a2-fast",
        model="models/cifar10_cnvW1A2.onnx",
        data=cnv(slice(0, 1)),
        scores=known_scores("w1a2_scores_deer"),
        fps=9_700,
        clock_mhz=94,
        images=4,
        build=True,
    ),
    Case(
        name="cnv-w2a2-max",
        model="cnv_w2a2.onnx",
        data=cnv(slice(0)),
        make=make_cnv_w2a2,
        images=4,
        build=True,
    ),
    Case(
        name="resnet8-int8",
        model="models/resnet8_int8_qdq.onnx",
        data=cifar_int8,
        fps=1_800,
        build=True,
        images=20,
    ),
    Case(
        name="resnet8-int8-max",
        model="models/resnet8_int8_qdq.onnx",
        data=cifar_int8,
        build=True,
        images=20,
    ),
    Case(
        name="resnet8-int8-lean",
        model="models/resnet8_int8_qdq.onnx",
        data=cifar_int8,
        fps=1_800,
        padding=1.0,
        build=True,
        images=20,
    ),
    Case(
        name="mobilenet-int8",
        model="models/vww_mobilenetv1_025_96_int8_qdq.onnx",
        data=noise(96, 96, 3),
        fps=2_000,
        images=5,
        build=True,
    ),
    Case(
        name="mobilenet-int8-max",
        model="models/vww_mobilenetv1_025_96_int8_qdq.onnx",
        data=noise(96, 96, 3),
        images=5,
        build=True,
    ),
    Case(
        name="dscnn-int8-max",
        model="models/kws_dscnn_int8_qdq.onnx",
        data=noise(49, 10, 1),
        images=20,
        build=True,
    ),
    Case(
        name="autoencoder-int8-max",
        model="models/ad_autoencoder_int8_qdq.onnx",
        data=noise(640),
        images=20,
        build=True,
    ),
    Case(
        name="lenet-int8", model="lenet5_int8.onnx", data=mnist(unit), make=make_lenet, fps=40_000, build=True
    ),
    Case(
        name="tfc-icebreaker",
        model=_TFC,
        data=mnist(unit),
        board="icebreaker",
        fps=160_000,
        clock_mhz=42,
        build=True,
    ),
    Case(name="tfc-tang-nano-9k", model=_TFC, data=mnist(unit), board="tang-nano-9k", build=True),
    Case(name="tfc-tang-nano-20k", model=_TFC, data=mnist(unit), board="tang-nano-20k", build=True),
    *BOARD_CASES,
    Case(name="digits-riscv", model="demo/digits.onnx", data=digits, fps=5_000, build=True, riscv=True),
)
