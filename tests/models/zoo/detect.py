"""Detectors: (N, 3, size, size) to grids of scores and boxes; decoding is left to the host."""

from __future__ import annotations

import onnx

from zoo.net import Net

__all__ = ["ssd", "yolo"]


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
