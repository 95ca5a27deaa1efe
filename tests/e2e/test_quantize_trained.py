"""Post-training quantization of trained networks, where the shared folder of models and data is there."""

from __future__ import annotations

import gzip
import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from pulsefold.compiler.quantize import Format, Recipe, quantize_model
from pulsefold.errors import ModelError, UnsupportedNodeError

SHARED = Path(__file__).resolve().parents[3] / "shared"

pytestmark = [pytest.mark.models, pytest.mark.slow]


def needs(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"not there: {path}")
    return path


def mnist(part: str) -> np.ndarray:
    with gzip.open(needs(f"data/mnist/{part}-images-idx3-ubyte.gz")) as stream:
        x = np.frombuffer(stream.read(), np.uint8, offset=16)
    return x.reshape(-1, 1, 28, 28).astype(np.float32)


def cifar(part: str) -> tuple[np.ndarray, np.ndarray]:
    from PIL import Image  # noqa: PLC0415

    with np.load(needs(f"data/cifar10-jpeg/cifar10_{part}.npz")) as file:
        ends, data, labels = file["offset"], file["jpeg"], file["label"]
    images = [np.asarray(Image.open(io.BytesIO(data[a:b].tobytes()))) for a, b in pairwise(ends)]
    return np.stack(images), labels


def normalized(images: np.ndarray) -> np.ndarray:
    mean, deviation = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)
    return ((images / np.float32(255) - mean) / deviation).transpose(0, 3, 1, 2).astype(np.float32)


def some(images: np.ndarray) -> np.ndarray:
    return images[np.linspace(0, len(images) - 1, 500).astype(int)]


def data(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Test images, labels, 500 calibration images."""
    if name == "mnist_cnn_float":
        with gzip.open(needs("data/mnist/t10k-labels-idx1-ubyte.gz")) as stream:
            labels = np.frombuffer(stream.read(), np.uint8, offset=8)
        return mnist("t10k"), labels, some(mnist("train"))
    (test, labels), (train, _) = cifar("test_10000"), cifar("train_16000")
    convert = normalized if "resnet20" in name else lambda images: images.astype(np.float32)
    return convert(test), labels, convert(some(train))


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def top1(model: onnx.ModelProto, x: np.ndarray, labels: np.ndarray) -> float:
    loaded = session(model)
    declared = loaded.get_inputs()[0]
    batch = declared.shape[0] if isinstance(declared.shape[0], int) else 100
    answers = [
        np.asarray(loaded.run(None, {declared.name: x[i : i + batch]})[0]).reshape(batch, -1).argmax(axis=1)
        for i in range(0, len(x), batch)
    ]
    return 100 * float((np.concatenate(answers) == labels).mean())


def few(bits: int) -> Format:
    return Format.parse(f"int{bits}", "", few=False)


@pytest.mark.parametrize(
    ("name", "bits", "points"),
    [
        ("mnist_cnn_float", 8, 0.5),
        ("resnet8_float", 8, 0.5),
        ("cifar_resnet20_float", 8, 0.5),
        ("mnist_cnn_float", 4, 0.5),
        ("resnet8_float", 4, 3),
        ("cifar_resnet20_float", 4, 3),
    ],
)
def test_accuracy_on_the_whole_test_set(name, bits, points):
    path = needs(f"models/{name}.onnx")
    x, labels, calibration = data(name)
    recipe = Recipe(weights=few(bits), activations=few(bits))
    made = quantize_model(path, calibration, recipe, lambda line: None)
    assert made.format == "qdq"
    assert top1(made.model, x, labels) >= top1(onnx.load(path), x, labels) - points


#: Float models without labelled data, and what their inputs are like.
OTHERS = {
    "light_alexnet": "normal",
    "light_inception_v1": "normal",
    "light_resnet50": "normal",
    "light_vgg19": "normal",
    "squeezenet_imagenet_fp16": "normal",
    "espcn_nnresize_float": "unit",
    "yunet_n_320_float": "pixels",
    "vww_mobilenetv1_025_96_float": "unit",
    "kws_dscnn_float": "normal",
    "autoencoder1d_float": "normal",
}


def inputs(path: Path, kind: str) -> tuple[str, np.ndarray]:
    model = onnx.load(path)
    weights = {t.name for t in model.graph.initializer}
    declared = next(v for v in model.graph.input if v.name not in weights)
    shape = [4, *(d.dim_value for d in declared.type.tensor_type.shape.dim[1:])]
    random = np.random.default_rng(0)
    x = {
        "normal": lambda: random.normal(size=shape),
        "unit": lambda: random.uniform(size=shape),
        "pixels": lambda: random.integers(0, 256, shape),
    }[kind]()
    return declared.name, x.astype(np.float32)


@pytest.mark.parametrize(("weights", "activations"), [("int8", "int8"), ("int4", "uint4")])
@pytest.mark.parametrize("name", OTHERS)
def test_every_float_model_quantizes_and_runs(name, weights, activations):
    path = needs(f"models/{name}.onnx")
    given, x = inputs(path, OTHERS[name])
    recipe = Recipe(
        weights=Format.parse(weights, "", few=True), activations=Format.parse(activations, "", few=False)
    )
    made = quantize_model(path, x, recipe, lambda line: None)
    onnx.checker.check_model(made.model)
    before = onnxruntime.InferenceSession(path)
    kind = np.float16 if "float16" in before.get_inputs()[0].type else np.float32
    wanted = before.run(None, {given: x[:1].astype(kind)})
    for a, b in zip(wanted, session(made.model).run(None, {given: x[:1]}), strict=True):
        want, got = np.asarray(a, np.float64), np.asarray(b, np.float64)
        assert want.shape == got.shape
        assert np.isfinite(got).all()
        if weights == "int8":
            assert np.square(want - got).sum() <= 0.1 * np.square(want).sum()


def test_a_recurrent_network_is_refused_by_name():
    path = needs("models/dtln_lstm_1_float.onnx")
    with pytest.raises(
        UnsupportedNodeError, match=r"lstm_4 \(LSTM\): LSTM is not supported\nwhy: it carries state"
    ):
        quantize_model(path, np.zeros((1, 1, 257)), Recipe(), lambda line: None)


@pytest.mark.parametrize("name", ["resnet8_int8_qdq", "tfc_w2a2_mnist_qonnx", "cifar10_cnvW1A1"])
def test_a_quantized_network_is_refused(name):
    path = needs(f"models/{name}.onnx")
    with pytest.raises(ModelError, match="quantized already"):
        quantize_model(path, np.zeros((1, 1)), Recipe(), lambda line: None)
