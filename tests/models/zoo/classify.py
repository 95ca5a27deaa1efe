"""Classifiers: (N, 3, size, size) to (N, classes)."""

from __future__ import annotations

import onnx

from zoo.net import Net

__all__ = ["densenet", "mobilenet", "nin", "resnet", "shufflenet", "vgg", "xception"]

#: Blocks a stage, and whether they are bottlenecks, by depth.
_RESNETS = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
    152: ((3, 8, 36, 3), True),
}


def vgg(
    *, size: int = 224, width: int = 64, hidden: int = 4096, classes: int = 1000, seed: int = 0
) -> onnx.ModelProto:
    """VGG-16: size a multiple of 32."""
    net = Net((3, size, size), seed=seed)
    x = net.x
    for factor, layers in ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3)):
        for _ in range(layers):
            x = net.act(net.conv(x, factor * width, bias=True))
        x = net.pool(x)
    x = net.flatten(x)
    for _ in range(2):
        x = net.node("Dropout", net.act(net.gemm(x, hidden)), shape=(hidden,))
    return net.model(net.gemm(x, classes), name="vgg16")


def nin(*, size: int = 32, width: int = 96, classes: int = 10, seed: int = 0) -> onnx.ModelProto:
    """Network in Network: 1x1 convolutions behind each larger one, and a global average as the classifier."""
    net = Net((3, size, size), seed=seed)
    x = net.x
    for kernel, pool in ((5, "Max"), (5, "Average"), (3, "")):
        last = pool == ""
        x = net.act(net.conv(x, 2 * width, kernel, bias=True))
        x = net.act(net.conv(x, width if not last else 2 * width, 1, bias=True))
        x = net.act(net.conv(x, classes if last else width, 1, bias=True))
        if pool:
            x = net.pool(x, 3, 2, pad=1, kind=pool)
    x = net.flatten(net.global_average(x))
    return net.model(net.node("Softmax", x, shape=(classes,), axis=1), name="nin")


def resnet(
    depth: int = 18, *, size: int = 224, width: int = 64, classes: int = 1000, seed: int = 0
) -> onnx.ModelProto:
    """ResNet of 18, 34, 50, 101 or 152 layers: size a multiple of 32."""
    blocks, bottleneck = _RESNETS[depth]
    net = Net((3, size, size), seed=seed)
    x = net.pool(net.cbr(net.x, width, 7, stride=2), 3, 2, pad=1)
    for stage, count in enumerate(blocks):
        for block in range(count):
            stride = 2 if stage and not block else 1
            x = _residual(net, x, width << stage, stride, bottleneck=bottleneck)
    return net.model(net.classifier(x, classes), name=f"resnet{depth}")


def _residual(net: Net, x: str, width: int, stride: int, *, bottleneck: bool) -> str:
    channels = 4 * width if bottleneck else width
    if bottleneck:
        y = net.cbr(net.cbr(x, width, 1), width, stride=stride)
        y = net.conv(y, channels, 1)
    else:
        y = net.conv(net.cbr(x, width, stride=stride), channels)
    # A small gain keeps the sum of many blocks in range.
    y = net.bn(y, 0.3)
    if net.shape[x] != net.shape[y]:
        x = net.bn(net.conv(x, channels, 1, stride=stride))
    return net.act(net.add(y, x))


def xception(
    *, size: int = 299, width: int = 32, middle: int = 8, classes: int = 1000, seed: int = 0
) -> onnx.ModelProto:
    """Xception: separable convolutions with residuals; `middle` repeats of the middle flow."""
    net = Net((3, size, size), seed=seed)
    x = net.cbr(net.cbr(net.x, width, stride=2), 2 * width)
    for i, factor in enumerate((4, 8, 23)):
        short = net.bn(net.conv(x, factor * width, 1, stride=2))
        y = net.separable(net.act(x) if i else x, factor * width)
        y = net.separable(net.act(y), factor * width)
        x = net.add(net.pool(y, 3, 2, pad=1), short)
    for _ in range(middle):
        y = x
        for _ in range(3):
            y = net.separable(net.act(y), 23 * width)
        x = net.add(y, x)
    x = net.act(net.separable(x, 32 * width))
    return net.model(net.classifier(x, classes), name="xception")


def mobilenet(
    version: int = 2, *, size: int = 224, width: int = 16, classes: int = 1000, seed: int = 0
) -> onnx.ModelProto:
    """MobileNet v1 (Relu), v2 (Relu6, inverted residuals) or v3 (HardSwish, squeeze and excitation)."""
    net = Net((3, size, size), seed=seed)
    act = {1: "Relu", 2: "Relu6", 3: "HardSwish"}[version]
    x = net.cbr(net.x, 2 * width, stride=2, act=act)
    for channels, stride in ((width, 1), (2 * width, 2), (2 * width, 1), (4 * width, 2), (4 * width, 1)):
        inside = net.shape[x][0]
        if version == 1:
            x = net.cbr(net.cbr(x, inside, stride=stride, groups=inside), channels, 1)
            continue
        y = net.cbr(x, 6 * inside, 1, act=act)
        y = net.cbr(y, 6 * inside, stride=stride, groups=6 * inside, act=act)
        y = _excite(net, y) if version == 3 else y
        y = net.bn(net.conv(y, channels, 1), 0.5)
        x = net.add(x, y) if net.shape[x] == net.shape[y] else y
    return net.model(net.classifier(net.cbr(x, 8 * width, 1, act=act), classes), name=f"mobilenet_v{version}")


def _excite(net: Net, x: str) -> str:
    """Squeeze and excitation: each channel times a gate computed from its average."""
    channels = net.shape[x][0]
    y = net.act(net.conv(net.global_average(x), max(1, channels // 4), 1, bias=True))
    gate = net.act(net.conv(y, channels, 1, bias=True), "HardSigmoid")
    return net.binary("Mul", x, gate)


def densenet(
    *, size: int = 32, growth: int = 12, layers: int = 4, classes: int = 10, seed: int = 0
) -> onnx.ModelProto:
    """DenseNet: batch norm and Relu in front of each convolution, features concatenated."""
    net = Net((3, size, size), seed=seed)
    x = net.conv(net.x, 2 * growth)
    for block in range(3):
        for _ in range(layers):
            y = net.conv(net.act(net.bn(x)), growth)
            x = net.concat(x, y)
        if block < 2:
            x = net.conv(net.act(net.bn(x)), net.shape[x][0] // 2, 1)
            x = net.pool(x, kind="Average")
    return net.model(net.classifier(net.act(net.bn(x)), classes), name="densenet")


def shufflenet(
    *, size: int = 32, width: int = 16, units: int = 2, classes: int = 10, seed: int = 0
) -> onnx.ModelProto:
    """ShuffleNet v2: half of the channels pass by, then the halves are shuffled."""
    net = Net((3, size, size), seed=seed)
    x = net.cbr(net.x, width, stride=2)
    for _ in range(units):
        channels, *sizes = net.shape[x]
        half = channels // 2
        axes = net.const([1], "int64")
        parts = [
            net.node("Slice", x, net.const([a], "int64"), net.const([b], "int64"), axes, shape=(half, *sizes))
            for a, b in ((0, half), (half, channels))
        ]
        y = net.bn(net.conv(net.cbr(parts[1], half, 1), half, groups=half))
        y = net.concat(parts[0], net.cbr(y, half, 1))
        y = net.permute(net.reshape(y, 2, half, *sizes), 2, 1, 3, 4)
        x = net.reshape(y, channels, *sizes)
    return net.model(net.classifier(x, classes), name="shufflenet")


def inception(
    *, size: int = 32, width: int = 16, blocks: int = 2, classes: int = 10, seed: int = 0
) -> onnx.ModelProto:
    """Inception v1: kernels of 1, 3 and 5 and a pool side by side, their maps concatenated."""
    net = Net((3, size, size), seed=seed)
    x = net.pool(net.cbr(net.x, width))
    for _ in range(blocks):
        parts = [
            net.cbr(x, width, 1),
            net.cbr(net.cbr(x, width // 2, 1), width, 3),
            net.cbr(net.cbr(x, width // 4, 1), width // 2, 5),
            net.cbr(net.pool(x, 3, 1, pad=1), width // 2, 1),
        ]
        x = net.concat(*parts)
    return net.model(net.classifier(x, classes), name="inception")
