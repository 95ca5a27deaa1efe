"""Whole-design simulation on Verilator with a generated C++ harness.

`verilog` (component to Verilog) -> `compile` (Verilog and harness to a simulator, cached) -> `run`
(beats through it); `simulator` ties them together.
"""

from pulsefold.sim.cosim.compile import Progress
from pulsefold.sim.cosim.ports import Ports, StreamPort
from pulsefold.sim.cosim.run import SimRun
from pulsefold.sim.cosim.simulator import Simulator

__all__ = ["Ports", "Progress", "SimRun", "Simulator", "StreamPort"]
