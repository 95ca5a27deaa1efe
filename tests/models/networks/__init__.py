"""Random quantized networks, valid ONNX of every style that the importer reads.

::

    from networks import random_model
    model = random_model(7, style="qdq")

Weights are random; scales fit the ranges that the network reaches, so that a good share of all levels occurs.
"""

from __future__ import annotations

import numpy as np
import onnx

from networks.draw import BLOCKS, draw
from networks.qdq import qdq
from networks.qonnx import qonnx
from networks.qoperator import qoperator

__all__ = ["FEATURES", "STYLES", "random_model"]

#: What a network may have: blocks, and traits of the whole.
FEATURES = frozenset(
    {
        *BLOCKS,
        "ceil",  # pools that round their size up
        "channels_last",  # inputs (N, H, W, C)
        "constants",  # Constant nodes in place of initializers
        "fused",  # activations other than Relu and Clip between a product and its quantizer
        "gap",  # heads with a global average
        "inputs",  # two of them
        "int4",
        "integer_input",
        "integer_output",
        "linear",  # Resize
        "outputs",  # two of them
        "softmax",
        "sub",
        "weight_zero",  # weights with a zero point
    }
)

#: Least version of the default operator set that has what a style needs.
STYLES = {"qdq": 10, "qoperator": 10, "qonnx": 7}

_NEWEST = 22


def random_model(
    seed: int,
    *,
    style: str = "qdq",
    features: frozenset[str] = FEATURES,
    size: int = 10,
    layers: int | None = None,
    opset: int | None = None,
    dyadic: bool = False,
    batch: int | str = "N",
) -> onnx.ModelProto:
    """A network; the same one for the same arguments.

    Parameters
    ----------
    seed
        Of every choice.
    style
        ``"qdq"``, ``"qoperator"`` or ``"qonnx"``.
    features
        Which of `FEATURES` it may have.
    size
        Largest height and width of the input.
    layers
        Number of blocks; drawn from 1 to 5 where None.
    opset
        Of the default operators; drawn where None.
    dyadic
        Scales are powers of two and only operations with short binary fractions occur, so that float32
        computes every value exactly: any two correct engines agree on every integer.
    batch
        Size or name of the batch axis.
    """
    rng = np.random.default_rng([seed, *style.encode()])
    if dyadic:
        features -= {"avgpool", "gap", "gate", "activation", "lrn", "norm", "fused", "linear", "softmax"}
    opset = int(rng.integers(STYLES[style], _NEWEST + 1)) if opset is None else opset
    layers = int(rng.integers(1, 6)) if layers is None else layers
    sketch = draw(rng, _possible(features, opset), size=size, layers=layers)
    lowerings = {"qdq": qdq, "qoperator": qoperator, "qonnx": qonnx}
    return lowerings[style](sketch, rng, features, opset=opset, dyadic=dyadic, batch=batch)


def _possible(features: frozenset[str], opset: int) -> frozenset[str]:
    """Without what the operator set does not have yet."""
    return features - ({"depth"} if opset < 11 else set()) - ({"ceil"} if opset < 10 else set())
