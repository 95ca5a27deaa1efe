"""Random networks: golden against the source in float64 and against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.ir import Graph
from pulsefold.compiler.numerics.rounding import MODES
from pulsefold.errors import UnsupportedNodeError
from pulsefold.sim import golden
from pulsefold.sim.golden.export import Exported
from pulsefold.sim.reference import compare

#: Powers of two give exact ties, the others values next to them.
DYADIC = [1.0, 0.5, 0.25, 2.0]
SCALES = [*DYADIC, 0.1, 1 / 3, 0.0371]


class Draw:
    """Choices of one network."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1), label="seed"))
        #: Whether all numbers are short binary fractions, so that float64 is exact at every step.
        self.dyadic = self.pick(True, False)
        self.scales = DYADIC if self.dyadic else SCALES

    def pick(self, *options: Any) -> Any:
        return self.data.draw(st.sampled_from(options))

    def activations(self, net: Any, channels: int, *, padded: bool) -> None:
        """A quantizer of any kind; before a padded product zero is a level."""
        kind = self.pick("quant", "quant", "quant", "bipolar", "threshold")
        scale = self.pick(*self.scales)
        if kind == "bipolar":
            net.bipolar(scale)
        elif kind == "threshold":
            rows = self.pick(1, channels)
            table = self.numbers(rows, self.pick(1, 3, 6))
            bias = self.pick(-1.0, 0.0) if padded or self.dyadic else self.pick(-1.0, 0.0, 0.3)
            net.add(
                "MultiThreshold",
                net.const(table),
                domain="qonnx.custom_op.general",
                out_scale=self.pick(1.0, 2.0) if bias else 1.0,
                out_bias=bias,
            )
        else:
            bits = self.pick(1, 2, 3, 4)
            net.quant(
                scale,
                0.0 if padded else self.pick(0.0, 1.0, 0.5, 3.0),
                bits,
                signed=self.pick(True, False),
                narrow=bits > 1 and self.pick(True, False),
                mode=self.pick(*MODES),
            )

    def numbers(self, *shape: int) -> np.ndarray:
        """Constants with two digits, or of quarters."""
        values = self.rng.normal(size=shape)
        return (values * 4).round() / 4 if self.dyadic else values.round(2)

    def weights(self, net: Any, shape: tuple[int, ...]) -> str:
        kind = self.pick("quant", "channel", "bipolar", "plain")
        w = self.rng.normal(size=shape)
        if kind == "bipolar":
            last = net.last
            net.bipolar(self.pick(*self.scales), of=net.const(w))
            name, net.last = net.last, last
            return name
        if kind == "plain":
            return net.const(np.clip((w * 3).round(), -128, 127))
        axis = [1] * len(shape)
        axis[0 if len(shape) == 4 else 1] = -1
        scale = self.rng.choice(self.scales, shape[0 if len(shape) == 4 else 1]).reshape(axis)
        if kind == "quant":
            scale = scale.ravel()[0]
        return net.weights(w * 2, scale=scale, bits=self.pick(2, 3, 8), narrow=self.pick(True, False))

    def norm(self, net: Any, channels: int) -> None:
        gamma = self.rng.choice([-1.5, -0.5, 0.0, 0.5, 1.0, 2.0], channels)
        others = 0 if self.dyadic else 2
        var = self.rng.choice([0.25, 1.0, 4.0, 2.0, 0.7][: 3 + others], channels)
        beta, mean = self.rng.choice([-1.0, -0.25, 0.5, 0.3, 0.7][: 3 + others], (2, channels))
        net.bn(gamma, beta, mean, var, epsilon=0.0 if self.dyadic else self.pick(0.0, 1e-5))

    def steps(self, net: Any, channels: int, rank: int, *, pool: bool) -> None:
        """Scalar steps in any order, with a pool among them."""
        kinds = self.data.draw(
            st.lists(st.sampled_from(["norm", "relu", "add", "mul", "sub", "clip"]), max_size=3)
        )
        if pool:
            kinds.insert(self.data.draw(st.integers(0, len(kinds))), "pool")
        each = (1, channels, *(1,) * (rank - 2))
        for kind in kinds:
            match kind:
                case "norm":
                    self.norm(net, channels)
                case "relu":
                    net.add("Relu")
                case "clip":
                    net.add("Clip", net.const(-1.5), net.const(2.0))
                case "add":
                    net.add("Add", net.const(self.numbers(*each)))
                case "sub":
                    net.add("Sub", first=[net.const(self.pick(0.5, -1.0)), net.last])
                case "mul":
                    factors = [-0.5, 1.0, 2.0] if self.dyadic else [-0.5, 0.3, 1.0, 2.0]
                    net.add(self.pick("Mul", "Div"), net.const(self.rng.choice(factors, each)))
                case "pool":
                    net.add("MaxPool", kernel_shape=[2, 2], strides=[self.pick(1, 2)] * 2)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_random_networks(data: st.DataObject, net_type: Any, folder: Path) -> None:
    draw = Draw(data)
    channels, size = draw.pick(1, 2, 3), draw.pick(9, 10)
    net = net_type("N", channels, size, size)
    for _ in range(draw.pick(1, 2)):
        kernel = draw.pick(1, 2, 3)
        padded = kernel > 1 and draw.pick(True, False)
        draw.steps(net, channels, 4, pool=False)
        draw.activations(net, channels, padded=padded)
        outputs = draw.pick(2, 3)
        rest = [net.const(draw.numbers(outputs))] if draw.pick(True, False) else []
        pads = draw.data.draw(st.lists(st.integers(0, 1), min_size=4, max_size=4)) if padded else [0] * 4
        net.conv(
            draw.weights(net, (outputs, channels, kernel, kernel)),
            *rest,
            kernel_shape=[kernel, kernel],
            pads=pads,
            strides=[draw.pick(1, 1, 2), 1],
        )
        channels = outputs
    before = net.model()
    height, width = frame_of(before, size)
    draw.steps(net, channels, 4, pool=min(height, width) > 1)
    draw.activations(net, channels, padded=False)
    height, width = frame_of(net.model(), size)
    net.add("Flatten")
    net.add("MatMul", draw.weights(net, (channels * height * width, 4)))
    draw_tail(draw, net)
    path = net.save(folder)
    try:
        graph = import_model(path)
    except UnsupportedNodeError as error:
        # A pool between two negative gains has no place; anything else must be imported.
        assert "negative gain" in error.what or "no integer of" in error.what, error.message
        reject()
    x = (draw.numbers(3, *graph.inputs[0].shape) * 2).astype(np.float32)
    report = compare(path, graph, x)
    assert report.ok, report.first
    if draw.dyadic:
        # No excuse for ties: float64 computes them exactly.
        assert not any(c.differing for c in report.comparisons)
    runtime_agrees(graph, x)


def draw_tail(draw: Draw, net: Any) -> None:
    """Behind the last product: nothing, or affine steps alone."""
    if draw.pick(True, False):
        draw.norm(net, 4)
        net.add("Mul", net.const(draw.pick(0.5, -0.25)))


def frame_of(model: Any, size: int) -> tuple[int, int]:
    """Height and width of the last value, by the shapes of Conv and MaxPool."""
    height = width = size
    for node in model.graph.node:
        if node.op_type not in ("Conv", "MaxPool"):
            continue
        values = {a.name: list(a.ints) for a in node.attribute}
        kernel, pads = values["kernel_shape"], values.get("pads", [0] * 4)
        strides = values.get("strides", [1, 1])
        height = (height + pads[0] + pads[2] - kernel[0]) // strides[0] + 1
        width = (width + pads[1] + pads[3] - kernel[1]) // strides[1] + 1
    return height, width


def runtime_agrees(graph: Graph, x: np.ndarray) -> None:
    source = graph.inputs[0]
    q = {source.tensor: golden.quantize_input(source, x)}
    want, got = golden.run(graph, q), Exported(graph).run(q)
    assert all(np.array_equal(got[name], want[name]) for name in want)
