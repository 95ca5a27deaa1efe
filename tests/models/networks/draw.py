"""Random choices: which operations a network has, and with which attributes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from networks.sketch import Sketch

__all__ = ["BLOCKS", "draw"]

#: Activations that only rise or only fall, which may stand between a product and its quantizer.
MONOTONE = ("Relu", "Clip", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "Elu")

#: Those and others, behind a quantizer of their own.
ANY = (*MONOTONE, "HardSwish", "Abs", "Softplus", "Neg", "PRelu")


class Draw:
    """A sketch in the making and the choices it takes."""

    def __init__(self, rng: np.random.Generator, sketch: Sketch, features: frozenset[str]) -> None:
        self.rng = rng
        self.net = sketch
        self.features = features

    def pick(self, *options):
        return options[int(self.rng.integers(len(options)))]

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def channels(self) -> int:
        return self.pick(2, 3, 4, 6)

    def product(self, x: str, kind: str = "") -> str:
        """A convolution of some kind, with an activation or without, and a quantizer."""
        c, h, w = self.net.shape[x]
        groups, channels = 1, self.channels()
        if kind == "depthwise":
            groups, channels = c, c * self.pick(1, 1, 2)
        elif kind == "group":
            groups = self.pick(*(g for g in range(1, c + 1) if c % g == 0))
            channels = groups * self.pick(1, 2)
        kernel = (min(h, self.pick(1, 2, 3)), min(w, self.pick(1, 2, 3)))
        dilation = (1, 1)
        if kind == "dilated":
            dilation = tuple(
                2 if n >= 2 * k - 1 and k > 1 else 1 for n, k in zip((h, w), kernel, strict=True)
            )
        pads, auto_pad = (0, 0, 0, 0), ""
        if kind == "padded":
            pads = tuple(int(self.rng.integers(0, k)) for k in (*kernel, *kernel))
            if self.chance(0.3):
                auto_pad = self.pick("SAME_UPPER", "SAME_LOWER")
        stride = (self.pick(1, 1, 2), self.pick(1, 1, 2)) if kind != "dilated" else (1, 1)
        act = self.chance(0.6)
        y = self.net.conv(
            x,
            channels,
            kernel,
            stride=stride,
            dilation=dilation,
            pads=pads,
            groups=groups,
            bias=self.chance(0.6),
            auto_pad=auto_pad,
            quantized=not act,
        )
        return self.fused(y) if act else y

    def fused(self, y: str) -> str:
        """A monotone activation between a product and its quantizer."""
        kinds = MONOTONE if "fused" in self.features else ("Relu", "Relu", "Clip")
        return self.activation(y, self.pick(*kinds))

    def activation(self, x: str, kind: str) -> str:
        attributes: dict[str, object] = {}
        if kind == "Clip":
            attributes = {"low": self.pick(0.0, -0.5, -1.0), "high": self.pick(0.5, 1.0, 6.0)}
        elif kind in ("LeakyRelu", "Elu"):
            attributes = {"alpha": self.pick(0.125, 0.1, 0.3)}
        elif kind == "HardSigmoid":
            attributes = {"alpha": self.pick(0.2, 1 / 6), "beta": 0.5}
        weights = {}
        if kind == "PRelu":
            c, *rest = self.net.shape[x]
            weights = {"slope": self.rng.choice([-0.5, 0.1, 0.25], (c, *(1,) * len(rest))).astype(np.float32)}
        return self.net.add(kind, x, shape=self.net.shape[x], attributes=attributes, weights=weights)

    def pool(self, x: str, kind: str) -> str:
        c, h, w = self.net.shape[x]
        kernel = (min(h, self.pick(2, 3)), min(w, self.pick(2, 3)))
        stride = (self.pick(1, 2), self.pick(1, 2))
        pads = tuple(self.pick(0, 0, 1) if k > 1 else 0 for k in (*kernel, *kernel))
        ceil = self.chance(0.4) and "ceil" in self.features
        size = []
        for axis, n in enumerate((h, w)):
            room = n + pads[axis] + pads[axis + 2] - kernel[axis]
            count = (-(-room // stride[axis]) if ceil else room // stride[axis]) + 1
            # A window that would begin in the padding behind is dropped.
            if ceil and (count - 1) * stride[axis] >= n + pads[axis]:
                count -= 1
            size.append(count)
        attributes = {"kernel_shape": kernel, "strides": stride, "pads": pads, "ceil_mode": int(ceil)}
        if kind == "AveragePool":
            attributes["count_include_pad"] = int(self.chance(0.5))
        same = kind == "MaxPool"
        return self.net.add(
            kind,
            x,
            shape=(c, *size),
            attributes=attributes,
            quantized=not same or self.chance(0.5),
            same=same,
        )

    def move(self, kind: str, x: str, shape: tuple[int, ...], **attributes: object) -> str:
        return self.net.add(
            kind, x, shape=shape, attributes=attributes, quantized=self.chance(0.5), same=True
        )


def _conv(draw: Draw, x: str) -> str:
    return draw.product(x)


def _kind(name: str) -> Callable[[Draw, str], str]:
    return lambda draw, x: draw.product(x, name)


def _residual(draw: Draw, x: str) -> str:
    c = draw.net.shape[x][0]
    y = draw.net.conv(x, c, (1, 1), quantized=True)
    if draw.chance(0.3):
        y = draw.net.conv(y, c, (1, 1), groups=draw.pick(1, c) if "group" in draw.features else 1)
    act = draw.chance(0.5)
    pair = (x, y) if draw.chance(0.5) else (y, x)
    kind = draw.pick("Add", "Add", "Sub", "Max", "Min") if "sub" in draw.features else "Add"
    z = draw.net.add(kind, *pair, shape=draw.net.shape[x], quantized=not act)
    return draw.activation(z, "Relu") if act else z


def _concat(draw: Draw, x: str) -> str:
    _, h, w = draw.net.shape[x]
    parts = [x] if draw.chance(0.5) else []
    while len(parts) < 2 or draw.chance(0.2):
        parts.append(draw.net.conv(x, draw.pick(1, 2, 3), (1, 1)))
    channels = sum(draw.net.shape[p][0] for p in parts)
    return draw.net.add("Concat", *parts, shape=(channels, h, w))


def _split(draw: Draw, x: str) -> str:
    c, h, w = draw.net.shape[x]
    if c < 2:
        return draw.product(x)
    cut = int(draw.rng.integers(1, c))
    a = draw.move("Slice", x, (cut, h, w), axis=1, start=0, end=cut)
    b = draw.move("Slice", x, (c - cut, h, w), axis=1, start=cut, end=c)
    b = draw.net.conv(b, draw.pick(2, 3), (1, 1))
    return draw.net.add("Concat", a, b, shape=(cut + draw.net.shape[b][0], h, w))


def _excite(draw: Draw, x: str) -> str:
    c = draw.net.shape[x][0]
    y = draw.net.add("GlobalAveragePool", x, shape=(c, 1, 1))
    y = draw.net.conv(y, c, (1, 1))
    gate = draw.activation(y, draw.pick("Sigmoid", "HardSigmoid"))
    return draw.net.add("Mul", *((x, gate) if draw.chance(0.5) else (gate, x)), shape=draw.net.shape[x])


def _maxpool(draw: Draw, x: str) -> str:
    return draw.pool(x, "MaxPool")


def _avgpool(draw: Draw, x: str) -> str:
    return draw.pool(x, "AveragePool")


def _activation(draw: Draw, x: str) -> str:
    return draw.activation(x, draw.pick(*ANY))


def _transpose(draw: Draw, x: str) -> str:
    """ConvTranspose."""
    c, h, w = draw.net.shape[x]
    if h * w > 100:
        return draw.product(x)
    kernel, stride = (draw.pick(1, 2, 3), draw.pick(2, 3)), (draw.pick(1, 2), draw.pick(1, 2))
    pads = tuple(min(draw.pick(0, 0, 1), k - 1) for k in (*kernel, *kernel))
    extra = tuple(draw.pick(0, s - 1) for s in stride)
    groups = draw.pick(1, c) if "group" in draw.features else 1
    channels = groups * draw.pick(1, 2)
    size = [
        (n - 1) * s + k - pads[i] - pads[i + 2] + extra[i]
        for i, (n, s, k) in enumerate(zip((h, w), stride, kernel, strict=True))
    ]
    if min(size) < 1:
        return draw.product(x)
    attributes = {"kernel_shape": kernel, "strides": stride, "pads": pads, "output_padding": extra}
    attributes["group"] = groups
    weights = {"w": draw.net.normal(c, channels // groups, *kernel)}
    if draw.chance(0.5):
        weights["b"] = draw.net.normal(channels) * 0.3
    return draw.net.add("ConvTranspose", x, shape=(channels, *size), attributes=attributes, weights=weights)


def _resize(draw: Draw, x: str) -> str:
    c, h, w = draw.net.shape[x]
    if h * w > 64:
        return draw.pool(x, "MaxPool")
    mode = draw.pick("nearest", "nearest", "linear") if "linear" in draw.features else "nearest"
    factors = (draw.pick(1, 2), draw.pick(2, 3))
    return draw.net.add(
        "Resize",
        x,
        shape=(c, h * factors[0], w * factors[1]),
        attributes={"mode": mode, "factors": factors, "half_pixel": draw.chance(0.5)},
        quantized=mode == "linear" or draw.chance(0.5),
        same=mode == "nearest",
    )


def _depth(draw: Draw, x: str) -> str:
    c, h, w = draw.net.shape[x]
    if h % 2 == 0 and w % 2 == 0 and draw.chance(0.5):
        return draw.move("SpaceToDepth", x, (4 * c, h // 2, w // 2), blocksize=2)
    x = draw.net.conv(x, 4 * draw.pick(1, 2), (1, 1))
    mode = draw.pick("DCR", "CRD")
    return draw.move("DepthToSpace", x, (draw.net.shape[x][0] // 4, 2 * h, 2 * w), blocksize=2, mode=mode)


def _shuffle(draw: Draw, x: str) -> str:
    c, h, w = draw.net.shape[x]
    groups = draw.pick(*(g for g in range(1, c + 1) if c % g == 0))
    return draw.move("Shuffle", x, (c, h, w), groups=groups)


def _pad(draw: Draw, x: str) -> str:
    c, h, w = draw.net.shape[x]
    mode = draw.pick("constant", "constant", "edge", "reflect")
    pads = tuple(min(int(draw.rng.integers(0, 3)), n - 1 if mode == "reflect" else 9) for n in (h, w, h, w))
    shape = (c, h + pads[0] + pads[2], w + pads[1] + pads[3])
    return draw.move("Pad", x, shape, mode=mode, pads=pads)


def _swap(draw: Draw, x: str) -> str:
    c, h, w = draw.net.shape[x]
    return draw.move("Transpose", x, (c, w, h), perm=(0, 1, 3, 2))


def _lrn(draw: Draw, x: str) -> str:
    attributes = {"size": draw.pick(1, 3, 5), "alpha": draw.pick(1e-4, 0.5), "beta": 0.75, "bias": 1.0}
    return draw.net.add("LRN", x, shape=draw.net.shape[x], attributes=attributes)


def _norm(draw: Draw, x: str) -> str:
    """A product and a batch norm in front of its quantizer."""
    y = draw.net.conv(x, draw.channels(), (1, 1), quantized=False)
    c = draw.net.shape[y][0]
    weights = {
        "gamma": draw.rng.choice([-0.7, 0.5, 1.0, 1.5], c),
        "beta": draw.rng.normal(size=c) * 0.2,
        "mean": draw.rng.normal(size=c) * 0.2,
        "var": draw.rng.uniform(0.3, 2, c),
    }
    weights = {k: v.astype(np.float32) for k, v in weights.items()}
    act = draw.chance(0.5)
    y = draw.net.add("BatchNormalization", y, shape=draw.net.shape[y], weights=weights, quantized=not act)
    return draw.activation(y, "Relu") if act else y


def _table(draw: Draw, x: str) -> str:
    """A constant that differs from position to position, added or multiplied."""
    c, h, w = draw.net.shape[x]
    kind = draw.pick("Add", "Sub", "Mul")
    shape = draw.pick((1, c, h, w), (1, 1, h, w), (h, 1))
    values = [-1.0, 0.0, 0.5, 1.0, 1.5] if kind == "Mul" else np.arange(-6, 7) / 4
    weights = {"table": draw.rng.choice(values, shape).astype(np.float32)}
    return draw.net.add(kind, x, shape=(c, h, w), weights=weights)


#: Feature -> block: from one stream (C, H, W) to another.
BLOCKS: dict[str, Callable[[Draw, str], str]] = {
    "conv": _conv,
    "padded": _kind("padded"),
    "dilated": _kind("dilated"),
    "group": _kind("group"),
    "depthwise": _kind("depthwise"),
    "norm": _norm,
    "residual": _residual,
    "concat": _concat,
    "split": _split,
    "gate": _excite,
    "maxpool": _maxpool,
    "avgpool": _avgpool,
    "activation": _activation,
    "transpose": _transpose,
    "resize": _resize,
    "depth": _depth,
    "shuffle": _shuffle,
    "pad": _pad,
    "swap": _swap,
    "lrn": _lrn,
    "table": _table,
}


def draw(rng: np.random.Generator, features: frozenset[str], *, size: int, layers: int) -> Sketch:
    """A random network of a number of blocks on frames of at most `size` by `size`."""
    shape = (int(rng.integers(1, 5)), *(int(n) for n in rng.integers(max(3, size // 2), size + 1, 2)))
    joined = "inputs" in features and rng.random() < 0.3
    sketch = Sketch(rng, *((shape, shape) if joined else (shape,)))
    draw = Draw(rng, sketch, features)
    kinds = [kind for kind in BLOCKS if kind in features]
    x = sketch.inputs[0]
    if joined:
        parts = [sketch.conv(name, 2, (1, 1)) for name in sketch.inputs]
        x = sketch.add("Add", *parts, shape=sketch.shape[parts[0]])
    seen = []
    for _ in range(layers):
        c, h, w = sketch.shape[x]
        if c * h * w > 1500:
            x = draw.pool(x, "MaxPool") if "maxpool" in features else sketch.conv(x, 2, (1, 1), stride=(2, 2))
        x = BLOCKS[draw.pick(*kinds)](draw, x)
        seen.append(x)
    if "outputs" in features and rng.random() < 0.3:
        sketch.outputs.append(sketch.conv(draw.pick(*seen), 2, (1, 1)))
    sketch.outputs.append(_head(draw, x))
    return sketch


def _head(draw: Draw, x: str) -> str:
    """A classifier, or a map of the last features."""
    c, h, w = draw.net.shape[x]
    kind = draw.pick("dense", "gap", "map") if "gap" in draw.features else draw.pick("dense", "map")
    if kind == "map" or (kind == "dense" and c * h * w > 400):
        return draw.net.conv(x, 3, (1, 1))
    if kind == "gap":
        x = draw.net.add("GlobalAveragePool", x, shape=(c, 1, 1))
    x = draw.move("Flatten", x, (int(np.prod(draw.net.shape[x])),))
    if draw.chance(0.4):
        x = draw.net.dense(x, 4, gemm=draw.chance(0.5), quantized=False)
        x = draw.activation(x, "Relu")
    return draw.net.dense(x, 5, gemm=draw.chance(0.5), bias=draw.chance(0.7))
