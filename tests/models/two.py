"""A network of two inputs and two outputs."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SHAPE = (2, 4, 5)


def two_in_two_out() -> onnx.ModelProto:
    """mix = left + right in 8 bits, and a convolution of it that right's mean per channel is taken from."""
    rng = np.random.default_rng(0)
    constants = {
        "fine": np.float32(0.05),
        "coarse": np.float32(0.11),
        "zero": np.int8(0),
        "weights": rng.integers(-8, 8, (3, 2, 3, 3)).astype(np.int8),
        "step": np.float32(0.02),
    }
    nodes = []

    def node(kind: str, *inputs: str, **attributes) -> str:
        output = f"{kind}{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [output], name=output.lower(), **attributes))
        return output

    def quantized(x: str, scale: str) -> str:
        return node("DequantizeLinear", node("QuantizeLinear", x, scale, "zero"), scale, "zero")

    left, right = quantized("left", "fine"), quantized("right", "coarse")
    mix = quantized(node("Add", left, right), "coarse")
    kernel = node("DequantizeLinear", "weights", "step", "zero")
    maps = quantized(node("Relu", node("Conv", mix, kernel, pads=[1, 1, 1, 1])), "coarse")
    nodes += [helper.make_node("Identity", [x], [y], name=y) for x, y in ((mix, "mix"), (maps, "maps"))]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "two",
        [value(name, TensorProto.FLOAT, ["N", *SHAPE]) for name in ("left", "right")],
        [
            value("mix", TensorProto.FLOAT, ["N", *SHAPE]),
            value("maps", TensorProto.FLOAT, ["N", 3, *SHAPE[1:]]),
        ],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=10)
