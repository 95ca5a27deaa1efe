"""Files made to harm: refused within seconds and within bounded memory, by name and with a reason."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pulsefold.compiler.frontend import import_model, inspect_model
from pulsefold.errors import ModelError, PulsefoldError

HUGE = 1 << 40
SECONDS = 5
BYTES = 2 << 30


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """A limit of memory above what the process has, and of time."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + BYTES, before[1]))
    start = time.process_time()
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert time.process_time() - start < SECONDS


def refused(path: Path, *words: str) -> str:
    with pytest.raises(ModelError) as caught:
        import_model(path)
    message = caught.value.message
    for word in words:
        assert word in message, message
    with contextlib.suppress(PulsefoldError):
        assert not inspect_model(path).supported
    return message


class Qdq:
    """x -> Q -> DQ, then what a test adds."""

    def __init__(self, *shape: int, dtype: int = TensorProto.FLOAT) -> None:
        self.shape = shape
        self.dtype = dtype
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.last = "x"
        self.opset = 17

    def const(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def add(self, kind: str, *rest: str, **a: Any) -> Qdq:
        output = f"v{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(kind, [self.last, *rest], [output], name=f"n{len(self.nodes)}", **a)
        )
        self.last = output
        return self

    def pair(self, scale: Any = 0.05, zero: Any = 0, kind: Any = np.int8, back: Any = None) -> Qdq:
        self.add("QuantizeLinear", self.const(scale), self.const(zero, kind))
        again = self.const(zero, kind if back is None else back)
        return self.add("DequantizeLinear", self.const(scale), again)

    def weights(self, *shape: int) -> str:
        values = np.random.default_rng(0).integers(-9, 9, shape)
        self.nodes.append(
            helper.make_node(
                "DequantizeLinear",
                [self.const(values, np.int8), self.const(0.1), self.const(0, np.int8)],
                [f"w{len(self.nodes)}"],
                name=f"n{len(self.nodes)}",
            )
        )
        return self.nodes[-1].output[0]

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", self.dtype, ["N", *self.shape])],
            [helper.make_empty_tensor_value_info(self.last)],
            self.constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)

    def save(self, folder: Path) -> Path:
        path = folder / "net.onnx"
        path.write_bytes(self.model().SerializeToString())
        return path


def frame(channels: int = 4, size: int = 6) -> Qdq:
    return Qdq(channels, size, size).pair()


# Sizes.


def test_a_file_beyond_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    with path.open("wb") as file:
        file.truncate(1_200_000_000)
    refused(path, "1200000000 bytes")


def test_external_data_beyond_the_limit(tmp_path: Path) -> None:
    with (tmp_path / "w.bin").open("wb") as file:
        file.truncate(1 << 34)
    model = frame().pair().model()
    for i in range(40):
        tensor = model.graph.initializer.add(name=f"big{i}", dims=[1 << 27], data_type=1)
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="w.bin")
        tensor.external_data.add(key="length", value=str(1 << 29))
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    refused(path, "external data")


@pytest.mark.parametrize("dims", [[HUGE], [1 << 20, 1 << 20], [-5, 3], [1] * 200])
def test_shapes_of_tensors(tmp_path: Path, dims: list[int]) -> None:
    model = frame().add("Add", "big").model()
    model.graph.initializer.add(name="big", dims=dims, data_type=1, raw_data=b"1234")
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    refused(path, "'big'")


@pytest.mark.parametrize("shape", [(HUGE,), (1 << 13, 1 << 13), (3, 1 << 31), (1,) * 80])
def test_shapes_of_inputs(tmp_path: Path, shape: tuple[int, ...]) -> None:
    refused(Qdq(*shape).pair().save(tmp_path), "'x'")


Grow = Callable[[Qdq], Qdq]
GROWING: dict[str, Grow] = {
    "reshape": lambda n: n.add("Reshape", n.const([1, HUGE], np.int64)),
    "expand": lambda n: n.add("Expand", n.const([1 << 20, 1 << 20, 6, 6], np.int64)),
    "tile": lambda n: n.add("Tile", n.const([1, 1 << 20, 1 << 20, 1], np.int64)),
    "pad": lambda n: n.add("Pad", n.const([0, 0, 1 << 20, 1 << 20, 0, 0, 0, 0], np.int64)),
    "pad conv": lambda n: n.add("Conv", n.weights(2, 4, 1, 1), pads=[1 << 20, 1 << 20, 0, 0]),
    "resize": lambda n: n.add("Resize", "", n.const([1, 1, 1e9, 1e9])),
    "resize sizes": lambda n: n.add("Resize", "", "", n.const([1, 4, HUGE, 6], np.int64)),
    "resize linear": lambda n: n.add("Resize", "", n.const([1, 1, 3e4, 3e4]), mode="linear"),
    "transposed": lambda n: n.add("ConvTranspose", n.weights(4, 2, 2, 2), strides=[1 << 20, 1 << 20]),
    "transposed padding": lambda n: n.add(
        "ConvTranspose", n.weights(4, 2, 2, 2), strides=[1 << 30, 1], output_padding=[(1 << 30) - 1, 0]
    ),
    "transposed shape": lambda n: n.add("ConvTranspose", n.weights(4, 2, 2, 2), output_shape=[HUGE, 5]),
    "gather": lambda n: n.add("Gather", n.const(np.zeros(1 << 21), np.int64), axis=1),
    "dilated": lambda n: n.add("Conv", n.weights(2, 4, 2, 2), dilations=[1 << 40, 1]),
    "kernel": lambda n: n.add("MaxPool", kernel_shape=[1 << 40, 2]),
    "kernel average": lambda n: n.add(
        "AveragePool", kernel_shape=[1 << 34, 1], pads=[1 << 33, 0, (1 << 33), 0]
    ),
    "average pads": lambda n: n.add(
        "AveragePool", kernel_shape=[1 << 20, 1], pads=[(1 << 20) - 1, 0, (1 << 20) - 1, 0]
    ),
    "lrn": lambda n: n.add("LRN", size=(1 << 40) + 1).pair(),
    "split": lambda n: n.add("Split", n.const([HUGE, 4 - HUGE], np.int64), axis=1),
    "space": lambda n: n.add("SpaceToDepth", blocksize=1 << 40),
    "depth": lambda n: n.add("DepthToSpace", blocksize=1 << 40),
    "unsqueeze": lambda n: n.add("Unsqueeze", n.const(np.arange(4, 4000), np.int64)),
    "unsqueeze far": lambda n: n.add("Unsqueeze", n.const([HUGE], np.int64)),
    "top": lambda n: n.add("Flatten").add("TopK", n.const([HUGE], np.int64)),
    "slice step": lambda n: n.add("Slice", *(n.const([v], np.int64) for v in (0, 4, 1, 0))),
    "stride": lambda n: n.add("Conv", n.weights(2, 4, 1, 1), strides=[0, 1]),
    "negative stride": lambda n: n.add("MaxPool", kernel_shape=[2, 2], strides=[-1, 1]),
    "negative pads": lambda n: n.add("Conv", n.weights(2, 4, 1, 1), pads=[-3, -3, -3, -3]),
    "no kernel": lambda n: n.add("MaxPool", kernel_shape=[0, 2]),
    "no group": lambda n: n.add("Conv", n.weights(2, 4, 1, 1), group=0),
    "negative group": lambda n: n.add("Conv", n.weights(2, 4, 1, 1), group=-1),
    "axis": lambda n: n.add("Concat", n.last, axis=HUGE),
    "perm": lambda n: n.add("Transpose", perm=[0, 1, 1, 2]),
    "long perm": lambda n: n.add("Transpose", perm=[0, *range(1, 5000)]),
    "no block": lambda n: n.add("DepthToSpace", blocksize=0),
    "no size": lambda n: n.add("LRN", size=0).pair(),
    "three kernels": lambda n: n.add("MaxPool", kernel_shape=[2, 2, 2]),
    "two strides of three": lambda n: n.add("Conv", n.weights(2, 4, 1, 1), strides=[1, 1, 1]),
    "resize zero": lambda n: n.add("Resize", "", n.const([1, 1, 0, 0])),
    "resize nan": lambda n: n.add("Resize", "", n.const([1, 1, np.nan, 2])),
    "resize few": lambda n: n.add("Resize", "", n.const([1, 1])),
    "mean axes": lambda n: n.add("ReduceMean", axes=[1 << 40]),
}


@pytest.mark.parametrize("name", GROWING)
def test_attributes_out_of_range(tmp_path: Path, name: str) -> None:
    refused(GROWING[name](frame()).pair().save(tmp_path), "what to do")


CONSTANTS: dict[str, Grow] = {
    "constant of shape": lambda n: n.add(
        "Add", _made(n, "ConstantOfShape", n.const([1 << 20, 1 << 20], np.int64))
    ),
    "range": lambda n: n.add("Add", _made(n, "Range", n.const(0.0), n.const(1e15), n.const(1e-3))),
    "range of nothing": lambda n: n.add("Add", _made(n, "Range", n.const(0.0), n.const(1.0), n.const(0.0))),
    "expand": lambda n: n.add("Add", _made(n, "Expand", n.const(1.0), n.const([1 << 21, 1 << 21], np.int64))),
    "reshape": lambda n: n.add(
        "Add", _made(n, "Reshape", n.const(np.ones(4)), n.const([HUGE, -1], np.int64))
    ),
    "sum": lambda n: n.add(
        "Add", _made(n, "Add", n.const(np.ones((1 << 16, 1))), n.const(np.ones((1, 1 << 16))))
    ),
    "gather": lambda n: n.add(
        "Add", _made(n, "Gather", n.const(np.ones((1, 1 << 16))), n.const(np.zeros(1 << 16), np.int64))
    ),
    "pow": lambda n: n.add("Reshape", _made(n, "Pow", n.const([10], np.int64), n.const([18], np.int64))),
    "divide by 0": lambda n: n.add(
        "Reshape", _made(n, "Div", n.const([4], np.int64), n.const([0], np.int64))
    ),
    "strings": lambda n: n.add("Add", _text(n)),
    "a loop": lambda n: n.add("Add", _made(n, "Loop", n.const(1 << 40, np.int64), body=onnx.GraphProto())),
}


def _made(n: Qdq, kind: str, *inputs: str, **a: Any) -> str:
    n.nodes.append(helper.make_node(kind, inputs, [f"k{len(n.nodes)}"], name=f"n{len(n.nodes)}", **a))
    return n.nodes[-1].output[0]


def _text(n: Qdq) -> str:
    n.constants.append(helper.make_tensor("text", TensorProto.STRING, [1], [b"text"]))
    return "text"


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants(tmp_path: Path, name: str) -> None:
    refused(CONSTANTS[name](frame()).pair().save(tmp_path), "what to do")


# Numbers.


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf, 1e-45, [0.1, np.nan, 0.1, 0.1], []])
def test_scales(tmp_path: Path, scale: Any) -> None:
    n = Qdq(4, 6, 6).pair(scale, np.zeros(np.shape(scale)))
    if scale == 1e-45:
        # The least subnormal is a scale like any other.
        import_model(n.save(tmp_path))
    else:
        refused(n.save(tmp_path), "n0 (QuantizeLinear)", "scale")


def test_zero_points_of_different_kinds(tmp_path: Path) -> None:
    refused(Qdq(4, 6, 6).pair(back=np.uint8).save(tmp_path), "n1 (DequantizeLinear)", "int8", "uint8")


def test_more_zero_points_than_scales(tmp_path: Path) -> None:
    refused(Qdq(4, 6, 6).pair(0.5, [1, 2, 3, 4]).save(tmp_path), "zero point")


def test_dequantizing_floats(tmp_path: Path) -> None:
    n = Qdq(4, 6, 6)
    n.add("DequantizeLinear", n.const(0.5), n.const(0, np.int8)).pair()
    refused(n.save(tmp_path), "n0 (DequantizeLinear)")


@pytest.mark.parametrize("kind", [np.float32, np.int64, np.bool_])
def test_zero_points_of_no_quantizer(tmp_path: Path, kind: Any) -> None:
    refused(Qdq(4, 6, 6).pair(0.5, 0, kind).save(tmp_path), "n0 (QuantizeLinear)")


@pytest.mark.parametrize("kind", [TensorProto.STRING, TensorProto.BOOL, TensorProto.COMPLEX64, 999, 0])
def test_kinds_of_inputs(tmp_path: Path, kind: int) -> None:
    refused(Qdq(4, 6, 6, dtype=kind).pair().save(tmp_path), "'x'")


def test_nan_weights(tmp_path: Path) -> None:
    n = frame()
    refused(n.add("Add", n.const([np.nan])).pair().save(tmp_path), "(Add)")


# Structure.


def test_the_same_initializer_twice(tmp_path: Path) -> None:
    model = frame().pair().model()
    model.graph.initializer.append(model.graph.initializer[0])
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    refused(path, "'c0'", "twice")


def test_the_same_input_twice(tmp_path: Path) -> None:
    model = frame().pair().model()
    model.graph.input.append(model.graph.input[0])
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    refused(path, "'x'", "twice")


def test_a_cycle(tmp_path: Path) -> None:
    n = frame()
    n.nodes[-1].input[1] = "late"
    n.nodes.append(helper.make_node("Identity", [n.last], ["late"], name="back"))
    refused(n.pair().save(tmp_path), "cycle")


def test_nesting(tmp_path: Path) -> None:
    """A graph in a node of a graph, deeper than any reader should follow."""

    def field(number: int, payload: bytes) -> bytes:
        size, length = len(payload), b""
        while size >= 128:
            length += bytes([size % 128 + 128])
            size //= 128
        return bytes([number << 3 | 2]) + length + bytes([size]) + payload

    inner = field(1, field(1, b"a"))
    for _ in range(3000):
        # GraphProto.node, NodeProto.attribute, AttributeProto.g
        inner = field(1, field(5, field(6, inner)))
    path = tmp_path / "net.onnx"
    path.write_bytes(b"\x08\x08" + field(7, inner))
    refused(path, "not an ONNX model")


def test_a_hundred_thousand_nodes(tmp_path: Path) -> None:
    n = frame()
    model = n.pair().model()
    model.graph.node.extend([n.nodes[-1]] * 100_000)
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    refused(path, "100004 nodes")


def test_a_long_chain(tmp_path: Path) -> None:
    n = frame()
    for _ in range(5000):
        n.add("Relu")
    assert len(import_model(n.pair().save(tmp_path)).nodes) <= 1


def test_names_do_not_reach_the_terminal(tmp_path: Path) -> None:
    n = frame().add("Nonsense")
    n.nodes[-1].name = "\x1b[2J\x07evil\n\r" + "n" * 100_000
    message = refused(n.pair().save(tmp_path), "evil", "Nonsense")
    assert not {"\x1b", "\x07", "\r"} & set(message)
    assert len(message) < 4000


def test_bytes_that_grow(tmp_path: Path) -> None:
    """Random bytes behind valid beginnings."""
    data = frame().pair().model().SerializeToString()
    rng = np.random.default_rng(3)
    path = tmp_path / "net.onnx"
    for _ in range(150):
        cut = int(rng.integers(1, len(data)))
        path.write_bytes(data[:cut] + rng.bytes(int(rng.integers(1, 200))))
        try:
            import_model(path)
        except PulsefoldError as error:
            assert error.what
