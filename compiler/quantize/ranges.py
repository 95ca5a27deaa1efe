"""From a distribution of values to a quantizer: four ways to choose what is clipped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from pulsefold.compiler.quantize.histogram import Histogram
from pulsefold.compiler.quantize.quantizer import Quantizer, round_scale

__all__ = ["METHODS", "choose"]

#: Share of the values, in percent, that the percentile method keeps.
PERCENTILE = 99.99

#: A range: lowest and highest value that is not clipped.
Range = tuple[float, float]


def choose(histogram: Histogram, *, method: str, bits: int, signed: bool, asymmetric: bool) -> Quantizer:
    """The quantizer of a value with this distribution.

    Parameters
    ----------
    histogram
        Of the value, or of all that share the quantizer.
    method
        One of :data:`METHODS`.
    bits
        Width.
    signed
        Whether the levels are signed, with zero point 0 and a symmetric range. Otherwise they are unsigned.
    asymmetric
        Whether unsigned levels have a zero point where values are negative.
    """
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    if not low < high:
        # Nothing but zeros, or no values: any scale is right.
        return Quantizer(bits=bits, signed=signed, scale=round_scale(1.0))
    if signed:
        low, high = -max(-low, high), max(-low, high)
    elif not asymmetric:
        low = 0.0
    build = _affine if asymmetric and not signed else _symmetric
    low, high = METHODS[method](histogram, (low, high), lambda r: build(r, bits, signed))
    return build((low, high), bits, signed)


def _symmetric(span: Range, bits: int, signed: bool) -> Quantizer:
    top = max(-span[0], span[1])
    levels = (1 << (bits - int(signed))) - 1
    return Quantizer(bits=bits, signed=signed, scale=round_scale(top / levels))


def _affine(span: Range, bits: int, signed: bool) -> Quantizer:
    levels = (1 << bits) - 1
    scale = round_scale((span[1] - span[0]) / levels)
    zero = int(np.clip(np.rint(-span[0] / scale), 0, levels))
    return Quantizer(bits=bits, signed=False, scale=scale, zero=zero)


Build = Callable[[Range], Quantizer]


def min_max(histogram: Histogram, span: Range, build: Build) -> Range:
    """Nothing is clipped."""
    return span


def percentile(histogram: Histogram, span: Range, build: Build) -> Range:
    """The rarest extremes are clipped: half of them on each side, where both sides occur."""
    share = np.cumsum(histogram.counts) / histogram.counts.sum()
    centers, width = histogram.centers, 2.0**histogram.exponent * 2 / len(histogram.counts)
    tail = (1 - PERCENTILE / 100) / (2 if span[0] < 0 < span[1] else 1)
    low = centers[np.searchsorted(share, tail)] - width / 2
    high = centers[min(np.searchsorted(share, 1 - tail), len(centers) - 1)] + width / 2
    if span[0] == -span[1]:
        top = min(max(-low, high), span[1])
        return -top, top
    return max(span[0], min(low, 0.0)), min(span[1], max(high, 0.0))


def mean_square(histogram: Histogram, span: Range, build: Build) -> Range:
    """The range whose quantizer has the least mean square error, of a hundred fractions of the whole."""
    used = np.flatnonzero(histogram.counts)
    centers, counts = histogram.centers[used], histogram.counts[used].astype(np.float64)
    best, least = span, np.inf
    for fraction in np.geomspace(1.0, 0.02, 100):
        candidate = (span[0] * fraction, span[1] * fraction)
        error = float(counts @ (build(candidate).apply(centers) - centers) ** 2)
        if error < least:
            best, least = candidate, error
    return best


def entropy(histogram: Histogram, span: Range, build: Build) -> Range:
    """The clipped range whose levels lose the least information (Kullback-Leibler divergence).

    Follows S. Migacz, "8-bit inference with TensorRT", 2017, on magnitudes; an asymmetric range is scaled as
    a whole.
    """
    half = len(histogram.counts) // 2
    magnitudes = histogram.counts[half:] + histogram.counts[:half][::-1]
    if span[0] == 0:
        magnitudes = histogram.counts[half:].copy()
    # Zeros, of Relu and of padding, say nothing about the range.
    magnitudes = magnitudes[: np.flatnonzero(magnitudes)[-1] + 1].astype(np.float64)
    if magnitudes.size > 1:
        magnitudes[0] = 0
    quantizer = build(span)
    levels = quantizer.high + 1 if quantizer.signed else 1 << quantizer.bits
    total = magnitudes.sum()
    # With a level for each value there is nothing to win.
    if np.count_nonzero(magnitudes) <= levels:
        return span
    best, least = magnitudes.size, np.inf
    for size in range(levels, magnitudes.size + 1, max(1, magnitudes.size // 256)):
        p = magnitudes[:size].copy()
        p[-1] += magnitudes[size:].sum()
        # Each level stands for a run of bins; its weight is spread over those of them that occur.
        level = np.arange(size) * levels // size
        occurs = magnitudes[:size] > 0
        mass = np.bincount(level, magnitudes[:size], levels)
        share = np.bincount(level, occurs, levels)
        q = np.where(occurs, mass[level] / np.maximum(share[level], 1), 0)
        if not q.sum():
            continue
        q = q / q.sum()
        p = p / p.sum()
        both = (p > 0) & (q > 0)
        # What q misses counts as if it had the smallest share of a value.
        missed = (p > 0) & ~both
        divergence = float((p[both] * np.log(p[both] / q[both])).sum())
        divergence += float((p[missed] * np.log(p[missed] * total + 1)).sum())
        if divergence < least:
            best, least = size, divergence
    top = best * 2.0**histogram.exponent / half
    fraction = min(1.0, top / max(-span[0], span[1]))
    return span[0] * fraction, span[1] * fraction


METHODS: Mapping[str, Callable[[Histogram, Range, Build], Range]] = MappingProxyType(
    {"minmax": min_max, "percentile": percentile, "entropy": entropy, "mse": mean_square}
)
