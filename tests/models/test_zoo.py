"""The builders make models that are valid, run, and keep their activations in range."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

import zoo


@pytest.mark.parametrize("name", zoo.SMALL)
def test_builder(name):
    model = zoo.SMALL[name]()
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
