"""Makes the CNV w2a2 of the benchmarks from the trained w1a2: none is published with its weights."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from PIL import Image

__all__ = ["cifar_jpeg", "cnv_input", "make_cnv_w2a2"]

#: Weights of a row that become 0, where it has more than so many, and the test images that choose them: after
#: those of the benchmark.
_DROPPED, _SHORT, _IMAGES = 0.1, 27, slice(500, 700)


def cifar_jpeg(shared: Path, taken: slice) -> tuple[np.ndarray, np.ndarray]:
    """Images [N, 32, 32, 3] and labels [N] of the CIFAR-10 test set (JPEG)."""
    with np.load(shared / "data" / "cifar10-jpeg" / "cifar10_test_10000.npz") as file:
        ends, data, labels = file["offset"], file["jpeg"], file["label"][taken]
    spans = list(pairwise(ends))[taken]
    return np.stack([np.asarray(Image.open(io.BytesIO(data[a:b].tobytes()))) for a, b in spans]), labels


def cnv_input(images: np.ndarray) -> np.ndarray:
    """RGB images [N, H, W, C] as the CNV networks want them, [N, C, H, W]."""
    x = np.floor((-1 + 2 * images.astype(np.float64) / 255) * 128 + 0.5) / 128
    return x.astype(np.float32).transpose(0, 3, 1, 2)


def make_cnv_w2a2(shared: Path, out: Path) -> None:
    """Write CNV w2a2 to `out`: the w1a2 with a tenth of each row's weights 0.

    Those go whose products vary least with the row's sum; what they are on average goes into the
    thresholds. The first layer, whose rows are short, and the last, without thresholds, keep their weights.
    """
    model = onnx.load(shared / "models" / "cifar10_cnvW1A2.onnx")
    values = {t.name: numpy_helper.to_array(t).copy() for t in model.graph.initializer}
    x = cnv_input(cifar_jpeg(shared, _IMAGES)[0])
    thresholds = {n.input[0]: n for n in model.graph.node if n.op_type == "MultiThreshold"}
    sources = {n.output[0]: n.input[0] for n in model.graph.node if n.op_type == "BipolarQuant"}
    for node in model.graph.node:
        if node.op_type == "MaxPool":
            n, c, h, w = x.shape
            x = x.reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5))
        elif node.op_type in ("Conv", "MatMul") and node.output[0] in thresholds:
            weights, levels = sources[node.input[1]], thresholds[node.output[0]].input[1]
            x = _layer(x, values, weights, levels, matrix=node.op_type == "MatMul")
    for node in model.graph.node:
        if node.op_type == "BipolarQuant":
            node.CopyFrom(
                helper.make_node(
                    "Quant",
                    [*node.input, "w_zero", "w_bits"],
                    list(node.output),
                    domain=node.domain,
                    signed=1,
                    narrow=1,
                    rounding_mode="ROUND",
                )
            )
    values |= {"w_zero": np.float32(0), "w_bits": np.float32(2)}
    del model.graph.initializer[:]
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), k) for k, v in values.items())
    out.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, out)


def _layer(
    x: np.ndarray, values: dict[str, np.ndarray], weights: str, levels: str, *, matrix: bool
) -> np.ndarray:
    """Drop one layer's weights, mend its thresholds in `values`, and return its outputs for `x`."""
    if matrix:
        rows, places, columns = values[weights].T.copy(), (), x.reshape(len(x), -1)
    else:
        taken = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
        n, c, h, w = taken.shape[:4]
        places, columns = (h, w), taken.transpose(0, 2, 3, 1, 4, 5).reshape(n * h * w, c * 9)
        rows = values[weights].reshape(-1, c * 9).copy()
    mean = columns.mean(axis=0)
    sums = (columns - mean) @ rows.T
    use = np.abs(sums.T @ (columns - mean))
    dropped = np.argsort(use, axis=1)[:, : int(_DROPPED * rows.shape[1]) if rows.shape[1] > _SHORT else 0]
    gone = np.zeros_like(rows)
    np.put_along_axis(gone, dropped, np.take_along_axis(rows, dropped, axis=1), axis=1)
    rows -= gone
    values[levels] = (values[levels] - (gone @ mean)[:, np.newaxis]).astype(np.float32)
    values[weights] = np.ascontiguousarray(rows.T if matrix else rows.reshape(values[weights].shape))
    y = np.count_nonzero((columns @ rows.T)[:, :, np.newaxis] >= values[levels], axis=2) - 1
    return y.astype(np.float32).reshape(len(x), *places, -1).transpose(0, *([3, 1, 2] if places else [1]))
