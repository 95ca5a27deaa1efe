"""How many windows of a kernel a frame holds: the one shape rule of convolutions and pools."""

from __future__ import annotations

from pulsefold.errors import ModelError

__all__ = ["windows_of"]


def windows_of(
    shape: tuple[int, ...],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    pads: tuple[int, int, int, int],
    *,
    where: str,
) -> tuple[int, int]:
    """(OH, OW) for a frame (H, W, ...): (n + pads - dilation * (kernel - 1) - 1) // stride + 1.

    Raises
    ------
    ModelError
        If the padded frame is smaller than one window.
    """
    top, left, bottom, right = pads
    size = []
    for n, pad, k, s, d in zip(
        shape[:2], (top + bottom, left + right), kernel, stride, dilation, strict=True
    ):
        size.append((n + pad - d * (k - 1) - 1) // s + 1)
    if min(size) < 1:
        msg = f"a window of {kernel} does not fit a frame of {tuple(shape)}"
        raise ModelError(msg, where=where, todo="check the shapes the model declares")
    return size[0], size[1]
