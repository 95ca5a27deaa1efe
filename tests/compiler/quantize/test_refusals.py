"""What cannot be quantized is refused by name, before any work is done."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import zoo
from pulsefold.compiler.quantize import Format, Recipe
from pulsefold.errors import InputArrayError, ModelError, PulsefoldError, UnsupportedNodeError


def convolution() -> zoo.Net:
    return zoo.Net((3, 6, 6))


def small() -> onnx.ModelProto:
    n = convolution()
    return n.model(n.conv(n.x, 2))


IMAGES = np.zeros((4, 3, 6, 6), np.float32)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((4, 3, 6, 5), np.float32), r"\(4, 3, 6, 5\).*\(N, 3, 6, 6\)"),
        (np.zeros((3, 6, 6), np.float32), "shape"),
        (np.zeros((0, 3, 6, 6), np.float32), "no images"),
        (np.full((4, 3, 6, 6), np.nan, np.float32), "image 0 holds NaN"),
        (np.concatenate([IMAGES, np.full((1, 3, 6, 6), np.inf)]), "image 4 holds NaN or inf"),
        (np.zeros((4, 3, 6, 6), bool), "bool"),
        (np.zeros((4, 3, 6, 6), complex), "complex"),
        (np.full((4, 3, 6, 6), 1e300), "too large"),
    ],
)
def test_calibration_data_that_do_not_fit(quantized, x, words):
    with pytest.raises(InputArrayError, match=words):
        quantized(small(), x)


def test_any_numbers_will_do(quantized):
    for kind in (np.uint8, np.int64, np.float16, np.float64):
        assert quantized(small(), np.ones((3, 3, 6, 6), kind)).model.graph.node


def node(kind: str, *, domain: str = "", outputs: int = 1, **attributes) -> onnx.ModelProto:
    """A convolution, then a node of this kind."""
    n = convolution()
    x = n.conv(n.x, 2)
    names = ["z", *(f"z{i}" for i in range(1, outputs))]
    n.nodes.append(helper.make_node(kind, [x], names, name="odd", domain=domain, **attributes))
    n.shape["z"] = (2, 6, 6)
    model = n.model("z")
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    return model


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (node("LSTM", hidden_size=3), r"odd \(LSTM\): LSTM is not supported\nwhy: it carries state"),
        (node("GRU", hidden_size=3), r"odd \(GRU\): GRU is not"),
        (node("Attention"), r"odd \(Attention\): Attention is not supported\nwhy: it multiplies"),
        (node("RandomUniformLike"), r"odd \(RandomUniformLike\).*\n.*drawn anew.*\n.*evaluation mode"),
        (node("LayerNormalization"), r"odd \(LayerNormalization\).*\n.*statistics"),
        (node("Frob", domain="com.example"), r"odd \(Frob\).*'com.example'"),
        (
            node(
                "If",
                then_branch=helper.make_graph([], "a", [], []),
                else_branch=helper.make_graph([], "b", [], []),
            ),
            r"odd \(If\): If is not supported\nwhy: what it computes depends on values",
        ),
    ],
)
def test_nodes_without_a_place(quantized, model, words):
    with pytest.raises(UnsupportedNodeError, match=words) as raised:
        quantized(model, IMAGES)
    assert raised.value.why or raised.value.todo


@pytest.mark.parametrize("kind", ["Quant", "BipolarQuant", "QuantizeLinear", "QLinearConv", "ConvInteger"])
def test_quantized_already(quantized, kind):
    with pytest.raises(ModelError, match=r"odd \(\w+\): the model is quantized already"):
        quantized(node(kind), IMAGES)


def test_what_was_written_is_not_quantized_again(quantized, images):
    once = quantized(small(), IMAGES + 1)
    with pytest.raises(ModelError, match="quantized already"):
        quantized(once.model, IMAGES)


def test_an_input_of_open_size(quantized):
    model = small()
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "H"
    with pytest.raises(ModelError, match=r"\['N', 3, 'H', 6\]"):
        quantized(model, IMAGES)


def test_an_input_without_a_batch(quantized):
    model = small()
    model.graph.input.append(helper.make_tensor_value_info("u", TensorProto.FLOAT, [1]))
    model.graph.node.append(helper.make_node("Add", [model.graph.output[0].name, "u"], ["z"]))
    model.graph.output[0].name = "z"
    with pytest.raises(ModelError, match=r"'u' has the shape \[1\]\n.*batch"):
        quantized(model, IMAGES)


def test_external_data_outside_the_folder(quantized, tmp_path):
    model = small()
    (tmp_path.parent / "secret").write_bytes(b"\0" * 1000)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")
    with pytest.raises(ModelError, match="outside the folder"):
        quantized(model, IMAGES)


def test_values_that_overflow_in_the_network(quantized):
    n = convolution()
    x = n.node("Exp", n.conv(n.x, 2), shape=(2, 6, 6))
    with pytest.raises(ModelError, match="NaN or infinite on the calibration data"):
        quantized(n.model(n.conv(x, 2)), IMAGES + 1e4)


@pytest.mark.parametrize("text", ["int1", "int9", "float8", "", "uint16", "int", "8"])
def test_formats_that_do_not_exist(text):
    with pytest.raises(PulsefoldError, match="no number format"):
        Format.parse(text, "--weights", few=True)


def test_activations_of_one_bit_need_training():
    with pytest.raises(PulsefoldError, match="training"):
        Format.parse("binary", "--activations", few=False)


@pytest.mark.parametrize(("option", "value"), [("method", "guess"), ("format", "tflite"), ("rounding", "up")])
def test_options_that_do_not_exist(option, value):
    with pytest.raises(PulsefoldError, match=f"--{option}.*{value}"):
        Recipe(**{option: value})


def test_qdq_has_no_three_bits():
    with pytest.raises(PulsefoldError, match=r"--format.*ternary"):
        Recipe(weights=Format.parse("ternary", "--weights", few=True), format="qdq")


def behind(kind: str, *inputs: str, outputs: int = 1, **attributes) -> onnx.ModelProto:
    """Three convolutions, the middle one with a node of this kind behind it."""
    n = convolution()
    x = n.conv(n.x, 2)
    names = ["z", *(f"z{i}" for i in range(1, outputs))]
    scales = [n.const([1, 1, 1.3, 1.3]) if name == "scales" else name for name in inputs]
    n.nodes.append(helper.make_node(kind, [x, *scales], names, name="odd", **attributes))
    n.shape["z"] = (2, 6, 6)
    if outputs > 1:
        n.nodes.append(helper.make_node("Cast", [names[1]], ["places"], to=TensorProto.FLOAT))
        n.shape["places"] = (2, 6, 6)
        return n.model(n.conv("z", 2), n.conv("places", 2))
    return n.model(n.conv("z", 2))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (behind("Sin"), r"odd \(Sin\): there is no rule for Sin"),
        (behind("Resize", "", "scales", mode="cubic"), r"odd \(Resize\): it resizes with cubic"),
        (behind("Resize", "", "scales", mode="linear"), r"odd \(Resize\).*\n.*give the sizes"),
        (behind("Resize", "", "scales", mode="linear", antialias=1), r"odd \(Resize\).*antialias"),
        (behind("MaxPool", outputs=2, kernel_shape=[1, 1]), r"odd \(MaxPool\): the places of its maxima"),
        (behind("MaxPool", kernel_shape=[1, 1, 1]), r"odd \(MaxPool\).*3 spatial axes"),
    ],
)
def test_what_no_circuit_follows_from_is_refused_before_calibration(quantized, model, words):
    """The images are no numbers at all: nobody has looked at them yet."""
    with pytest.raises(UnsupportedNodeError, match=words) as raised:
        quantized(model, np.full((2, 3, 6, 6), np.nan, np.float32))
    assert raised.value.todo
