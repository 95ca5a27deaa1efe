"""Steps that wait behind a stream: where pools go, which clamps matter, what scale they amount to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from pulsefold.compiler.frontend.values import Stream
from pulsefold.compiler.ir.types import type_for_range
from pulsefold.compiler.numerics.line import Line, compose
from pulsefold.compiler.numerics.quantizer import Boundary, Quantizer
from pulsefold.compiler.numerics.surd import approximate

__all__ = ["all_lines", "clip_quantizer", "pools_in_front", "presented", "without_idle_clamps"]

#: Precision of irrational scales, which only present results.
_SCALE_BITS = 256


def all_lines(stream: Stream) -> tuple[Line, ...]:
    """Every waiting step, those in front of waiting pools included, as one line a channel."""
    return _composed([*(pool.lines for pool in stream.pools), stream.lines])


def pools_in_front(stream: Stream) -> int | None:
    """How many waiting pools go in front of the next threshold; the others go behind it.

    A pool may go behind where everything after it is non-decreasing, and in front where everything
    before it is. The model's own input has nothing in front. None where neither holds.
    """
    segments = [*(pool.lines for pool in stream.pools), stream.lines]
    count = len(stream.pools)

    def rising(part: Sequence[tuple[Line, ...]]) -> bool:
        return all(line.rising for line in _composed(part))

    for before in range(count + 1 if stream.tensor is not None else 1):
        in_front = all(rising(segments[: j + 1]) for j in range(before))
        if in_front and all(rising(segments[j + 1 :]) for j in range(before, count)):
            return before
    return None


def without_idle_clamps(lines: tuple[Line, ...], low: np.ndarray, high: np.ndarray) -> tuple[Line, ...]:
    """The lines without bounds that no integer from low[c] to high[c] meets."""
    if not any(line.clamped for line in lines):
        return lines
    kept = []
    for c in range(len(low)):
        line = lines[c % len(lines)]
        ends = [line.gain * int(v) + line.offset for v in (low[c], high[c])]
        idle_low = line.low is None or min(ends) >= line.low
        idle_high = line.high is None or max(ends) <= line.high
        kept.append(replace(line, low=None if idle_low else line.low, high=None if idle_high else line.high))
    return (kept[0],) if all(line == kept[0] for line in kept) else tuple(kept)


def clip_quantizer(lines: tuple[Line, ...], low: int, high: int) -> Quantizer | None:
    """A clamp on the levels gain * q + offset of low <= q <= high, as a quantizer that keeps their meaning.

    None where the lines are not one rational rising line, or its bounds are not levels.
    """
    line = lines[0]
    if len(lines) > 1 or not isinstance(line.gain, Fraction) or not isinstance(line.offset, Fraction):
        return None
    if line.gain <= 0:
        return None
    bounds = [low, high]
    for i, limit in enumerate((line.low, line.high)):
        if limit is not None:
            level = (limit - line.offset) / line.gain
            if not isinstance(level, Fraction) or level.denominator != 1 or not low <= level <= high:
                return None
            bounds[i] = int(level)
    if bounds[0] >= bounds[1]:
        return None
    marks = (Boundary(value=line.gain * k + line.offset) for k in range(bounds[0] + 1, bounds[1] + 1))
    return Quantizer(
        boundaries=(tuple(marks),),
        first=bounds[0],
        type=type_for_range(*bounds),
        scale=(line.gain,),
        offset=(line.offset,),
    )


def presented(lines: Sequence[Line]) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
    """Scale and offset of a tensor from the affine part of its lines."""
    scale = [approximate(line.gain, _SCALE_BITS) for line in lines]
    offset = [approximate(line.offset, _SCALE_BITS) for line in lines]
    return _merged(scale), _merged(offset)


def _composed(segments: Sequence[tuple[Line, ...]]) -> tuple[Line, ...]:
    lines = (Line(),)
    for segment in segments:
        lines = compose(lines, segment)
    return lines


def _merged(values: list[Fraction]) -> tuple[Fraction, ...]:
    return tuple(values if len(set(values)) > 1 else values[:1])
