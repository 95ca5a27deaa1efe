"""Strides, dilations and padding of Conv and MaxPool, resolved to explicit numbers."""

from __future__ import annotations

from dataclasses import dataclass

from pulsefold.compiler.frontend.ops.common import Call

__all__ = ["Window", "pair", "window"]

#: No sane network strides, dilates or pads further.
_LIMIT = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Numbers as :class:`pulsefold.compiler.ir.Conv` and ``MaxPool`` take them.

    `extra` is what rounding up added to the bottom and right pads.
    """

    stride: tuple[int, int]
    dilation: tuple[int, int]
    pads: tuple[int, int, int, int]
    extra: tuple[int, int] = (0, 0)


def window(
    call: Call,
    size: tuple[int, int],
    kernel: tuple[int, int],
    *,
    ceil_mode: bool = False,
    axes: int = 2,
) -> Window:
    """The window of a node over a frame of (height, width) `size`; of one axis, the width, where `axes` is 1.

    Rounding the output size up (`ceil_mode`) pads the far side, unless the last window would start
    in padding alone, as in PyTorch and ONNX Runtime.
    """
    declared = call.integers("kernel_shape")
    if declared is not None and tuple(declared) != kernel[2 - axes :]:
        raise call.wrong(f"kernel_shape is {declared}, and its weights are {list(kernel[2 - axes :])}")
    stride = pair(call, "strides", 1, axes)
    dilation = pair(call, "dilations", 1, axes)
    given = call.integers("pads") or [0] * (2 * axes)
    if len(given) != 2 * axes or any(not 0 <= p <= _LIMIT for p in given):
        raise call.refuse(f"pads are {given}", f"use {2 * axes} pads that are not negative")
    if axes == 1:
        given = [0, given[0], 0, given[1]]
    if min(kernel) < 1:
        raise call.wrong(f"its kernel is {list(kernel)}")
    auto = call.node.text("auto_pad", "NOTSET")
    if auto not in ("NOTSET", "", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise call.wrong(f"auto_pad is {auto!r}")
    pads = []
    extra = []
    for axis in range(2):
        n, k, s, d = size[axis], kernel[axis], stride[axis], dilation[axis]
        reach = d * (k - 1) + 1
        before, after = (given[axis], given[axis + 2]) if auto in ("NOTSET", "") else (0, 0)
        declared_after = after
        if auto.startswith("SAME"):
            total = max((-(-n // s) - 1) * s + reach - n, 0)
            before = total // 2 if auto == "SAME_UPPER" else total - total // 2
            after = declared_after = total - before
        elif ceil_mode:
            count = -(-(n + before + after - reach) // s) + 1
            if (count - 1) * s >= n + before:
                count -= 1
            after = max(after, (count - 1) * s + reach - n - before)
        if n + before + after < reach:
            msg = f"its window reaches over {reach} elements, and the padded frame has {n + before + after}"
            raise call.wrong(msg, "check the shapes the model declares")
        pads.append((before, after))
        extra.append(after - declared_after)
    (top, bottom), (left, right) = pads
    return Window(
        stride=stride, dilation=dilation, pads=(top, left, bottom, right), extra=(extra[0], extra[1])
    )


def pair(call: Call, name: str, default: int, axes: int = 2) -> tuple[int, int]:
    """An attribute of one number an axis, as (y, x)."""
    values = call.integers(name) or [default] * axes
    if len(values) != axes or any(not 1 <= v <= _LIMIT for v in values):
        raise call.refuse(f"{name} are {values}", f"use {axes} {name} of at least 1")
    return (default, values[0]) if axes == 1 else (values[0], values[1])
