"""``network.h``: what a program must know of a network, and the images it is to classify."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from pulsefold.compiler.ir import Graph, Tensor
from pulsefold.compiler.plan.plan import Plan
from pulsefold.compiler.plan.units.base import Stream
from pulsefold.errors import PulsefoldError

__all__ = ["network_header", "ranking"]

#: Steps behind the last integers that keep the largest channel the largest one.
_MONOTONE = {"softmax", "log_softmax", "sigmoid", "tanh", "leaky_relu"}

#: Widest result element that the program unpacks: the bytes of two of them must pass through 32 bits.
_BITS = 24


def network_header(plan: Plan, q: np.ndarray) -> str:
    """The header's text.

    Parameters
    ----------
    plan
        The network, whose result is one frame of 1 x 1 x C: a score a class.
    q
        Integers of the images, [N, H, W, C].

    Raises
    ------
    PulsefoldError
        If the network gives no scores, or they cannot be ranked in 64 bits.
    """
    graph, stream = plan.graph, plan.output
    tensor = _scores(graph)
    scale, offset = ranking(tensor)
    size = -(-stream.width // 8)
    images = ",\n".join("    {" + ", ".join(map(str, _bytes(image, plan.input))) + "}" for image in q)
    return f"""\
/* Written by pulsefold for one network and some images. */
#define PF_IMAGES {len(q)}
#define PF_IMAGE_BYTES {len(_bytes(q[0], plan.input))}
#define PF_RESULT_BEATS {stream.beats}
#define PF_RESULT_BEAT_BYTES {size}
#define PF_RESULT_BYTES {stream.beats * size}
#define PF_RESULT_LANES {stream.lanes}
#define PF_RESULT_BITS {stream.type.bits}
#define PF_RESULT_SIGNED {int(stream.type.signed)}

static const int64_t pf_scale[] = {{{", ".join(f"{v}LL" for v in scale)}}};
static const int64_t pf_offset[] = {{{", ".join(f"{v}LL" for v in offset)}}};
static const uint8_t pf_images[PF_IMAGES][PF_IMAGE_BYTES] = {{
{images}
}};
"""


def _scores(graph: Graph) -> Tensor:
    output = graph.outputs[0]
    tensor = graph.tensors[output.tensor]
    kind = tensor.type
    in_order = output.kind != "values" or np.array_equal(output.index.ravel(), np.arange(output.index.size))
    first = output.kind == "values" or (output.largest and output.k == 1)
    if (
        len(graph.outputs) != 1
        or tensor.shape[:2] != (1, 1)
        or not (in_order and first)
        or any(step.op not in _MONOTONE for step in output.steps)
        or kind.is_bipolar
        or kind.bits > _BITS
    ):
        raise PulsefoldError(
            "the processor's program finds the class of a classifier, and this network is none",
            where=output.name,
            why=f"its result is {tensor.shape} of {kind}, {output.kind}",
            todo="use the network without --riscv, or write another program",
        )
    return tensor


def ranking(tensor: Tensor) -> tuple[list[int], list[int]]:
    """Integers m and b a channel, so that m q + b orders all results as scale q + offset does.

    Exactly: for all channels and all values q of the type, the smallest power of two is taken whose rounded
    multiples keep every pair in order, equal ones equal. Where none does (1 and 1/3 tie at 1 and 3, which no
    power of two shows), the common denominator of all of them is taken, which is exact by itself.

    Raises
    ------
    PulsefoldError
        If neither keeps the results within 60 bits.
    """
    count = tensor.shape[2]
    scales, offsets = (
        list(values) * (count if len(values) == 1 else 1) for values in (tensor.scale, tensor.offset)
    )
    if len(set(zip(scales, offsets, strict=True))) == 1 and scales[0] > 0:
        return [1] * count, [0] * count
    low, high = tensor.type.minimum, tensor.type.maximum
    exact = sorted(
        (s * q + o, channel, q)
        for channel, (s, o) in enumerate(zip(scales, offsets, strict=True))
        for q in range(low, high + 1)
    )
    denominator = math.lcm(*(Fraction(value).denominator for value in (*scales, *offsets)))
    for factor in (*(1 << bits for bits in range(60)), denominator):
        m = [round(Fraction(s) * factor) for s in scales]
        b = [round(Fraction(o) * factor) for o in offsets]
        values = [m[channel] * q + b[channel] for _, channel, q in exact]
        if max(map(abs, values)) < 1 << 60 and all(
            (values[k] < values[k + 1]) if exact[k][0] < exact[k + 1][0] else (values[k] == values[k + 1])
            for k in range(len(values) - 1)
        ):
            return m, b
    raise PulsefoldError(
        "the scores of this network cannot be ranked in 64 bits",
        where="--riscv",
        todo="rank them on the host",
    )


def _bytes(image: np.ndarray, stream: Stream) -> bytes:
    """An image as docs/host-link.md has it."""
    bits, size = stream.type.bits, -(-stream.width // 8)
    mask = (1 << bits) - 1
    encoded = stream.type.encode(image.reshape(stream.beats, stream.lanes)).tolist()
    words = (sum((value & mask) << bits * lane for lane, value in enumerate(beat)) for beat in encoded)
    return b"".join(word.to_bytes(size, "little") for word in words)
