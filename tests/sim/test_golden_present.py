"""The host's part: what is accepted as an input, and how integers become the model's own output."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from pulsefold.compiler.ir import ElementType, Graph, Input, Output, Tensor, chw_index
from pulsefold.errors import InputArrayError
from pulsefold.sim import golden

INT8 = ElementType.integer(8, signed=True)


def source(shape: tuple[int, ...] = (2, 3, 4), layout: str = "CHW", dtype: str = "float32") -> Input:
    """Rounds down to -2 ... 2."""
    index = np.arange(int(np.prod(shape)), dtype=np.int32).reshape(shape)
    frame = (1, 1, index.size)
    if layout == "CHW":
        frame = (shape[1], shape[2], shape[0])
        index = chw_index(frame)
    elif layout == "HWC":
        frame = (shape[0], shape[1], shape[2])
    return Input(
        tensor="q",
        name="x",
        index=index,
        frame=frame,
        dtype=dtype,
        thresholds=np.array([[-1, 0, 1, 2]], np.float32),
        descending=np.zeros(1, np.bool_),
        first=-2,
    )


def graph(tensor: Tensor, output: Output) -> Graph:
    return Graph(name="g", inputs=(), outputs=(output,), nodes=(), tensors={tensor.name: tensor})


@pytest.mark.parametrize(("layout", "axes"), [("CHW", (0, 2, 3, 1)), ("HWC", (0, 1, 2, 3)), ("C", None)])
def test_layouts(layout: str, axes: tuple[int, ...] | None) -> None:
    x = np.random.default_rng(0).normal(size=(5, 2, 3, 4)).astype(np.float32)
    q = golden.quantize_input(source(layout=layout), x)
    want = np.clip(np.floor(x), -2, 2).astype(np.int64)
    assert np.array_equal(q, want.reshape(5, 1, 1, 24) if axes is None else want.transpose(axes))
    assert q.dtype == np.int64


@pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, np.float16, np.uint8, np.int8, np.int16, np.uint16]
)
def test_types_that_convert_without_loss(dtype: type) -> None:
    x = np.ones((1, 2, 3, 4), dtype)
    assert np.all(golden.quantize_input(source(), x) == 1)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint32, np.bool_, np.complex64, np.object_, "U3"])
def test_types_that_do_not(dtype: type) -> None:
    with pytest.raises(InputArrayError, match="float32"):
        golden.quantize_input(source(), np.ones((1, 2, 3, 4)).astype(dtype))


def test_float64_is_rounded_to_the_models_type_first() -> None:
    x = np.full((1, 2, 3, 4), 1 - 1e-12)
    assert np.all(golden.quantize_input(source(), x) == 1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(value: float) -> None:
    x = np.ones((1, 2, 3, 4), np.float32)
    x[0, 1, 2, 3] = value
    with pytest.raises(InputArrayError, match="NaN or infinity"):
        golden.quantize_input(source(), x)


def test_float64_beyond_float32() -> None:
    q = golden.quantize_input(source(), np.full((1, 2, 3, 4), 1e300))
    assert np.all(q == 2)


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 3, 4, 2), (24,), (), (1, 1, 2, 3, 4)])
def test_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputArrayError, match=r"\[N, 2, 3, 4\] of float32") as caught:
        golden.quantize_input(source(), np.ones(shape, np.float32))
    assert ("x[None]" in caught.value.todo) == (shape == (2, 3, 4))


def test_integer_models_take_integers() -> None:
    inp = source((2,), "C", "int8")
    assert golden.quantize_input(inp, np.array([[1, -5]], np.int8)).ravel().tolist() == [1, -2]
    for dtype in (np.float32, np.float64, np.int16):
        with pytest.raises(InputArrayError, match="int8"):
            golden.quantize_input(inp, np.ones((1, 2), dtype))


def test_bipolar_steps_by_two() -> None:
    inp = Input(
        tensor="q",
        name="x",
        index=np.arange(3, dtype=np.int32),
        frame=(1, 1, 3),
        dtype="float32",
        thresholds=np.array([[0.5]], np.float32),
        descending=np.array([True]),
        first=-1,
    )
    q = golden.quantize_input(inp, np.array([[0.0, 0.5, 1.0]], np.float32))
    assert q.ravel().tolist() == [1, -1, -1]


def test_values_are_rounded_once() -> None:
    """Exact scale * q + offset, to the nearest float32."""
    rng = np.random.default_rng(0)
    scale = tuple(Fraction(int(a), 3**20) for a in rng.integers(-(10**9), 10**9, 3))
    offset = tuple(Fraction(int(a), 7**15) for a in rng.integers(-(10**12), 10**12, 3))
    tensor = Tensor(name="t", shape=(1, 1, 3), type=INT8, scale=scale, offset=offset)
    output = Output(tensor="t", name="y", index=np.arange(3))
    q = rng.integers(-128, 128, (200, 1, 1, 3))
    y = golden.present_output(graph(tensor, output), output, q)
    assert y.dtype == np.float32
    for n, c in np.ndindex(200, 3):
        exact = scale[c] * int(q[n, 0, 0, c]) + offset[c]
        error = abs(Fraction(float(y[n, c])) - exact)
        for other in (np.float32(-np.inf), np.float32(np.inf)):
            assert error <= abs(Fraction(float(np.nextafter(y[n, c], other))) - exact)


def test_a_value_halfway_between_two_floats() -> None:
    """float64 in between would round it twice, to the other neighbour."""
    scale = 1 + Fraction(1, 2**24) + Fraction(1, 2**60)
    tensor = Tensor(name="t", shape=(1, 1, 1), type=INT8, scale=(scale,))
    output = Output(tensor="t", name="y", index=np.zeros(1, np.int32))
    y = golden.present_output(graph(tensor, output), output, np.ones((1, 1, 1, 1), np.int64))
    assert y[0, 0] == np.nextafter(np.float32(1), np.float32(2))


@pytest.mark.parametrize("layout", ["CHW", "HWC"])
def test_output_layouts(layout: str) -> None:
    tensor = Tensor(name="t", shape=(2, 3, 4), type=INT8)
    shape = (4, 2, 3) if layout == "CHW" else (2, 3, 4)
    index = chw_index((2, 3, 4)) if layout == "CHW" else np.arange(24).reshape(shape)
    output = Output(tensor="t", name="y", index=index)
    q = np.arange(48).reshape(2, 2, 3, 4)
    want = q.transpose(0, 3, 1, 2) if layout == "CHW" else q
    assert np.array_equal(golden.present_raw(output, q), want)
    assert np.array_equal(golden.present_output(graph(tensor, output), output, q), want.astype(np.float32))


def test_top_k_compares_exact_values() -> None:
    """Channels whose float values are equal and whose exact ones are not."""
    tiny = Fraction(1, 2**80)
    tensor = Tensor(name="t", shape=(1, 1, 4), type=INT8, offset=(Fraction(1), 1 + tiny, 1 - tiny, 1 + tiny))
    q = np.zeros((1, 1, 1, 4), np.int64)
    for largest, want in ((True, [1, 3, 0, 2]), (False, [2, 0, 1, 3])):
        output = Output(
            tensor="t",
            name="y",
            index=np.arange(4, dtype=np.int32),
            dtype="int64",
            kind="topk_indices",
            k=4,
            largest=largest,
        )
        assert golden.present_output(graph(tensor, output), output, q).tolist() == [want]


@pytest.mark.parametrize("scale", [1, -1, 0])
def test_top_k_with_one_scale(scale: int) -> None:
    tensor = Tensor(name="t", shape=(1, 1, 3), type=INT8, scale=(Fraction(scale),))
    q = np.array([5, 9, 5]).reshape(1, 1, 1, 3)
    output = Output(tensor="t", name="y", index=np.arange(2), dtype="float32", kind="topk_values", k=2)
    want = {1: [9.0, 5.0], -1: [-5.0, -5.0], 0: [0.0, 0.0]}[scale]
    assert golden.present_output(graph(tensor, output), output, q).tolist() == [want]
    assert golden.present_raw(output, q).tolist() == [[5, 9, 5]]
