"""What choosing one of several words costs on each family."""

from __future__ import annotations

__all__ = ["MOST_MULTIPLEXED", "choice_luts", "multiplexed"]

#: Words of which multiplexers beside eight LUTs choose one: the LUTs of a tile of ECP5.
MOST_MULTIPLEXED = 16


def choice_luts(family: str, words: int) -> float:
    """LUTs that choose a bit of one of so many words: on ECP5 one for two words, see :func:`multiplexed`."""
    if family != "ecp5":
        return (2 * words - 1) / 3
    whole = 1 << (words - 1).bit_length()
    if multiplexed(words):
        return whole / 2
    return choice_luts(family, whole // 2) + choice_luts(family, words - whole // 2) + 1 if words > 1 else 0


def multiplexed(words: int) -> bool:
    """Whether multiplexers beside LUTs choose from so many words, as if they were the next power of two.

    Else they choose from the first power of two, and a LUT between that and one of the rest.
    """
    whole = 1 << (words - 1).bit_length()
    return 1 < words <= MOST_MULTIPLEXED and (words <= 4 or 4 * words > 3 * whole)
