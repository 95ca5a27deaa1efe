"""Calibration of networks with several inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import zoo
from pulsefold.compiler.frontend import import_model
from pulsefold.errors import InputArrayError, ModelError
from pulsefold.sim.reference import compare
from pulsefold.sim.runtime import compare_runtime

RNG = np.random.default_rng(3)

#: An image of pixels and a vector, as `zoo.fused` takes them.
DATA = {
    "x": RNG.integers(0, 256, (20, 3, 6, 6)).astype(np.float32),
    "speed": RNG.normal(0, 2, (20, 5)).astype(np.float32),
}


def fused(batch: int | str = "N") -> onnx.ModelProto:
    return zoo.fused(size=6, width=4, features=5, batch=batch)


def run(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[Any]:
    return list(onnxruntime.InferenceSession(model.SerializeToString()).run(None, feeds))


@pytest.mark.parametrize("batch", ["N", 1, 8])
def test_every_integer(quantized, tmp_path, batch):
    """Golden against ONNX Runtime and the exact reference; a batch of eight does not divide the images."""
    made = quantized(fused(batch), DATA)
    onnx.save(made.model, tmp_path / "q.onnx")
    graph = import_model(tmp_path / "q.onnx")
    few = {name: array[:8] for name, array in DATA.items()}
    for held in (compare_runtime, compare):
        report = held(tmp_path / "q.onnx", graph, few)
        assert report.ok, report.first
        assert sum(c.elements for c in report.comparisons) > 1000


def test_it_is_near_the_float_model(quantized):
    pairs = RNG.normal(size=(2, 16, 2, 6, 6)).astype(np.float32)
    for model, data in (
        (fused(), DATA),
        (zoo.siamese(size=6, width=4), dict(zip("xz", pairs, strict=True))),
    ):
        for want, got in zip(run(model, data), run(quantized(model, data).model, data), strict=True):
            assert np.std(want - got) < 0.05 * np.std(want)


def test_each_input_has_the_range_of_its_own_data(quantized):
    """Pixels keep the step one; the vector's range follows its values."""
    scales = quantized(fused(), DATA).activations
    assert (scales["x"].scale, scales["x"].signed) == (1, False)
    assert np.abs(DATA["speed"]).max() / 127 * 0.4 < scales["speed"].scale < 0.1
    assert scales["speed"].signed
    wide = quantized(fused(), {**DATA, "speed": DATA["speed"] * 64}).activations
    assert wide["speed"].scale == scales["speed"].scale * 64
    assert wide["x"] == scales["x"]


@pytest.mark.parametrize("batch", ["N", 8])
def test_images_of_all_inputs_are_run_together(quantized, batch):
    """The range of a difference is that of the pairs: here all differences are tiny."""
    net = zoo.Net((4, 3, 3), batch=batch)
    apart = net.act(net.binary("Sub", net.x, net.input("z", 4, 3, 3)))
    a = RNG.normal(size=(300, 4, 3, 3)).astype(np.float32)
    made = quantized(net.model(net.conv(apart, 2)), {"z": a - np.float32(0.01), "x": a})
    assert 0.009 < 255 * float(made.activations[apart].scale) < 0.011


def test_integers_and_floats_together(quantized):
    """An input of uint8 beside one of floats; arrays of another element type are converted."""
    model = zoo.siamese(size=6, width=4)
    model.graph.input[1].type.tensor_type.elem_type = TensorProto.UINT8
    model.graph.node.insert(0, helper.make_node("Cast", ["z"], ["zf"], to=TensorProto.FLOAT))
    for node in list(model.graph.node)[1:]:
        node.input[:] = ["zf" if name == "z" else name for name in node.input]
    x = RNG.normal(0, 60, (9, 2, 6, 6))
    z = RNG.integers(0, 256, (9, 2, 6, 6))
    made = quantized(model, {"x": x, "z": z}, bias_correction=True, rounding="hessian")
    assert [v.type.tensor_type.elem_type for v in made.model.graph.input] == [
        TensorProto.FLOAT,
        TensorProto.UINT8,
    ]
    feeds = {"x": x.astype(np.float32), "z": z.astype(np.uint8)}
    assert np.abs(run(model, feeds)[0] - run(made.model, feeds)[0]).max() < 0.1


@pytest.mark.parametrize("turned", [False, True])
def test_bytes_that_become_floats(quantized, tmp_path, turned):
    """Images of uint8, channels last or first: they keep the step one, whatever of the range occurs."""
    model = zoo.nin(size=8, width=2)
    declared = model.graph.input[0]
    declared.type.tensor_type.elem_type = TensorProto.UINT8
    shape = [8, 8, 3] if turned else [3, 8, 8]
    for dim, size in zip(declared.type.tensor_type.shape.dim[1:], shape, strict=True):
        dim.dim_value = size
    turn = helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2] if turned else [0, 1, 2, 3])
    nodes = [turn, helper.make_node("Cast", ["t"], ["xf"], to=TensorProto.FLOAT)]
    for node in model.graph.node:
        node.input[:] = ["xf" if name == "x" else name for name in node.input]
    nodes += model.graph.node
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    x = RNG.integers(0, 200, (6, *shape)).astype(np.uint8)
    made = quantized(model, x)
    assert (made.activations["xf"].scale, made.activations["xf"].signed) == (1, False)
    onnx.save(made.model, tmp_path / "q.onnx")
    report = compare_runtime(tmp_path / "q.onnx", import_model(tmp_path / "q.onnx"), x)
    assert report.ok, report.first


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (DATA["x"], "one array, and the model has the inputs x, speed"),
        ({"x": DATA["x"]}, "no array for the input 'speed'"),
        ({**DATA, "size": DATA["x"]}, r"no input 'size'\n.*inputs are: x, speed"),
        ({**DATA, "speed": DATA["speed"][:7]}, "differ: 20 of x, 7 of speed"),
        ({**DATA, "speed": DATA["speed"][:, :4]}, r"of 'speed': its shape is \(20, 4\).* is \(N, 5\)"),
        ({**DATA, "speed": DATA["speed"] + np.inf}, "of 'speed': image 0 holds NaN or inf"),
        ({**DATA, "x": DATA["x"][:0], "speed": DATA["speed"][:0]}, "of 'x': it holds no images"),
        ({}, "no array for the input 'x'"),
    ],
)
def test_data_that_do_not_fit(quantized, data, words):
    with pytest.raises(InputArrayError, match=words) as raised:
        quantized(fused(), data)
    assert raised.value.todo


def test_one_input_may_be_named(quantized):
    model = zoo.nin(size=8, width=2)
    x = RNG.normal(size=(4, 3, 8, 8)).astype(np.float32)
    one, other = (quantized(model, given).model.SerializeToString() for given in (x, {"x": x}))
    assert one == other
    with pytest.raises(InputArrayError, match=r"no input 'y'\n.*: x"):
        quantized(model, {"y": x})


def test_batches_of_different_sizes(quantized):
    model = fused(8)
    model.graph.input[1].type.tensor_type.shape.dim[0].dim_value = 1
    with pytest.raises(ModelError, match="different batches: 8 of x, 1 of speed"):
        quantized(model, DATA)
