"""What is not supported is refused by name, quickly, with what to do; never with a traceback."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pulsefold.compiler.frontend import import_model, inspect_model
from pulsefold.errors import ModelError, PulsefoldError, UnsupportedNodeError

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(2, 3, 3, 3))


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    start = time.process_time()
    yield
    assert time.process_time() - start < 5


def refused(path: Path, kind: type[PulsefoldError], *words: str) -> PulsefoldError:
    with pytest.raises(kind) as caught:
        import_model(path)
    message = caught.value.message
    for word in words:
        assert word in message, message
    assert caught.value.todo, message
    try:
        inspection = inspect_model(path)
    except ModelError as error:
        assert error.message == message
    else:
        assert not inspection.supported
        assert inspection.advice == message
    return caught.value


def quantized(net: Any) -> Any:
    return net.quant(0.5, bits=4)


def conv(net: Any, **attributes: Any) -> Any:
    return net.conv(net.weights(KERNEL, scale=0.5, bits=3), **attributes)


# Files.


def test_no_such_file(tmp_path: Path) -> None:
    refused(tmp_path / "none.onnx", ModelError, "no such file")
    refused(tmp_path, ModelError, "not a file")


@pytest.mark.parametrize(
    "content", [b"", b"hello\n", b"\x00" * 100, b"\x89PNG\r\n\x1a\n" + bytes(range(256))]
)
def test_not_an_onnx_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    refused(path, ModelError, "not an ONNX model")


def test_cut_short(tmp_path: Path, net: Callable[..., Any]) -> None:
    model = conv(quantized(net("N", 3, 6, 6))).model()
    data = model.SerializeToString()
    path = tmp_path / "x.onnx"
    # Behind the graph comes the opset import, which models may forget.
    for part in range(1, model.graph.ByteSize(), 7):
        path.write_bytes(data[:part])
        with pytest.raises(ModelError):
            import_model(path)


def test_damaged_anywhere(tmp_path: Path, net: Callable[..., Any]) -> None:
    """A changed byte gives a model, or a message."""
    n = conv(quantized(net("N", 3, 6, 6)))
    n.add("Relu").quant(0.25, bits=3).add("Flatten").add(
        "MatMul", n.weights(RNG.normal(size=(32, 3)), bits=2)
    )
    data = n.model().SerializeToString()
    path = tmp_path / "x.onnx"
    rng = np.random.default_rng(1)
    for _ in range(400):
        changed = bytearray(data)
        changed[rng.integers(len(data))] = rng.integers(256)
        path.write_bytes(changed)
        try:
            import_model(path)
        except PulsefoldError as error:
            assert error.what


def test_file_too_large(tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    with path.open("wb") as file:
        file.truncate((1 << 30) + 1)
    refused(path, ModelError, "1 GiB")


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname", "", "link.bin"])
def test_external_data_outside_the_folder(tmp_path: Path, net: Callable[..., Any], location: str) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(4 * KERNEL.size))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    refused(external(net, folder, location), ModelError, "outside the folder")


def test_external_data(tmp_path: Path, net: Callable[..., Any]) -> None:
    path = external(net, tmp_path, "w.bin")
    refused(path, ModelError, "does not exist")
    (tmp_path / "w.bin").write_bytes(b"1234")
    refused(path, ModelError, "bytes 0 to")
    (tmp_path / "w.bin").write_bytes(KERNEL.astype(np.float32).tobytes())
    assert len(import_model(path).nodes) == 1


def external(net: Callable[..., Any], folder: Path, location: str) -> Path:
    model = conv(quantized(net("N", 3, 6, 6))).model()
    tensor = next(t for t in model.graph.initializer if list(t.dims) == list(KERNEL.shape))
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("length", str(4 * KERNEL.size))):
        tensor.external_data.add(key=key, value=value)
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_huge_dimensions(tmp_path: Path, net: Callable[..., Any]) -> None:
    refused(quantized(net("N", 3, 1 << 20, 1 << 20)).save(tmp_path), ModelError, "declares the shape")
    n = net("N", 3, 6, 6)
    n.quant(0.5)
    n.initializers.append(TensorProto(name="w", dims=[1 << 30, 1 << 30], data_type=1))
    refused(n.conv("w").save(tmp_path), ModelError, "tensor 'w'")
    n = quantized(net("N", 3, 6, 6))
    shape = n.const([1 << 20, 1 << 20], np.int64)
    n.nodes.append(helper.make_node("ConstantOfShape", [shape], ["big"], name="fill"))
    refused(n.add("Add", "big").save(tmp_path), ModelError, "fill (ConstantOfShape)")
    n = conv(quantized(net("N", 3, 6, 6)), pads=[60000] * 4)
    refused(n.save(tmp_path), ModelError, "conv2 (Conv)")


def test_cycle(tmp_path: Path, net: Callable[..., Any]) -> None:
    n = quantized(net("N", 4))
    n.nodes.append(helper.make_node("Add", ["v0", "b"], ["a"], name="first"))
    n.nodes.append(helper.make_node("Relu", ["a"], ["b"], name="second"))
    n.last = "b"
    refused(n.save(tmp_path), ModelError, "first (Add)", "cycle")


def test_missing_value(tmp_path: Path, net: Callable[..., Any]) -> None:
    refused(quantized(net("N", 4)).add("Add", "nowhere").save(tmp_path), ModelError, "'nowhere'")


def test_two_writers(tmp_path: Path, net: Callable[..., Any]) -> None:
    n = quantized(net("N", 4))
    n.nodes.append(helper.make_node("Relu", ["v0"], ["v0"], name="again"))
    refused(n.save(tmp_path), ModelError, "again (Relu)", "more than once")


def test_damaged_tensor(tmp_path: Path, net: Callable[..., Any]) -> None:
    n = quantized(net("N", 3, 6, 6))
    n.initializers.append(TensorProto(name="w", dims=[2, 3, 3, 3], data_type=1, raw_data=b"1234"))
    refused(n.conv("w").save(tmp_path), ModelError, "tensor 'w'")


# Whole models.


def test_float_model_says_how_to_quantize(tmp_path: Path, net: Callable[..., Any]) -> None:
    n = net("N", 3, 6, 6)
    n.conv(n.const(KERNEL)).add("Relu")
    refused(n.save(tmp_path), ModelError, "conv0 (Conv)", "not quantized", "pulsefold quantize")


def test_open_spatial_size(tmp_path: Path, net: Callable[..., Any]) -> None:
    refused(quantized(net("N", 3, "H", "W")).save(tmp_path), ModelError, "input 'x'", "open")


def test_two_inputs(tmp_path: Path, net: Callable[..., Any]) -> None:
    n = quantized(net("N", 4))
    n.inputs.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4]))
    refused(n.add("Add", "y").save(tmp_path), UnsupportedNodeError, "(Add)", "not quantized")


def test_string_input(tmp_path: Path, net: Callable[..., Any]) -> None:
    refused(quantized(net("N", 4, dtype=TensorProto.STRING)).save(tmp_path), ModelError, "element type")


# Nodes.


def test_unknown_operator(tmp_path: Path, net: Callable[..., Any]) -> None:
    n = quantized(net("N", 4)).add("Det", name="odd")
    error = refused(n.save(tmp_path), UnsupportedNodeError, "odd (Det)", "replace it")
    assert error.where == "odd (Det)"


def test_unknown_domain(tmp_path: Path, net: Callable[..., Any]) -> None:
    n = quantized(net("N", 4)).add("Relu", domain="my.own", name="mine")
    refused(n.save(tmp_path), UnsupportedNodeError, "mine (Relu)", "my.own")


def test_node_without_a_name(tmp_path: Path, net: Callable[..., Any]) -> None:
    n = quantized(net("N", 4)).add("Det", name="")
    refused(n.save(tmp_path), UnsupportedNodeError, "Det_1 (Det)")


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("kind", ["Quant", "BipolarQuant", "weights"])
def test_bad_scale(tmp_path: Path, net: Callable[..., Any], scale: float, kind: str) -> None:
    n = net("N", 3, 6, 6)
    if kind == "Quant":
        n.quant(scale)
    elif kind == "BipolarQuant":
        n.bipolar(scale)
    else:
        n.quant().conv(n.weights(KERNEL, scale=scale))
    refused(n.save(tmp_path), ModelError, "(BipolarQuant)" if kind == "BipolarQuant" else "(Quant)", "scale")


@pytest.mark.parametrize("bits", [0.0, 2.5, np.nan, 100.0])
def test_bad_bit_width(tmp_path: Path, net: Callable[..., Any], bits: float) -> None:
    refused(net("N", 4).quant(bits=bits).save(tmp_path), ModelError, "quant0 (Quant)", "bit width")


def test_wide_activations(tmp_path: Path, net: Callable[..., Any]) -> None:
    refused(conv(net("N", 3, 6, 6).quant(bits=9)).save(tmp_path), UnsupportedNodeError, "(Quant)", "9-bit")


def test_wide_weights(tmp_path: Path, net: Callable[..., Any]) -> None:
    n = quantized(net("N", 3, 6, 6))
    n.conv(n.weights(KERNEL * 1000, bits=12))
    refused(n.save(tmp_path), UnsupportedNodeError, "(Conv)", "8 bits")


def test_float_weights(tmp_path: Path, net: Callable[..., Any]) -> None:
    n = quantized(net("N", 3, 6, 6))
    refused(
        n.conv(n.const(KERNEL)).save(tmp_path), UnsupportedNodeError, "(Conv)", "weights are not quantized"
    )


def test_no_quantizer_between_products(tmp_path: Path, net: Callable[..., Any]) -> None:
    n = conv(net("N", 3, 9, 9).quant(0.01))
    n.conv(n.weights(RNG.normal(size=(2, 2, 3, 3))), name="second")
    refused(n.save(tmp_path), UnsupportedNodeError, "second (Conv)", "no quantizer")


def test_float_input_of_a_product(tmp_path: Path, net: Callable[..., Any]) -> None:
    refused(conv(net("N", 3, 6, 6)).save(tmp_path), UnsupportedNodeError, "(Conv)", "not quantized")


def test_scale_per_input_channel(tmp_path: Path, net: Callable[..., Any]) -> None:
    n = conv(net("N", 3, 6, 6).quant(np.array([1, 2, 3]).reshape(1, 3, 1, 1)))
    refused(n.save(tmp_path), UnsupportedNodeError, "(Conv)", "scale for each channel")


def test_scales_within_an_output_channel(tmp_path: Path, net: Callable[..., Any]) -> None:
    n = quantized(net("N", 3, 6, 6))
    n.conv(n.weights(KERNEL, scale=np.array([1, 2, 3]).reshape(1, 3, 1, 1)))
    refused(n.save(tmp_path), UnsupportedNodeError, "(Conv)", "within an output channel")


def test_padding_without_a_zero_level(tmp_path: Path, net: Callable[..., Any]) -> None:
    n = conv(net("N", 3, 6, 6).quant(0.5, 0.5, bits=3, signed=False), pads=[1, 1, 1, 1])
    refused(n.save(tmp_path), UnsupportedNodeError, "(Conv)", "zero point")


def test_rounding_mode(tmp_path: Path, net: Callable[..., Any]) -> None:
    refused(net("N", 4).quant(mode="STOCHASTIC").save(tmp_path), UnsupportedNodeError, "STOCHASTIC", "CEIL")


def test_negative_variance(tmp_path: Path, net: Callable[..., Any]) -> None:
    n = quantized(net("N", 4)).bn(np.ones(4), np.zeros(4), np.zeros(4), np.array([1, 1, -1, 1]), name="norm")
    refused(n.save(tmp_path), ModelError, "norm (BatchNormalization)", "channel 2")


def test_nan_bias(tmp_path: Path, net: Callable[..., Any]) -> None:
    n = quantized(net("N", 4))
    refused(n.add("Add", n.const([1, np.nan, 1, 1])).save(tmp_path), ModelError, "(Add)", "NaN")


def test_shapes_that_do_not_fit(tmp_path: Path, net: Callable[..., Any]) -> None:
    n = quantized(net("N", 4, 6, 6))
    refused(conv(n).save(tmp_path), ModelError, "(Conv)", "3 channels")
    n = quantized(net("N", 4))
    refused(
        n.add("MatMul", n.weights(RNG.normal(size=(5, 3)))).save(tmp_path), ModelError, "(MatMul)", "5 inputs"
    )
    n = quantized(net("N", 4))
    refused(n.add("Add", n.const(np.zeros(3))).save(tmp_path), ModelError, "(Add)", "does not fit")


def test_batch_moved(tmp_path: Path, net: Callable[..., Any]) -> None:
    n = quantized(net("N", 4)).add("Transpose", perm=[1, 0])
    refused(n.save(tmp_path), UnsupportedNodeError, "(Transpose)", "batch")
    n = quantized(net("N", 4))
    refused(n.add("Reshape", n.const([4, -1], np.int64)).save(tmp_path), UnsupportedNodeError, "(Reshape)")


def test_pool_between_negative_gains(tmp_path: Path, net: Callable[..., Any]) -> None:
    n = conv(quantized(net("N", 3, 6, 6)))
    n.add("Mul", n.const(-1.0)).add("MaxPool", kernel_shape=[2, 2], name="pool").add("Mul", n.const(-1.0))
    refused(n.quant(bits=3).save(tmp_path), UnsupportedNodeError, "'pool'", "negative gains")


def test_constant_output(tmp_path: Path, net: Callable[..., Any]) -> None:
    n = quantized(net("N", 4))
    n.nodes.append(
        helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(np.ones(3, np.float32)))
    )
    n.outputs = ["v0", "k"]
    refused(n.save(tmp_path), ModelError, "output 'k'")


def test_sparse_initializer(tmp_path: Path, net: Callable[..., Any]) -> None:
    model: onnx.ModelProto = quantized(net("N", 4)).model()
    model.graph.sparse_initializer.add()
    path = tmp_path / "x.onnx"
    path.write_bytes(model.SerializeToString())
    refused(path, ModelError, "sparse")
