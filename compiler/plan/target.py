"""What a plan is made for: a device and a clock."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.memory import block_bits

__all__ = ["PADDING", "Target", "placed"]


#: Share of the block RAM claimed that may hold nothing.
PADDING = 0.15

#: Fraction of the flip-flops that a plan takes: at 86 % ECP5's placer was still legalising after a quarter of
#: an hour.
USABLE_FFS = 0.82

#: Link to the host and resets, where nothing more is known of the board.
BOARD_SUPPORT = Resources(luts=250, ffs=250)

#: LUT positions where they are not just LUTs: a share of the logic for the ends of carry chains, and so many
#: a flip-flop, for those that no LUT of their own stands in front of, which take a position to be reached.
#: Fitted to routed designs, see ``bench/costs.py``.
POSITIONS = {"ice40": (1.0, 0.5), "gowin": (1.08, 0.55)}


def placed(cost: Resources, family: str) -> Resources:
    """The cost of units in LUT positions of a family."""
    logic, registers = POSITIONS.get(family, (1.0, 0.0))
    return replace(cost, luts=logic * cost.luts + registers * cost.ffs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A board as the planner sees it.

    Parameters
    ----------
    board
        Its name.
    family
        ``ecp5``, ``ice40``, ``gowin`` or ``nexus``.
    resources
        All that the device has.
    usable
        Fraction of the LUTs that place and route fills before it stalls.
    clock_mhz
        Compute clock.
    reserved
        What board support takes: link, reset, counters.
    padding
        Share of the block RAM claimed that may hold nothing where logic can take its place.
    """

    board: str
    family: str
    resources: Resources
    usable: float
    clock_mhz: float
    reserved: Resources = BOARD_SUPPORT
    padding: float = PADDING

    @property
    def available(self) -> Resources:
        """What a design may use."""
        r, q = self.resources, self.reserved
        return Resources(
            luts=r.luts * self.usable - q.luts,
            ffs=r.ffs * USABLE_FFS - q.ffs,
            brams=r.brams - q.brams,
            dsps=r.dsps - q.dsps,
        )

    def padding_beyond(self, cost: Resources) -> float:
        """Block RAMs that hold nothing beyond the share that may; below 0 where fewer do."""
        return (1 - self.padding) * cost.brams - cost.bram_bits / block_bits(self.family)

    def shortage(self, need: Resources) -> tuple[str, float, float] | None:
        """The resource that is exceeded most, with need and have; None if all fit."""
        have = self.available
        worst = None
        for name in ("luts", "ffs", "brams", "dsps"):
            n, h = getattr(need, name), getattr(have, name)
            if n > h and (worst is None or n * max(worst[2], 1) > worst[1] * max(h, 1)):
                worst = (name, n, h)
        return worst
