"""Files as quantizers write them: 16 bits, blocks, weights quantized in the file, the host's last steps.

Each is imported and equals the source in float64 and in ONNX Runtime, or is refused with what to do.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from pulsefold.compiler.frontend import import_model, inspect_model
from pulsefold.errors import ModelError, UnsupportedNodeError
from pulsefold.sim.reference import compare
from pulsefold.sim.runtime import compare_runtime

RNG = np.random.default_rng(5)
WEIGHTS = RNG.integers(-8, 8, (16, 6))
node = helper.make_node


class File:
    """A model under construction: x (N, 16) behind int8 quantizers, and what a test adds."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "net.onnx"
        self.constants: list[onnx.TensorProto] = []
        self.nodes: list[NodeProto] = []

    def const(self, value: Any, kind: int | None = None) -> str:
        name = f"c{len(self.constants)}"
        array = np.asarray(value)
        made = numpy_helper.from_array(array, name)
        if kind is not None:
            made = helper.make_tensor(name, kind, array.shape, array.ravel().tolist())
        self.constants.append(made)
        return name

    def add(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(node(kind, inputs, [name], name=f"n{len(self.nodes)}", domain=domain, **attributes))
        return name

    def rounded(self, x: str, scale: float, zero: np.generic) -> str:
        """x through a QuantizeLinear and DequantizeLinear of the zero point's type."""
        s, z = self.const(np.float32(scale)), self.const(zero)
        return self.add("DequantizeLinear", self.add("QuantizeLinear", x, s, z), s, z)

    def product(self, x: str, columns: int = 6) -> str:
        q = self.const(WEIGHTS[:, :columns].astype(np.int8))
        return self.add("MatMul", x, self.add("DequantizeLinear", q, self.const(np.float32(0.1))))

    def saved(self, *outputs: str, kind: int = TensorProto.FLOAT, x: int = TensorProto.FLOAT) -> Path:
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", x, ["N", 16])],
            [helper.make_tensor_value_info(y, kind, None) for y in outputs],
            self.constants,
        )
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), self.path)
        return self.path


def equal(path: Path) -> None:
    graph = import_model(path)
    x = RNG.normal(size=(20, 16)).astype(np.float32)
    for check in (compare, compare_runtime):
        report = check(path, graph, x)
        assert report.ok, report.first


def refused(path: Path, *words: str) -> None:
    with pytest.raises(ModelError) as caught:
        import_model(path)
    for word in words:
        assert word in caught.value.message, caught.value.message
    assert inspect_model(path).advice == caught.value.message


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path)


def test_blocks_that_are_whole_channels(file: File) -> None:
    scale = file.const(RNG.uniform(0.01, 0.1, (1, 6)).astype(np.float32))
    w = file.const(WEIGHTS, TensorProto.INT4)
    w = file.add("DequantizeLinear", w, scale, axis=0, block_size=16)
    equal(file.saved(file.add("MatMul", file.rounded("x", 0.02, np.int8(3)), w)))


@pytest.mark.parametrize("axis", [0, 1])
def test_blocks_within_a_channel(file: File, axis: int) -> None:
    shape = (4, 6) if axis == 0 else (16, 2)
    scale = file.const(RNG.uniform(0.01, 0.1, shape).astype(np.float32))
    w = file.const(WEIGHTS, TensorProto.INT4)
    w = file.add("DequantizeLinear", w, scale, axis=axis, block_size=4 if axis == 0 else 3)
    y = file.add("MatMul", file.rounded("x", 0.02, np.int8(3)), w)
    refused(file.saved(y), "(DequantizeLinear)", "each block of a channel", "block_size 0")


@pytest.mark.parametrize("kind", [np.int16, np.uint16])
def test_sixteen_bits_at_the_end(file: File, kind: type[np.integer]) -> None:
    """The host's: they are shown and not computed with."""
    y = file.product(file.rounded("x", 0.02, np.int8(3)))
    y = file.rounded(y, 1e-3, kind(1000))
    equal(file.saved(y, file.add("Relu", y)))


def test_sixteen_bits_in_front_of_a_layer(file: File) -> None:
    y = file.rounded(file.product(file.rounded("x", 0.02, np.int8(3))), 1e-3, np.int16(0))
    y = file.add("MatMul", y, file.const(RNG.integers(-3, 3, (6, 2)).astype(np.float32)))
    refused(file.saved(y), "(MatMul)", "16-bit activations", "65535", "activation_type")


def test_sixteen_bit_input(file: File) -> None:
    y = file.product(file.add("DequantizeLinear", "x", file.const(np.float32(0.1))))
    refused(file.saved(y, x=TensorProto.INT16), "(MatMul)", "int16 activations")


def test_weights_that_the_file_quantizes(file: File) -> None:
    """A weight of half a step, which float32 rounds the other way: the exact integer counts everywhere."""
    scale = np.float32(0.0024213726)
    w = RNG.normal(size=(16, 6)).astype(np.float32) / 4
    w[:, 3] = np.float32(-0.308725)
    assert w[0, 3] / scale == -127.5
    assert Fraction(float(w[0, 3])) / Fraction(float(scale)) > Fraction(-255, 2)
    s, z = file.const(np.full(6, scale)), file.const(np.full(6, 128, np.uint8))
    q = file.add("QuantizeLinear", file.const(w), s, z, axis=1)
    w_again = file.add("DequantizeLinear", q, s, z, axis=1)
    y = file.add("MatMul", file.rounded("x", 0.02, np.int8(3)), w_again)
    equal(file.saved(file.rounded(y, 0.05, np.int8(0))))


def test_a_quantized_scalar(file: File) -> None:
    factor = file.rounded(file.const(np.float32(0.4)), 0.01, np.int8(0))
    y = file.add("Mul", file.product(file.rounded("x", 0.02, np.int8(3))), factor)
    equal(file.saved(file.rounded(y, 0.05, np.int8(0))))


@pytest.mark.parametrize("opset", [11, 17])
def test_softmax_on_integers(file: File, opset: int) -> None:
    y = file.product(file.rounded("x", 0.02, np.int8(3)))
    s, z = file.const(np.float32(0.05)), file.const(np.int8(4))
    y = file.add("QuantizeLinear", y, s, z)
    t = file.const(np.float32(1 / 256)), file.const(np.int8(-128))
    y = file.add("QLinearSoftmax", y, s, z, *t, domain="com.microsoft", axis=1, opset=opset)
    path = file.saved(y, kind=TensorProto.INT8)
    graph = import_model(path)
    x = RNG.normal(size=(20, 16)).astype(np.float32)
    report = compare(path, graph, x)
    assert report.ok, report.first


@pytest.mark.parametrize("kind", ["DynamicQuantizeLinear", "MatMulNBits"])
def test_what_no_integers_are_known_of(file: File, kind: str) -> None:
    if kind == "MatMulNBits":
        w = file.const(RNG.integers(0, 255, (6, 1, 8)).astype(np.uint8))
        y = file.add(kind, "x", w, file.const(np.ones(6, np.float32)), domain="com.microsoft", K=16, N=6)
    else:
        y = file.add("Cast", file.add(kind, "x"), to=TensorProto.FLOAT)
    refused(file.saved(y), f"({kind})", "pulsefold quantize MODEL.onnx")


def test_where_to_cut_a_detector(file: File) -> None:
    """Behind the last layer with weights, what has no rule is the host's."""
    y = file.product(file.rounded("x", 0.02, np.int8(3)))
    y = file.rounded(y, 0.05, np.int8(0))
    boxes = file.add("NonZero", file.add("Relu", y))
    refused(file.saved(boxes, kind=TensorProto.INT64), "(NonZero)", "cut the model at 'v6'", "on the host")
    # In front of another layer there is no such place.
    file.nodes.pop()
    odd = file.add("Det", y)
    v = file.add("MatMul", odd, file.const(np.ones((6, 2), np.float32)))
    with pytest.raises(UnsupportedNodeError, match="Det") as caught:
        import_model(file.saved(v))
    assert "cut the model" not in caught.value.message
