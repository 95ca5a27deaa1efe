"""Unit tests of stream circuits in cocotb: see :func:`pulsefold.sim.bench.unit.run_unit`.

`unit` (what tests call) -> `launch` (compile, run) -> `testbench` (inside the simulator) -> `agents`
(source, sink, monitor); `check` judges the outcome. Nothing is imported here, as the simulator's process
must start quickly.
"""
