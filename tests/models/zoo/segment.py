"""Segmentation: (N, 3, size, size) to (N, classes, size, size)."""

from __future__ import annotations

import onnx

from zoo.net import Net

__all__ = ["fcn", "segnet", "unet"]


def unet(
    *,
    size: int = 256,
    width: int = 64,
    depth: int = 4,
    classes: int = 2,
    transposed: bool = True,
    seed: int = 0,
) -> onnx.ModelProto:
    """U-Net: size a multiple of 2**depth; upsampling by transposed convolution or by linear Resize."""
    net = Net((3, size, size), seed=seed)
    x = net.x
    skips = []
    for level in range(depth):
        x = net.cbr(net.cbr(x, width << level), width << level)
        skips.append(x)
        x = net.pool(x)
    x = net.cbr(net.cbr(x, width << depth), width << depth)
    for level in reversed(range(depth)):
        if transposed:
            x = net.conv_transpose(x, width << level, 2, 2)
        else:
            x = net.conv(net.upsample(x, 2, "linear"), width << level, 1)
        x = net.concat(skips[level], x)
        x = net.cbr(net.cbr(x, width << level), width << level)
    return net.model(net.conv(x, classes, 1, bias=True), name="unet")


def fcn(*, size: int = 224, width: int = 64, classes: int = 21, seed: int = 0) -> onnx.ModelProto:
    """FCN-8s: scores at three scales, added and upsampled; size a multiple of 32."""
    net = Net((3, size, size), seed=seed)
    x = net.x
    taps = []
    for factor, layers in ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3)):
        for _ in range(layers):
            x = net.act(net.conv(x, factor * width, bias=True))
        x = net.pool(x)
        taps.append(x)
    for _ in range(2):
        x = net.act(net.conv(x, 16 * width, 1, bias=True))
    y = net.conv(x, classes, 1, bias=True)
    for tap in (taps[3], taps[2]):
        y = net.conv_transpose(y, classes, 4, 2, 1)
        y = net.add(y, net.conv(tap, classes, 1, bias=True))
    return net.model(net.conv_transpose(y, classes, 16, 8, 4), name="fcn8s")


def segnet(
    *, size: int = 224, width: int = 64, depth: int = 3, classes: int = 12, seed: int = 0
) -> onnx.ModelProto:
    """SegNet: an encoder and its mirror image; upsampling repeats pixels, without pooling indices."""
    net = Net((3, size, size), seed=seed)
    x = net.x
    for level in range(depth):
        x = net.pool(net.cbr(net.cbr(x, width << level), width << level))
    for level in reversed(range(depth)):
        x = net.cbr(net.upsample(x), width << level)
        x = net.cbr(x, width << max(0, level - 1))
    return net.model(net.conv(x, classes, bias=True), name="segnet")
