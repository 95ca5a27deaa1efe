"""What is written, for every structure and number format: the importer counts on all of this."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import zoo

LINEAR = ("Conv", "ConvTranspose", "Gemm", "MatMul")
PASS = frozenset(
    {"Flatten", "MaxPool", "Pad", "Reshape", "Resize", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"}
)
JOINS = ("Add", "Sum", "Mul", "AveragePool", "GlobalAveragePool", "LeakyRelu", "HardSwish")
FORMATS = [
    ("int8", "int8", "qdq"),
    ("int8", "uint8", "qdq"),
    ("uint8", "int8", "qdq"),
    ("int4", "int4", "qdq"),
    ("uint4", "uint4", "qdq"),
    ("int8", "int8", "qonnx"),
    ("int3", "int5", "qonnx"),
    ("ternary", "int2", "qonnx"),
    ("binary", "uint6", "qonnx"),
]


class File:
    """A written model."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.makers = {o: n for n in model.graph.node for o in n.output}
        self.constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}

    def quantizer(self, value: str) -> onnx.NodeProto:
        """The node that made levels of an activation, through pools and movements."""
        while (maker := self.makers[value]).op_type in PASS:
            value = maker.input[0]
        if maker.op_type == "DequantizeLinear":
            quantize = self.makers[maker.input[0]]
            assert quantize.op_type == "QuantizeLinear"
            # One scale and zero point in and out, for the whole tensor.
            assert list(quantize.input[1:]) == list(maker.input[1:])
            return quantize
        assert maker.op_type == "Quant", f"{value} comes from {maker.op_type}"
        return maker

    def scale(self, node: onnx.NodeProto) -> np.ndarray:
        return self.constants[node.input[1]].astype(np.float64)


#: Every structure in bytes, and some of them in every format.
CASES = [(name, *FORMATS[0]) for name in zoo.SMALL]
CASES += [(name, *f) for name in ("resnet18", "mobilenet3", "yolo_silu", "unet") for f in FORMATS[1:]]


@pytest.mark.parametrize(("name", "weights", "activations", "kind"), CASES)
def test_written_model(name, weights, activations, kind, quantized, images, run):
    model = zoo.SMALL[name]()
    x = images(model)
    made = quantized(model, x, weights=weights, activations=activations, format=kind, rounding="nearest")
    file = File(made.model)
    assert made.model.ir_version <= 13
    assert [v.name for v in made.model.graph.input] == ["x"]
    assert [v.name for v in made.model.graph.output] == [v.name for v in model.graph.output]
    domains = {o.domain: o.version for o in made.model.opset_import}
    assert domains.get("qonnx.custom_op.general", 0) == (1 if kind == "qonnx" else 0)
    layers = [n for n in made.model.graph.node if n.op_type in LINEAR]
    assert layers
    for node in layers:
        check_layer(file, node, activations)
    for node in made.model.graph.node:
        if node.op_type in (
            "Add",
            "Sum",
            "Mul",
            "AveragePool",
            "GlobalAveragePool",
            "LeakyRelu",
            "HardSwish",
        ):
            inside = any(n.op_type == "Sigmoid" for n in (file.makers.get(i) for i in node.input) if n)
            for value in node.input if not inside else node.input[:1]:
                file.quantizer(value)
        if node.op_type == "Concat":
            behind = [n for n in made.model.graph.node if node.output[0] in n.input]
            assert [n.op_type for n in behind] in (["QuantizeLinear"], ["Quant"])
            for value in node.input:
                source = file.quantizer(value)
                maker = file.makers.get(source.input[0])
                shared = maker is not None and maker.op_type in ("Conv", "ConvTranspose", "Relu", "Concat")
                assert not shared or file.scale(source) == file.scale(behind[0])
    if kind == "qdq":
        onnx.checker.check_model(made.model, full_check=True)
    wanted, got = run(model, x), run(made.plain, x)
    for a, b in zip(wanted, got, strict=True):
        assert a.shape == b.shape
        assert np.isfinite(b).all()
        noise = np.square(a - b).sum() / np.square(a).sum()
        assert noise < (0.03 if (weights[-1], activations[-1]) == ("8", "8") else 3)


def check_layer(file: File, node: onnx.NodeProto, activations: str) -> None:
    source = file.quantizer(node.input[0])
    scale = file.scale(source)
    assert scale.shape == ()
    zero = file.constants[source.input[2]]
    assert activations.startswith("u") or not np.any(zero)
    weights = file.makers[node.input[1]]
    assert weights.op_type in ("DequantizeLinear", "Quant", "BipolarQuant")
    steps = np.atleast_1d(file.scale(weights).squeeze())
    bias = file.makers[node.input[2]] if len(node.input) > 2 else None
    if bias is None:
        return
    # Exactly the product, not the product rounded to float32.
    own = file.scale(bias)
    np.testing.assert_array_equal(own, np.tile(steps * scale, own.size // steps.size))
    if bias.op_type == "DequantizeLinear":
        assert file.constants[bias.input[0]].dtype == np.int32
        assert len(bias.input) == 2
    else:
        levels = file.constants[bias.input[0]] / own
        np.testing.assert_allclose(levels, np.rint(levels), atol=0.4)


@pytest.mark.parametrize("name", ["resnet18", "unet", "mobilenet3", "yolo_silu"])
def test_the_formats_mean_the_same(name, quantized, images, run):
    """QDQ in its own operators against the same levels in plain arithmetic."""
    model = zoo.SMALL[name]()
    x = images(model)
    qdq = quantized(model, x, format="qdq")
    plain = quantized(model, x, format="qonnx")
    for a, b in zip(run(qdq.plain, x), run(plain.plain, x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(a).max())


def test_quant_nodes_round_to_the_levels_that_were_chosen(quantized, images):
    """Rounding in turn picks levels that are not the nearest; the file holds exactly those."""
    model = zoo.nin(size=16, width=4)
    made = quantized(model, images(model, 16), weights="int3", activations="int5")
    file = File(made.model)
    for node in made.model.graph.node:
        if node.op_type not in LINEAR:
            continue
        quant = file.makers[node.input[1]]
        levels = np.rint(file.constants[quant.input[0]] / file.constants[quant.input[1]])
        np.testing.assert_array_equal(levels, made.weights[node.name].levels)


@pytest.mark.parametrize("bits", [3, 8])
def test_first_and_last_layers_keep_their_bits(bits, quantized, images):
    model = zoo.mobilenet(1, size=16, width=2, classes=5)
    made = quantized(model, images(model), weights=f"int{bits}", activations=f"int{bits}", rounding="nearest")
    found = [(layer.edge, made.weights[layer.name].quantizer.bits) for layer in made.layers]
    assert found[0] == found[-1] == (True, 8)
    assert set(found[1:-1]) == {(False, bits)}
    read = [made.activations[layer.source].bits for layer in made.layers]
    assert read[0] == read[-1] == 8
    assert set(read[1:-1]) == {bits}
    narrow = quantized(
        model, images(model), weights=f"int{bits}", activations=f"int{bits}", edges="int2", sums="int2"
    )
    assert {w.quantizer.bits for w in narrow.weights.values()} == {bits}
    assert {q.bits for q in narrow.activations.values()} == {bits}


def test_per_tensor(quantized, images):
    model = zoo.nin(size=16, width=4)
    made = quantized(model, images(model), per_channel=False)
    assert all(w.quantizer.scale.shape == () for w in made.weights.values())
    for node in made.model.graph.node:
        if node.op_type == "DequantizeLinear" and node.name.endswith("weight_DequantizeLinear"):
            assert not node.attribute
    onnx.checker.check_model(made.model, full_check=True)


@pytest.mark.parametrize(
    ("low", "high", "signed", "scale"),
    [(0, 256, False, 1.0), (-128, 128, True, 1.0), (0, 2, False, 1.0), (0, 1000, False, None)],
)
def test_integer_inputs_are_not_rounded(low, high, signed, scale, quantized, run):
    model = zoo.nin(size=16, width=4)
    x = np.random.default_rng(0).integers(low, high, (8, 3, 16, 16)).astype(np.float32)
    found = quantized(model, x).activations["x"]
    assert found.signed == signed
    assert found.zero == 0
    if scale is not None:
        assert float(found.scale) == scale
        np.testing.assert_array_equal(found.apply(x), x)


def test_an_input_that_may_be_negative_is_signed(quantized, images):
    model = zoo.nin(size=16, width=4)
    x = images(model)
    assert quantized(model, x).activations["x"].signed
    assert not quantized(model, np.abs(x)).activations["x"].signed
