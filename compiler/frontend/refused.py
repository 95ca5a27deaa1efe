"""Operators that are known and not supported: why, and what to do instead."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["DEFAULT_TODO", "FIXED_SHAPE", "HOST", "REFUSED"]

_STATE = "it carries state from one time step to the next, and a stream of frames here has none"
_UNROLL = "replace it by convolutions over time, or run it on the host behind the network"
_PRODUCT = "it multiplies activations with activations: weights of a product are constants here"
_ATTENTION = "use a network of convolutions, or run the attention on the host"
_CONTROL = "what it computes depends on values, and a circuit computes the same for every frame"
_UNROLLED = "export with fixed sizes, so that the exporter unrolls it; onnxsim removes what is constant"
_DATA = "the size of its result depends on the values"
HOST = "cut the model in front of it and run the rest on the host"
_GAINS = "its gains come from the statistics of each frame"
_NORM = "train with BatchNormalization, whose statistics are constants"

#: What gives the sizes that a model leaves open.
FIXED_SHAPE = (
    "python -m onnxruntime.tools.make_dynamic_shape_fixed --dim_param NAME --dim_value SIZE "
    "MODEL.onnx FIXED.onnx"
)

#: What to do about an operator that nobody thought of.
DEFAULT_TODO = "replace it in the trained model; `pulsefold inspect` lists what is supported"

#: op_type -> (why, what to do).
REFUSED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("GRU", "LSTM", "RNN", "DynamicQuantizeLSTM", "QLinearLSTM"), (_STATE, _UNROLL)),
        **dict.fromkeys(
            (
                "Attention",
                "Einsum",
                "GroupQueryAttention",
                "MultiHeadAttention",
                "QAttention",
                "RotaryEmbedding",
            ),
            (_PRODUCT, _ATTENTION),
        ),
        **dict.fromkeys(("If", "Loop", "Scan", "SequenceMap"), (_CONTROL, _UNROLLED)),
        **dict.fromkeys(("Compress", "NonMaxSuppression", "NonZero", "RoiAlign", "Unique"), (_DATA, HOST)),
        "DynamicQuantizeLinear": (
            "its scale is that of each input's own values, so that no integers are known beforehand",
            "quantize the float model: pulsefold quantize MODEL.onnx --calibration X.npy -o Q.onnx",
        ),
        **dict.fromkeys(
            (
                "GroupNormalization",
                "InstanceNormalization",
                "LayerNormalization",
                "LpNormalization",
                "MeanVarianceNormalization",
                "RMSNormalization",
                "SimplifiedLayerNormalization",
                "SkipLayerNormalization",
            ),
            (_GAINS, _NORM),
        ),
        **dict.fromkeys(
            (
                "Bernoulli",
                "Multinomial",
                "RandomNormal",
                "RandomNormalLike",
                "RandomUniform",
                "RandomUniformLike",
            ),
            ("its values are drawn anew each time", "export in evaluation mode, which leaves dropout out"),
        ),
        "MatMulNBits": (
            "its weights have a scale for each block: products with different scales add up to no integer",
            "quantize the float model with one scale a channel: pulsefold quantize MODEL.onnx --weights int4",
        ),
        "GridSample": ("where it reads depends on values", HOST),
        "Trunc": (
            "its rounding is that of one exporter's internal widths",
            "use Quant with rounding_mode FLOOR",
        ),
    }
)
