"""One of several words, in ECP5's multiplexers of LUTs, and the plain logic that it equals.

Half a slice's PFUMX chooses between two LUTs, L6MUX21 between two of those or of its own kind, up to the
eight LUTs of a tile. Yosys uses them for LUTs of more inputs only, and takes more LUTs to choose.
Source: Lattice FPGA-TN-02204, ECP5 and ECP5-5G slices; Yosys' ``ecp5/cells_sim.v``.
"""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Instance, Module, Mux, Signal, Value

from pulsefold.compiler.plan.units.choice import multiplexed
from pulsefold.hdl.technology import is_ecp5

__all__ = ["chosen"]

#: Contents of a LUT that is C ? B : A.
_MUX = Const(0xCACA, 16)


def chosen(m: Module, words: Sequence[Value], place: Value, platform: object) -> Value:
    """The word of number `place`; any where there is none of that number."""
    count = len(words)
    if count == 1:
        return words[0]
    bits = (count - 1).bit_length()
    half = 1 << (bits - 1)
    if is_ecp5(platform) and multiplexed(count):
        return Cat(*(_tree(m, column, place, bits) for column in zip(*words, strict=True)))
    low = chosen(m, words[:half], place[: bits - 1], platform)
    return Mux(place[bits - 1], chosen(m, words[half:], place[: bits - 1], platform), low)


def _tree(m: Module, words: Sequence[Value], place: Value, bits: int) -> Value:
    """One bit, of up to ``2**bits`` of them; of those that are not there, any."""
    out = Signal(name=f"one_of_{1 << bits}")
    if bits == 1:
        low, high = words[0], words[-1]
        m.submodules += Instance("LUT4", p_INIT=_MUX, i_A=low, i_B=high, i_C=place[0], i_D=0, o_Z=out)
        return out
    half = 1 << (bits - 1)
    low = _tree(m, words[:half], place, bits - 1)
    high = _tree(m, words[half:] or words[:1], place, bits - 1)
    select = place[bits - 1]
    if bits == 2:
        m.submodules += Instance("PFUMX", i_BLUT=low, i_ALUT=high, i_C0=select, o_Z=out)
    else:
        m.submodules += Instance("L6MUX21", i_D0=low, i_D1=high, i_SD=select, o_Z=out)
    return out
