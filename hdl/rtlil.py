"""Amaranth to RTLIL text, with memory contents written in one piece and names that tools keep apart."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from amaranth.back import rtlil

__all__ = ["convert", "without_brackets"]

#: An identifier that ends in indices. A bit of a wire is written with a blank in front of its bracket.
_INDEXED = re.compile(r"\\[^\s\"]*\[[^\s\"]*")


def convert(component: Any, name: str, *, platform: Any = None, ports: Any = None) -> str:
    """RTLIL text of a component; the same text for the same circuit.

    What :func:`amaranth.back.rtlil.convert` writes, but for :func:`without_brackets`. That makes an object of
    each bit of each memory, some of them several times: most of a minute for the ten million bits of weights
    that a network may have. Python's collector of cycles waits meanwhile: of the millions of objects it would
    look through again and again, next to none can go before the end.
    """
    with quick_memories(), no_collection():
        text = rtlil.convert(component, name=name, platform=platform, ports=ports, emit_src=False)
    return without_brackets(text)


def without_brackets(text: str) -> str:
    r"""RTLIL with ``\x(1)`` for the name ``\x[1]``.

    Amaranth names the fields of an array that way, beside the array itself, a wire ``\x``. ABC9 gets bits by
    the name of their wire and an index, reads both back as one name, and so joins bit 1 of ``\x`` with bit 0
    of ``\x[1]``: a circuit that is silently another one, or one on which it ends without a word.
    """
    return _INDEXED.sub(lambda found: found[0].replace("[", "(").replace("]", ")"), text)


@contextmanager
def no_collection() -> Iterator[None]:
    """Without garbage collection."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextmanager
def quick_memories() -> Iterator[None]:
    """Replace what writes a memory's contents, where this release of Amaranth has it under the known name."""
    emitter: Any = getattr(rtlil, "ModuleEmitter", None)
    slow = getattr(emitter, "emit_memory", None)
    if slow is None:
        yield
        return

    def emit_memory(self: Any, cell_index: int, cell: Any) -> None:
        if not (cell.width and len(cell.init) == cell.depth > 0):
            slow(self, cell_index, cell)
            return
        mask = (1 << cell.width) - 1
        words = (format(int(row) & mask, f"0{cell.width}b") for row in reversed(cell.init))
        self.builder.cell(
            "$meminit_v2",
            ports={
                "ADDR": "{  }",
                "DATA": f"{cell.width * cell.depth}'{''.join(words)}",
                "EN": f"{cell.width}'{'1' * cell.width}",
            },
            parameters={
                "MEMID": self.memories[cell_index].memid,
                "ABITS": 0,
                "WIDTH": cell.width,
                "WORDS": cell.depth,
                "PRIORITY": 0,
            },
            src_loc=cell.src_loc,
        )

    emitter.emit_memory = emit_memory
    try:
        yield
    finally:
        emitter.emit_memory = slow
