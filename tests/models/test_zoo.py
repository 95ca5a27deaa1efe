"""The builders make models that are valid, run, and keep their activations in range."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

import zoo

SMALL = {
    "vgg": lambda: zoo.vgg(size=32, width=4, hidden=16, classes=10),
    "nin": lambda: zoo.nin(size=16, width=8),
    "resnet18": lambda: zoo.resnet(18, size=32, width=4, classes=10),
    "resnet152": lambda: zoo.resnet(152, size=32, width=2, classes=10),
    "xception": lambda: zoo.xception(size=35, width=2, middle=2, classes=10),
    "mobilenet1": lambda: zoo.mobilenet(1, size=32, width=4, classes=10),
    "mobilenet2": lambda: zoo.mobilenet(2, size=32, width=4, classes=10),
    "mobilenet3": lambda: zoo.mobilenet(3, size=32, width=4, classes=10),
    "densenet": lambda: zoo.densenet(size=16, growth=4, layers=2),
    "shufflenet": lambda: zoo.shufflenet(size=16, width=8),
    "unet": lambda: zoo.unet(size=32, width=4, depth=2),
    "unet_resize": lambda: zoo.unet(size=32, width=4, depth=2, transposed=False),
    "fcn": lambda: zoo.fcn(size=32, width=4, classes=5),
    "segnet": lambda: zoo.segnet(size=16, width=4, depth=2),
    "yolo": lambda: zoo.yolo(size=64, width=2, classes=3),
    "yolo_silu": lambda: zoo.yolo(size=64, width=2, classes=3, act="SiLU"),
    "ssd": lambda: zoo.ssd(size=64, width=4, classes=3),
}


@pytest.mark.parametrize("name", SMALL)
def test_builder(name):
    model = SMALL[name]()
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    shape = [2, *(d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim[1:])]
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    declared = [[d.dim_value for d in v.type.tensor_type.shape.dim[1:]] for v in model.graph.output]
    results = [np.asarray(y) for y in session.run(None, {"x": x})]
    assert [list(y.shape[1:]) for y in results] == declared
    for y in results:
        assert np.isfinite(y).all()
        assert 1e-3 < np.abs(y).max() < 1e4
        # Two images that give the same answer would test nothing.
        assert np.abs(y[0] - y[1]).max() > 1e-4


def test_the_same_seed_gives_the_same_model():
    assert zoo.nin(seed=3).SerializeToString() == zoo.nin(seed=3).SerializeToString()
    assert zoo.nin(seed=3).SerializeToString() != zoo.nin(seed=4).SerializeToString()
