"""A core as a peripheral for the makers' own tools: Verilog without their cells, constraints, Tcl."""

from pulsefold.boards.export.project import EXPORTS
from pulsefold.boards.export.write import write_export

__all__ = ["EXPORTS", "write_export"]
