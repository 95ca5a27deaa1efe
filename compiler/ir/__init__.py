"""The typed integer graph: the one contract that everything else reads."""

from pulsefold.compiler.ir.conv import Conv
from pulsefold.compiler.ir.graph import Graph, Input, Node, Output, Tensor
from pulsefold.compiler.ir.maxpool import MaxPool
from pulsefold.compiler.ir.threshold import Threshold
from pulsefold.compiler.ir.types import ElementType, type_for_range

__all__ = [
    "Conv",
    "ElementType",
    "Graph",
    "Input",
    "MaxPool",
    "Node",
    "Output",
    "Tensor",
    "Threshold",
    "type_for_range",
]
