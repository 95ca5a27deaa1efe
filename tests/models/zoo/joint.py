"""Networks of several inputs."""

from __future__ import annotations

import onnx

from zoo.net import Net

__all__ = ["fused", "siamese"]


def fused(*, size: int, width: int, features: int, batch: int | str = "N") -> onnx.ModelProto:
    """An image ``x`` and a vector ``speed``, joined in front of the last layer; and a map of the image."""
    net = Net((3, size, size), batch=batch)
    y = net.cbr(net.cbr(net.x, width), width, stride=2)
    speed = net.act(net.gemm(net.input("speed", features), width), "Tanh")
    flat = net.concat(net.flatten(net.global_average(y)), speed)
    return net.model(net.gemm(flat, 3), net.conv(y, 2, 1, bias=True))


def siamese(*, size: int, width: int) -> onnx.ModelProto:
    """The same convolution of two images, and how far the results are apart."""
    net = Net((2, size, size))
    kernel = net.weights(width, 2, 3, 3, fan_in=18)
    shape = (width, size - 2, size - 2)
    towers = [
        net.act(net.node("Conv", x, kernel, shape=shape)) for x in (net.x, net.input("z", 2, size, size))
    ]
    apart = net.node("Abs", net.binary("Sub", *towers), shape=shape)
    return net.model(net.act(net.gemm(net.flatten(apart), 1), "Sigmoid"))
