"""An ECP5 placement made better: cells change places until wires, above all the late ones, are short."""

from pulsefold.boards.refine.refine import refine

__all__ = ["refine"]
