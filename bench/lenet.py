"""Makes the LeNet-5 of the benchmarks: trained on MNIST in NumPy, written as float ONNX, quantized to int8.

LeCun et al. 1998, figure 2, as it is mostly built today: ReLU and maximum in place of sigmoid and trained
averages, every map of the second layer joined to all of the first; images of 28 x 28 without padding, as
those of the published circuits it is compared with.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import pulsefold

__all__ = ["make_lenet"]

#: (outputs, inputs, kernel) of the convolutions, (outputs, inputs) of the full connections.
SHAPES = ((6, 1, 5, 5), (16, 6, 5, 5), (120, 256), (84, 120), (10, 84))
_BATCH, _EPOCHS, _IMAGES, _RATE = 50, 2, 30_000, 1e-3

Weights = list[np.ndarray]


def columns(x: np.ndarray) -> np.ndarray:
    """[N, C, H, W] to the 5 x 5 windows [N, H - 4, W - 4, C * 25]."""
    taken = np.lib.stride_tricks.sliding_window_view(x, (5, 5), axis=(2, 3))
    n, c, h, w = taken.shape[:4]
    return taken.transpose(0, 2, 3, 1, 4, 5).reshape(n, h, w, c * 25)


def pooled(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maximum of 2 x 2 of [N, C, H, W], and where it is."""
    n, c, h, w = x.shape
    blocks = (
        x.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h // 2, w // 2, 4)
    )
    y = blocks.max(axis=-1)
    return y, blocks == y[..., np.newaxis]


def unpooled(dy: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Gradient of :func:`pooled`."""
    n, c, h, w = dy.shape
    blocks = (dy[..., np.newaxis] * where).reshape(n, c, h, w, 2, 2).transpose(0, 1, 2, 4, 3, 5)
    return blocks.reshape(n, c, 2 * h, 2 * w)


def step(x: np.ndarray, labels: np.ndarray, ws: Weights, bs: Weights) -> tuple[Weights, Weights]:
    """Gradients of the mean cross entropy."""
    kept = []
    for w, b in zip(ws[:2], bs[:2], strict=True):
        taken = columns(x)
        y = np.maximum(taken @ w.reshape(len(w), -1).T + b, 0).transpose(0, 3, 1, 2)
        small, where = pooled(y)
        kept.append((x.shape, taken, y, where))
        x = small
    shape = x.shape
    x = x.reshape(len(x), -1)
    inputs = []
    for k, (w, b) in enumerate(zip(ws[2:], bs[2:], strict=True)):
        inputs.append(x)
        x = x @ w.T + b
        x = np.maximum(x, 0) if k < 2 else x
    p = np.exp(x - x.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(p)), labels] -= 1
    d = p / len(p)
    dws, dbs = [], []
    for w, x in zip(ws[:1:-1], inputs[::-1], strict=True):
        dws.append(d.T @ x)
        dbs.append(d.sum(axis=0))
        d = (d @ w) * (x > 0)
    d = d.reshape(shape)
    for w, (before, taken, y, where) in zip(ws[1::-1], kept[::-1], strict=True):
        g = (unpooled(d, where) * (y > 0)).transpose(0, 2, 3, 1)
        dws.append(np.tensordot(g, taken, axes=((0, 1, 2), (0, 1, 2))).reshape(w.shape))
        dbs.append(g.sum(axis=(0, 1, 2)))
        if before[1] > 1:
            back = (g @ w.reshape(len(w), -1)).reshape(*g.shape[:3], before[1], 5, 5)
            d = np.zeros(before, back.dtype)
            for i in range(5):
                for j in range(5):
                    d[:, :, i : i + g.shape[1], j : j + g.shape[2]] += back[..., i, j].transpose(0, 3, 1, 2)
    return dws[::-1], dbs[::-1]


def trained(images: np.ndarray, labels: np.ndarray) -> tuple[Weights, Weights]:
    """Weights and biases after some epochs of Adam (Kingma and Ba, 2015)."""
    rng = np.random.default_rng(5)
    ws = [rng.normal(0, np.sqrt(2 / np.prod(s[1:])), s).astype(np.float32) for s in SHAPES]
    bs = [np.zeros(s[0], np.float32) for s in SHAPES]
    parameters = ws + bs
    first, second = ([np.zeros_like(p) for p in parameters] for _ in range(2))
    for k, batch in enumerate(batches(rng, len(images)), start=1):
        gradients = step(images[batch], labels[batch], ws, bs)
        for n, g in enumerate([*gradients[0], *gradients[1]]):
            first[n] += 0.1 * (g - first[n])
            second[n] += 0.001 * (g * g - second[n])
            step_size = (first[n] / (1 - 0.9**k)) / (np.sqrt(second[n] / (1 - 0.999**k)) + 1e-8)
            parameters[n] -= _RATE * step_size
    return ws, bs


def batches(rng: np.random.Generator, count: int) -> Iterator[np.ndarray]:
    """Indices, each image once an epoch."""
    for _ in range(_EPOCHS):
        yield from rng.permutation(count).reshape(-1, _BATCH)


def float_model(ws: Weights, bs: Weights) -> onnx.ModelProto:
    """The network as ONNX."""
    nodes, x = [], "image"

    def add(op: str, *more: str, **attributes: Any) -> None:
        nonlocal x
        y = f"{op.lower()}{len(nodes)}"
        nodes.append(helper.make_node(op, [x, *more], [y], name=y, **attributes))
        x = y

    for k in range(5):
        if k == 2:
            add("Flatten")
        if k < 2:
            add("Conv", f"w{k}", f"b{k}", kernel_shape=[5, 5])
            add("Relu")
            add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
            continue
        add("Gemm", f"w{k}", f"b{k}", transB=1)
        if k < 4:
            add("Relu")
    values = [
        numpy_helper.from_array(v, f"{n}{k}") for n, vs in (("w", ws), ("b", bs)) for k, v in enumerate(vs)
    ]
    graph = helper.make_graph(
        nodes,
        "lenet5",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 28, 28])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, ["N", 10])],
        values,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def make_lenet(shared: Path, out: Path) -> None:
    """Train, quantize with 500 of the training images, and write the int8 model to `out`."""
    folder = shared / "data" / "mnist"
    with gzip.open(folder / "train-images-idx3-ubyte.gz") as stream:
        images = np.frombuffer(stream.read(), np.uint8, offset=16)[: _IMAGES * 784]
    with gzip.open(folder / "train-labels-idx1-ubyte.gz") as stream:
        labels = np.frombuffer(stream.read(), np.uint8, offset=8)[:_IMAGES]
    x = images.reshape(-1, 1, 28, 28).astype(np.float32) / np.float32(255)
    model = float_model(*trained(x, labels.astype(np.int64)))
    out.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, out.with_suffix(".float.onnx"))
    pulsefold.quantize(out.with_suffix(".float.onnx"), x[:500], out)
