"""The device family that a circuit is elaborated for, where it is built from the family's own cells."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Technology", "is_ecp5"]


@dataclass(frozen=True, slots=True)
class Technology:
    """An Amaranth platform that only names a family.

    Circuits elaborate to plain logic without one, which is what is simulated; with one they may use cells of
    the family. Both forms have the same values in every cycle.

    Parameters
    ----------
    family
        ``ecp5``, ``ice40`` or ``gowin``.
    """

    family: str


def is_ecp5(platform: object) -> bool:
    """Whether a circuit is elaborated for ECP5."""
    return getattr(platform, "family", None) == "ecp5"
