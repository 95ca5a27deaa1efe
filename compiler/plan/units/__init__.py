"""Parameter objects of the stream units: one a file, under the stem of the circuit that is built from it."""

from pulsefold.compiler.plan.units.base import Stream, Unit
from pulsefold.compiler.plan.units.batchmatvec import BatchMatVec
from pulsefold.compiler.plan.units.concat import ConcatUnit
from pulsefold.compiler.plan.units.convert import Convert
from pulsefold.compiler.plan.units.depthwise import DepthwiseUnit
from pulsefold.compiler.plan.units.dot import RowSums
from pulsefold.compiler.plan.units.fork import Fork
from pulsefold.compiler.plan.units.globalpool import GlobalPoolUnit
from pulsefold.compiler.plan.units.lrn import LrnUnit
from pulsefold.compiler.plan.units.matvec import MatVec
from pulsefold.compiler.plan.units.maxpool import MaxPoolUnit
from pulsefold.compiler.plan.units.product import ProductUnit
from pulsefold.compiler.plan.units.reorder import ReorderUnit
from pulsefold.compiler.plan.units.requantize import RequantizeUnit
from pulsefold.compiler.plan.units.sum import SumUnit
from pulsefold.compiler.plan.units.sumpool import SumPoolUnit
from pulsefold.compiler.plan.units.table import TableUnit
from pulsefold.compiler.plan.units.threshold import Steps, ThresholdUnit
from pulsefold.compiler.plan.units.window import Window

__all__ = [
    "BatchMatVec",
    "ConcatUnit",
    "Convert",
    "DepthwiseUnit",
    "Fork",
    "GlobalPoolUnit",
    "LrnUnit",
    "MatVec",
    "MaxPoolUnit",
    "ProductUnit",
    "ReorderUnit",
    "RequantizeUnit",
    "RowSums",
    "Steps",
    "Stream",
    "SumPoolUnit",
    "SumUnit",
    "TableUnit",
    "ThresholdUnit",
    "Unit",
    "Window",
]
