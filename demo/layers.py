"""Layers of a binary network in NumPy: forward, backward, and the straight-through estimator.

Frames are [N, H, W, C]. Weights and activations are -1 and +1 in the forward pass; gradients flow to
real-valued latent weights as if the sign were the identity on [-1, 1] (Courbariaux et al.,
"Binarized Neural Networks", 2016).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

__all__ = ["BatchNorm", "BinaryLinear", "Flatten", "Layer", "MaxPool", "Patches", "Sign", "binary"]

Array = np.ndarray


def binary(x: Array) -> Array:
    """+1 where x >= 0, else -1: QONNX's BipolarQuant at scale 1."""
    return np.where(x >= 0, 1.0, -1.0).astype(x.dtype)


class Layer(Protocol):
    """What the training loop asks of a layer."""

    def forward(self, x: Array, *, train: bool) -> Array:
        """Output for `x`; keeps what `backward` needs when `train`."""
        ...

    def backward(self, dy: Array) -> Array:
        """Gradient of the input; accumulates the parameters' gradients in `grads`."""
        ...

    @property
    def params(self) -> dict[str, Array]:
        """Trainable arrays, changed in place by the optimizer."""
        ...

    @property
    def grads(self) -> dict[str, Array]:
        """Gradients of the last `backward`, by the same names."""
        ...


class _Stateless:
    """A layer without parameters."""

    @property
    def params(self) -> dict[str, Array]:
        return {}

    @property
    def grads(self) -> dict[str, Array]:
        return {}


class Patches(_Stateless):
    """im2col: [N, H, W, C] to [N, H-K+1, W-K+1, K*K*C], so that a convolution is a matrix product."""

    def __init__(self, kernel: int) -> None:
        self.kernel = kernel
        self._shape: tuple[int, ...] = ()

    def forward(self, x: Array, *, train: bool) -> Array:
        """See :class:`Layer`."""
        k = self.kernel
        self._shape = x.shape
        windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(1, 2))  # N OH OW C K K
        n, oh, ow = windows.shape[:3]
        return windows.transpose(0, 1, 2, 4, 5, 3).reshape(n, oh, ow, -1)

    def backward(self, dy: Array) -> Array:
        """See :class:`Layer`."""
        k = self.kernel
        n, oh, ow, _ = dy.shape
        parts = dy.reshape(n, oh, ow, k, k, -1)
        dx = np.zeros(self._shape, dy.dtype)
        for ky in range(k):
            for kx in range(k):
                dx[:, ky : ky + oh, kx : kx + ow] += parts[:, :, :, ky, kx]
        return dx


class BinaryLinear:
    """y = x @ sign(latent), over the last axis; latent is [inputs, outputs]."""

    def __init__(self, inputs: int, outputs: int, rng: np.random.Generator) -> None:
        self.latent = rng.uniform(-1, 1, (inputs, outputs)).astype(np.float32) * np.float32(0.3)
        self._grad = np.zeros_like(self.latent)
        self._x = np.zeros((0, inputs), np.float32)

    @property
    def params(self) -> dict[str, Array]:
        """See :class:`Layer`."""
        return {"latent": self.latent}

    @property
    def grads(self) -> dict[str, Array]:
        """See :class:`Layer`."""
        return {"latent": self._grad}

    def forward(self, x: Array, *, train: bool) -> Array:
        """See :class:`Layer`."""
        if train:
            self._x = x
        return x @ binary(self.latent)

    def backward(self, dy: Array) -> Array:
        """See :class:`Layer`."""
        self._grad = self._x.reshape(-1, self._x.shape[-1]).T @ dy.reshape(-1, dy.shape[-1])
        return dy @ binary(self.latent).T


class BatchNorm:
    """y = gain * (x - mean) / sqrt(var + eps) + bias, a channel each; ONNX BatchNormalization-9."""

    eps = 1e-5
    momentum = 0.9

    def __init__(self, channels: int) -> None:
        self.gain = np.ones(channels, np.float32)
        self.bias = np.zeros(channels, np.float32)
        self.mean = np.zeros(channels, np.float32)
        self.var = np.ones(channels, np.float32)
        self._grads = {"gain": np.zeros_like(self.gain), "bias": np.zeros_like(self.bias)}
        self._unit = np.zeros((0, channels), np.float32)
        self._inverse = np.ones(channels, np.float32)

    @property
    def params(self) -> dict[str, Array]:
        """See :class:`Layer`."""
        return {"gain": self.gain, "bias": self.bias}

    @property
    def grads(self) -> dict[str, Array]:
        """See :class:`Layer`."""
        return self._grads

    def forward(self, x: Array, *, train: bool) -> Array:
        """See :class:`Layer`."""
        axes = tuple(range(x.ndim - 1))
        if train:
            mean, var = x.mean(axis=axes), x.var(axis=axes)
            self.mean += np.float32(1 - self.momentum) * (mean - self.mean)
            self.var += np.float32(1 - self.momentum) * (var - self.var)
        else:
            mean, var = self.mean, self.var
        inverse = 1 / np.sqrt(var + np.float32(self.eps))
        unit = (x - mean) * inverse
        if train:
            self._unit, self._inverse = unit, inverse
        return unit * self.gain + self.bias

    def backward(self, dy: Array) -> Array:
        """See :class:`Layer`."""
        axes = tuple(range(dy.ndim - 1))
        unit = self._unit
        self._grads = {"gain": (dy * unit).sum(axis=axes), "bias": dy.sum(axis=axes)}
        d = dy * self.gain
        return self._inverse * (d - d.mean(axis=axes) - unit * (d * unit).mean(axis=axes))


class Sign(_Stateless):
    """Activation -1 or +1, with the straight-through gradient on [-1, 1]."""

    def __init__(self) -> None:
        self._pass = np.zeros(0, bool)

    def forward(self, x: Array, *, train: bool) -> Array:
        """See :class:`Layer`."""
        if train:
            self._pass = np.abs(x) <= 1
        return binary(x)

    def backward(self, dy: Array) -> Array:
        """See :class:`Layer`."""
        return dy * self._pass


class MaxPool(_Stateless):
    """Greatest element of each 2x2 window.

    It stands in front of :class:`Sign` here and behind it in the exported network: the sign rises with
    its argument, so both orders give the same values, and only this one has a useful gradient.
    """

    def __init__(self) -> None:
        self._winner = np.zeros(0, bool)

    def forward(self, x: Array, *, train: bool) -> Array:
        """See :class:`Layer`."""
        n, h, w, c = x.shape
        blocks = x.reshape(n, h // 2, 2, w // 2, 2, c)
        y = blocks.max(axis=(2, 4), keepdims=True)
        if train:
            self._winner = blocks == y
        return y[:, :, 0, :, 0]

    def backward(self, dy: Array) -> Array:
        """See :class:`Layer`."""
        ties = self._winner.sum(axis=(2, 4), keepdims=True)
        dx = self._winner * (dy[:, :, None, :, None] / ties)
        n, h, _, w, _, c = dx.shape
        return dx.reshape(n, h * 2, w * 2, c).astype(dy.dtype)


class Flatten(_Stateless):
    """[N, H, W, C] to [N, C*H*W], channels outermost as ONNX Flatten of an NCHW tensor gives."""

    def __init__(self) -> None:
        self._shape: tuple[int, ...] = ()

    def forward(self, x: Array, *, train: bool) -> Array:
        """See :class:`Layer`."""
        self._shape = x.shape
        return x.transpose(0, 3, 1, 2).reshape(len(x), -1)

    def backward(self, dy: Array) -> Array:
        """See :class:`Layer`."""
        n, h, w, c = self._shape
        return dy.reshape(n, c, h, w).transpose(0, 2, 3, 1)
