"""Stream units: one circuit a file, each built from one parameter object of the same stem."""

from __future__ import annotations

from pulsefold.compiler.plan.units import Unit
from pulsefold.hdl.units.batchmatvec import BatchMatVecCircuit
from pulsefold.hdl.units.concat import ConcatCircuit
from pulsefold.hdl.units.convert import ConvertCircuit
from pulsefold.hdl.units.depthwise import DepthwiseCircuit
from pulsefold.hdl.units.fork import ForkCircuit
from pulsefold.hdl.units.globalpool import GlobalPoolCircuit
from pulsefold.hdl.units.lrn import LrnCircuit
from pulsefold.hdl.units.matvec import MatVecCircuit
from pulsefold.hdl.units.maxpool import MaxPoolCircuit
from pulsefold.hdl.units.product import ProductCircuit
from pulsefold.hdl.units.reorder import ReorderCircuit
from pulsefold.hdl.units.requantize import RequantizeCircuit
from pulsefold.hdl.units.streams import UnitComponent, payload, port_names
from pulsefold.hdl.units.sum import SumCircuit
from pulsefold.hdl.units.sumpool import SumPoolCircuit
from pulsefold.hdl.units.table import TableCircuit
from pulsefold.hdl.units.threshold import ThresholdCircuit
from pulsefold.hdl.units.window import WindowCircuit

__all__ = ["CIRCUITS", "UnitComponent", "circuit_for", "payload", "port_names"]

#: Circuit of every kind of unit.
CIRCUITS: dict[str, type[UnitComponent]] = {
    "batchmatvec": BatchMatVecCircuit,
    "concat": ConcatCircuit,
    "convert": ConvertCircuit,
    "depthwise": DepthwiseCircuit,
    "fork": ForkCircuit,
    "globalpool": GlobalPoolCircuit,
    "lrn": LrnCircuit,
    "matvec": MatVecCircuit,
    "maxpool": MaxPoolCircuit,
    "product": ProductCircuit,
    "reorder": ReorderCircuit,
    "requantize": RequantizeCircuit,
    "sum": SumCircuit,
    "sumpool": SumPoolCircuit,
    "table": TableCircuit,
    "threshold": ThresholdCircuit,
    "window": WindowCircuit,
}


def circuit_for(unit: Unit) -> UnitComponent:
    """The circuit of a parameter object."""
    return CIRCUITS[unit.kind](unit)
