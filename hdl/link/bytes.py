"""Bytes between the link and the network."""

from amaranth.lib import data

__all__ = ["TensorByte"]


class TensorByte(data.Struct):
    """A byte of a tensor's stream.

    Attributes
    ----------
    byte
        As it crosses the line.
    tensor
        Index of the input or output tensor.
    last
        On the way to the host, whether it ends the tensor's part of an image.
    """

    byte: 8
    tensor: 4
    last: 1
