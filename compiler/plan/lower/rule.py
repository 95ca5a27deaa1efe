"""What lowering an operation takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import gcd

from pulsefold.compiler.plan.layers import Fold, Layer
from pulsefold.compiler.plan.units import Unit
from pulsefold.compiler.plan.units.integers import divisors

__all__ = ["Rule", "channel_lanes"]


def channel_lanes(layer: Layer) -> list[int]:
    """Divisors of the channels that all inputs have in common."""
    return divisors(gcd(*(x.shape[2] for x in layer.xs)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How an operation becomes units.

    Parameters
    ----------
    units
        From a layer, its folding and the device family to its units.
    lanes
        The SIMD it can have; a Conv has PE and SIMD of its own.
    """

    units: Callable[[Layer, Fold, str], list[Unit]]
    lanes: Callable[[Layer], list[int]] = channel_lanes
