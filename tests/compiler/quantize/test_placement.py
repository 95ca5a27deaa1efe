"""Where quantizers go, pattern by pattern."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import zoo
from pulsefold.compiler.quantize.placement import place
from pulsefold.compiler.quantize.simplify import simplify
from pulsefold.errors import UnsupportedNodeError


@pytest.fixture
def placed(read) -> Callable[..., list[list[str]]]:
    """Groups of quantized values, each as the operator that makes it; the input is ``x``."""

    def run(net: zoo.Net, *outputs: str) -> list[list[str]]:
        graph = read(net.model(*outputs))
        simplify(graph)
        makers = graph.makers()
        return [[makers[v].op if v in makers else v for v in group] for group in place(graph).groups]

    return run


def net(*shape: int) -> zoo.Net:
    return zoo.Net(shape or (4, 8, 8), seed=2)


def test_behind_a_clamp_and_not_at_the_end(placed):
    n = net()
    x = n.conv(n.act(n.conv(n.x, 6)), 6)
    assert placed(n, n.conv(n.act(x, "Relu6"), 3)) == [["x"], ["Relu"], ["Clip"]]


def test_nothing_in_front_of_a_layer_without_activation(placed):
    n = net()
    assert placed(n, n.conv(n.conv(n.x, 6, 1), 6, groups=6)) == [["x"], ["Conv"]]


def test_a_clamp_at_the_end_is_quantized(placed):
    n = net()
    assert placed(n, n.act(n.conv(n.x, 6))) == [["x"], ["Relu"]]


def test_what_a_maximum_compares_shares_a_scale_with_it(placed):
    n = net()
    x = n.binary("Max", n.conv(n.x, 6), n.conv(n.x, 6))
    assert placed(n, n.conv(x, 3)) == [["x"], ["Conv", "Conv", "Max"]]


def test_a_chain_of_functions_is_one(placed):
    """Nothing is quantized within; what several read ends a chain."""
    n = net()
    shape = (6, 6, 6)
    x = n.node("Abs", n.conv(n.x, 6, pad=0), shape=shape)
    x = n.node("Add", x, n.const(0.1), shape=shape)
    x = n.node("Sqrt", x, shape=shape)
    assert placed(n, n.conv(x, 3)) == [["x"], ["Conv"], ["Sqrt"]]
    n = net()
    x = n.node("Exp", n.node("Neg", n.conv(n.x, 6, pad=0), shape=shape), shape=shape)
    x = n.node("Add", n.const(1.0), x, shape=shape)
    x = n.node("Div", n.const(1.0), x, shape=shape)
    assert placed(n, n.conv(x, 3)) == [["x"], ["Conv"], ["Div"]]
    n = net()
    x = n.act(n.conv(n.x, 6, pad=0), "Tanh")
    y = n.node("Abs", x, shape=shape)
    assert placed(n, n.conv(x, 3), n.conv(y, 3)) == [["x"], ["Conv"], ["Tanh"], ["Abs"]]


def test_maxima_and_movements_pass_levels_on(placed):
    n = net()
    x = n.upsample(n.pool(n.act(n.conv(n.x, 6))))
    x = n.reshape(n.permute(x, 2, 3, 1), 384)
    assert placed(n, n.gemm(x, 5)) == [["x"], ["Relu"]]


def test_averages_are_quantized_in_front_and_behind(placed):
    n = net()
    x = n.pool(n.act(n.conv(n.x, 6)), kind="Average")
    x = n.upsample(x, 2, "linear")
    assert placed(n, n.classifier(x, 5)) == [
        ["x"],
        ["Relu"],
        ["AveragePool"],
        ["Resize"],
        ["GlobalAveragePool"],
    ]


@pytest.mark.parametrize("kind", ["LeakyRelu", "PRelu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Elu"])
def test_functions_are_quantized_in_front_and_behind(placed, kind):
    n = net()
    assert placed(n, n.conv(n.act(n.conv(n.x, 6), kind), 6)) == [["x"], ["Conv"], [kind]]


@pytest.mark.parametrize(("kind", "last"), [("SiLU", "Mul"), ("GELU", "Mul")])
def test_nothing_inside_a_function_of_several_nodes(placed, kind, last):
    n = net()
    assert placed(n, n.conv(n.act(n.conv(n.x, 6), kind), 6)) == [["x"], ["Conv"], [last]]


def test_hard_swish_in_clip(placed):
    n = net()
    x = n.conv(n.x, 6)
    shape = n.shape[x]
    y = n.node("Add", x, n.const(3.0), shape=shape)
    y = n.node("Clip", y, n.const(0.0), n.const(6.0), shape=shape)
    y = n.node("Div", n.node("Mul", x, y, shape=shape), n.const(6.0), shape=shape)
    assert placed(n, n.conv(y, 6)) == [["x"], ["Conv"], ["Div"]]


def test_a_function_whose_inside_is_read_elsewhere_is_a_product(placed):
    n = net()
    x = n.conv(n.x, 6)
    gate = n.act(x, "Sigmoid")
    y = n.binary("Mul", x, gate)
    groups = placed(n, n.conv(n.concat(n.conv(gate, 6), y), 3))
    assert ["Sigmoid"] in groups
    assert ["Conv"] in groups


def test_a_sum_is_quantized_behind_its_clamp_and_so_are_its_operands(placed):
    n = net()
    x = n.act(n.conv(n.x, 6))
    y = n.act(n.add(n.bn(n.conv(x, 6)), x))
    assert placed(n, n.conv(y, 3)) == [["x"], ["Relu"], ["Conv"], ["Relu"]]


def test_a_gate_multiplies_two_streams(placed):
    n = net()
    x = n.act(n.conv(n.x, 6))
    gate = n.act(n.conv(n.global_average(x), 6, 1), "HardSigmoid")
    groups = placed(n, n.conv(n.binary("Mul", x, gate), 3))
    assert groups == [["x"], ["Relu"], ["GlobalAveragePool"], ["Conv"], ["HardSigmoid"], ["Mul"]]


def test_concat_shares_the_scale_of_what_it_joins(placed):
    n = net()
    x = n.act(n.conv(n.x, 6))
    a, b = n.pool(n.act(n.conv(x, 4))), n.pool(n.act(n.conv(x, 5)), kind="Average")
    assert placed(n, n.conv(n.concat(a, b), 3)) == [
        ["x"],
        ["Relu"],
        ["Relu", "AveragePool", "Concat"],
        ["Relu"],
    ]


def test_concat_does_not_share_the_scale_of_a_function_or_of_the_input(placed):
    n = net()
    y = n.concat(n.x, n.act(n.conv(n.x, 4), "Sigmoid"), n.act(n.conv(n.x, 4)))
    groups = placed(n, n.conv(y, 3))
    assert groups == [["x"], ["Conv"], ["Sigmoid"], ["Relu", "Concat"]]


def test_scales_of_the_input_come_before_its_quantizer(placed):
    n = net()
    x = n.node("Sub", n.x, n.const(np.linspace(0, 1, 4).reshape(4, 1, 1)), shape=(4, 8, 8))
    x = n.node("Div", x, n.const(np.linspace(1, 2, 4).reshape(4, 1, 1)), shape=(4, 8, 8))
    assert placed(n, n.conv(x, 3)) == [["Div"]]


def test_a_batch_norm_that_cannot_fold_waits_for_the_quantizer_behind(placed):
    n = net()
    x = n.act(n.conv(n.x, 6))
    assert placed(n, n.conv(n.act(n.bn(n.pool(x))), 3)) == [["x"], ["Relu"], ["Relu"]]


def test_local_response_normalization(placed):
    n = net()
    x = n.act(n.conv(n.x, 6))
    x = n.node("LRN", x, shape=n.shape[x], size=3)
    assert placed(n, n.conv(n.pool(x), 3)) == [["x"], ["Relu"], ["LRN"]]


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax", "ArgMax"])
def test_the_host_does_the_tail(placed, kind):
    n = net(12)
    x = n.gemm(n.act(n.gemm(n.x, 8)), 5)
    assert placed(n, n.node(kind, x, shape=(5,), axis=1)) == [["x"], ["Relu"]]


def test_a_softmax_in_the_middle_is_refused(placed):
    """Before any work is done, with the place to cut at: detectors weigh distances like that."""
    n = net(12)
    x = n.gemm(n.x, 8)
    y = n.node("Softmax", x, shape=(8,), axis=1)
    with pytest.raises(UnsupportedNodeError, match=rf"softmax1 \(Softmax\).*middle.*\n.*\n.*cut .* at '{x}'"):
        placed(n, n.gemm(y, 5))
    assert placed(n, n.node("Mul", y, n.const(2.0), shape=(8,))) == [["x"]]


def test_pads_of_zeros_pass_and_others_do_not(placed):
    n = net()
    x = n.act(n.conv(n.x, 6))
    pads = n.const([0, 2, 0, 0, 0, 2, 0, 0], np.int64)
    zeros = n.node("Pad", x, pads, shape=(10, 8, 8))
    ones = n.node("Pad", x, pads, n.const(1.0), shape=(10, 8, 8))
    assert placed(n, n.conv(zeros, 3), n.conv(ones, 3)) == [["x"], ["Relu"], ["Pad"]]


def test_what_keeps_a_logarithm_from_zero_is_part_of_it(placed):
    """A quantizer behind the bound would round it to 0."""
    n = net()
    x = n.pool(n.act(n.conv(n.x, 6)), kind="Average")
    x = n.node("Clip", x, n.const(1e-3), n.const(10.0), shape=n.shape[x])
    x = n.node("Log", x, shape=n.shape[x])
    assert placed(n, n.conv(x, 3)) == [["x"], ["Relu"], ["AveragePool"], ["Log"]]


def test_what_differs_from_position_to_position_joins(placed):
    """It reads levels, as another stream would; one number a channel waits for the next quantizer."""
    n = net()
    x = n.node("Add", n.act(n.conv(n.x, 6)), n.const(np.eye(8)), shape=(6, 8, 8))
    assert placed(n, n.conv(x, 3)) == [["x"], ["Relu"], ["Add"]]
    n = net()
    x = n.node("Add", n.act(n.conv(n.x, 6)), n.const(np.arange(6).reshape(6, 1, 1)), shape=(6, 8, 8))
    assert placed(n, n.conv(x, 3)) == [["x"], ["Add"]]
