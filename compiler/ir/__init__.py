"""The typed integer graph: the one contract that everything else reads."""

from pulsefold.compiler.ir.concat import Concat
from pulsefold.compiler.ir.constant import Constant
from pulsefold.compiler.ir.conv import Conv
from pulsefold.compiler.ir.graph import Graph, HostStep, Input, Node, Output, Tensor, chw_index
from pulsefold.compiler.ir.lrn import Lrn
from pulsefold.compiler.ir.maxpool import MaxPool
from pulsefold.compiler.ir.product import Product
from pulsefold.compiler.ir.reorder import Reorder
from pulsefold.compiler.ir.requantize import Requantize
from pulsefold.compiler.ir.sum import Sum
from pulsefold.compiler.ir.sumpool import SumPool
from pulsefold.compiler.ir.table import Table
from pulsefold.compiler.ir.threshold import Threshold
from pulsefold.compiler.ir.types import ElementType, type_for_range

__all__ = [
    "Concat",
    "Constant",
    "Conv",
    "ElementType",
    "Graph",
    "HostStep",
    "Input",
    "Lrn",
    "MaxPool",
    "Node",
    "Output",
    "Product",
    "Reorder",
    "Requantize",
    "Sum",
    "SumPool",
    "Table",
    "Tensor",
    "Threshold",
    "chw_index",
    "type_for_range",
]
