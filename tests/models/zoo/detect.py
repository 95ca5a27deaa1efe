"""Detectors: (N, 3, size, size) to grids of scores and boxes, or to the boxes themselves."""

from __future__ import annotations

import numpy as np
import onnx

from zoo.net import Net

__all__ = ["decoded", "ssd", "yolo"]


def yolo(
    *, size: int = 416, width: int = 16, classes: int = 80, act: str = "LeakyRelu", seed: int = 0
) -> onnx.ModelProto:
    """Tiny YOLO v3: two grids of (N, 3 * (classes + 5), h, w); `act` SiLU gives a later YOLO's activation."""
    net = Net((3, size, size), seed=seed)
    x = net.x
    tap = ""
    for level in range(5):
        x = net.cbr(x, width << level, act=act)
        if level == 4:
            tap = x
        x = net.pool(x)
    x = net.cbr(x, width << 5, act=act)
    x = net.cbr(x, width << 4, 1, act=act)
    heads = 3 * (classes + 5)
    coarse = net.conv(net.cbr(x, width << 5, act=act), heads, 1, bias=True)
    y = net.upsample(net.cbr(x, width << 3, 1, act=act))
    y = net.cbr(net.concat(y, tap), width << 4, act=act)
    return net.model(coarse, net.conv(y, heads, 1, bias=True), name="yolo")


def ssd(*, size: int = 300, width: int = 16, classes: int = 21, seed: int = 0) -> onnx.ModelProto:
    """SSD on a MobileNet: scores (N, anchors, classes), through a Sigmoid, and boxes (N, anchors, 4)."""
    net = Net((3, size, size), seed=seed)
    x = net.cbr(net.x, width, stride=2)
    taps = []
    for level in range(4):
        inside = net.shape[x][0]
        x = net.cbr(net.cbr(x, inside, stride=2, groups=inside), width << (level + 1), 1)
        if level >= 1:
            taps.append(x)
    scores, boxes = [], []
    for tap in taps:
        for found, values in ((scores, classes), (boxes, 4)):
            y = net.permute(net.conv(tap, 3 * values, bias=True), 2, 3, 1)
            height, broad, _ = net.shape[y]
            found.append(net.reshape(y, 3 * height * broad, values))
    joined = []
    for found in (scores, boxes):
        shape = (sum(net.shape[v][0] for v in found), net.shape[found[0]][1])
        joined.append(net.node("Concat", *found, shape=shape, axis=1))
    return net.model(net.act(joined[0], "Sigmoid"), joined[1], name="ssd")


def decoded(*, size: int = 32, width: int = 4, classes: int = 2, seed: int = 0) -> onnx.ModelProto:
    """YOLO v5 with its end: (N, boxes, 5 + classes), boxes as centre and size in pixels.

    (2 s - 0.5 + grid) * stride and (2 s) ** 2 * anchors, s being the Sigmoid of what the layers give.
    """
    net = Net((3, size, size), seed=seed)
    x = net.cbr(net.cbr(net.x, width, stride=2, act="SiLU"), 2 * width, stride=2, act="SiLU")
    found, values = [], 5 + classes
    for stride, anchors in ((4, [[10, 13], [33, 23]]), (8, [[62, 45], [59, 119]])):
        n = size // stride
        y = net.permute(net.reshape(net.conv(x, 2 * values, 1, bias=True), 2, values, n, n), 1, 3, 4, 2)
        y = net.act(y, "Sigmoid")
        parts = []
        for start, end in ((0, 2), (2, 4), (4, values)):
            bounds = [net.const([v], np.int64) for v in (start, end, 4)]
            parts.append(net.node("Slice", y, *bounds, shape=(2, n, n, end - start)))
        shape = (2, n, n, 2)
        grid = np.stack(np.meshgrid(np.arange(n), np.arange(n)), axis=-1) - 0.5
        twice = [net.node("Mul", part, net.const(2.0), shape=shape) for part in parts[:2]]
        placed = net.node("Add", twice[0], net.const(np.broadcast_to(grid, (1, *shape))), shape=shape)
        square = net.node("Pow", twice[1], net.const(2.0), shape=shape)
        table = np.broadcast_to(np.reshape(anchors, (1, 2, 1, 1, 2)), (1, *shape))
        boxes = (
            net.node("Mul", placed, net.const(float(stride)), shape=shape),
            net.node("Mul", square, net.const(table), shape=shape),
            parts[2],
        )
        y = net.node("Concat", *boxes, shape=(2, n, n, values), axis=4)
        found.append(net.reshape(y, 2 * n * n, values))
        x = net.cbr(x, 2 * width, stride=2, act="SiLU")
    shape = (sum(net.shape[v][0] for v in found), values)
    return net.model(net.node("Concat", *found, shape=shape, axis=1), name="decoded")
