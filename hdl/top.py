"""The whole network as one component: a plan's units and what joins them."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Fragment, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.compiler.plan.plan import Plan
from pulsefold.hdl.debug.activity import activity
from pulsefold.hdl.debug.counters import CountersSignature, UnitCounters
from pulsefold.hdl.debug.probe import Probe
from pulsefold.hdl.debug.upload import Loader, Uploads
from pulsefold.hdl.link.bytes import TensorByte
from pulsefold.hdl.units import circuit_for, payload, port_names

__all__ = ["Core"]


class Core(wiring.Component):
    """Frames in at `i`, results out at `o`; every unit starts as soon as it has input.

    Several inputs are `i0`, `i1` and so on, in the order of the plan's entries; several outputs `o0`,
    `o1` in the order of its exits.

    Parameters
    ----------
    plan
        What to build.
    taps
        Also show the output of every unit that computes a tensor on ports ``tap_<number>``, for finding
        where a circuit differs from the golden model. Observation only.
    counters
        Also count in every unit, in the order of the plan, and show it at port `counters`; the core then
        needs a domain ``link`` beside its own, that of the port.
    probed
        Numbers of units, each of one output: their output streams can be looked at over ports `control` and
        `probe`, see :class:`~pulsefold.hdl.debug.probe.Probe`.
    writable
        Constants of the units can be written over ports `upload` and `loaded`, see
        :class:`~pulsefold.hdl.debug.upload.Loader`.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        taps: bool = False,
        counters: bool = False,
        probed: Sequence[int] = (),
        writable: bool = False,
    ) -> None:
        self.plan = plan
        network = plan.network
        ins, outs = port_names("i", len(plan.inputs)), port_names("o", len(plan.outputs))
        ports = {name: In(stream.Signature(payload(s))) for name, s in zip(ins, plan.inputs, strict=True)}
        ports |= {name: Out(stream.Signature(payload(s))) for name, s in zip(outs, plan.outputs, strict=True)}
        self.tapped = [k for k, tensor in enumerate(network.tensors) if tensor is not None] if taps else []
        for k in self.tapped:
            ports[f"tap_{k}_payload"] = Out(payload(plan.units[k].outputs[0]))
            ports[f"tap_{k}_valid"] = Out(1)
            ports[f"tap_{k}_ready"] = Out(1)
        self.counted = counters
        if counters:
            ports["counters"] = In(CountersSignature())
        self.writable = writable
        if writable:
            ports["upload"] = In(stream.Signature(8, always_ready=True))
            ports["loaded"] = Out(stream.Signature(TensorByte))
        self.probed = tuple(probed)
        if probed:
            ports["control"] = In(stream.Signature(8, always_ready=True))
            ports["probe"] = Out(stream.Signature(TensorByte))
        super().__init__(ports)
        self.ins = [getattr(self, name) for name in ins]
        self.outs = [getattr(self, name) for name in outs]

    def elaborate(self, platform):
        m = Module()
        network = self.plan.network
        circuits = [circuit_for(unit) for unit in network.units]
        uploads = Uploads(getattr(platform, "family", None))
        for k, circuit in enumerate(circuits):
            # Elaborated here and now, so that all its memories are known.
            made = Fragment.get(circuit, uploads) if self.writable else circuit
            m.submodules[f"u{k}_{circuit.unit.kind}"] = made
        if self.writable:
            m.submodules.loader = loader = Loader(uploads.memories)
            m.d.comb += [loader.i.payload.eq(self.upload.payload), loader.i.valid.eq(self.upload.valid)]
            wiring.connect(m, loader.o, wiring.flipped(self.loaded))

        gates = self._probe(m, circuits) if self.probed else {}

        def driver(source):
            if source.unit is None:
                return wiring.flipped(self.ins[source.port])
            return gates.get(source.unit) or circuits[source.unit].outs[source.port]

        for circuit, sources in zip(circuits, network.sources, strict=True):
            for port, source in zip(circuit.ins, sources, strict=True):
                wiring.connect(m, driver(source), port)
        for port, source in zip(self.outs, network.results, strict=True):
            wiring.connect(m, driver(source), wiring.flipped(port))
        for k in self.tapped:
            (port,) = circuits[k].outs
            m.d.comb += [
                getattr(self, f"tap_{k}_payload").eq(port.p),
                getattr(self, f"tap_{k}_valid").eq(port.valid),
                getattr(self, f"tap_{k}_ready").eq(port.ready),
            ]
        if self.counted:
            self._count(m, circuits)
        return m

    def _probe(self, m, circuits) -> dict:
        """Taps behind the probed units; the streams that go on from there."""
        streams = [self.plan.units[k].outputs[0] for k in self.probed]
        m.submodules.probe = probe = Probe(streams)
        m.d.comb += [probe.i.payload.eq(self.control.payload), probe.i.valid.eq(self.control.valid)]
        wiring.connect(m, probe.o, wiring.flipped(self.probe))
        gates = {}
        for k, tap, s in zip(self.probed, probe.taps, streams, strict=True):
            (port,) = circuits[k].outs
            gates[k] = gate = stream.Signature(payload(s)).create(path=(f"gate{k}",))
            m.d.comb += [
                gate.p.eq(port.p),
                gate.valid.eq(port.valid & tap.open),
                port.ready.eq(gate.ready & tap.open),
                tap.p.eq(port.p),
                tap.valid.eq(port.valid),
                tap.ready.eq(port.ready),
            ]
        return gates

    def _count(self, m, circuits) -> None:
        """Counters of all units, from the first beat that waits at an input on."""
        m.submodules.counters = counters = UnitCounters(len(circuits))
        wiring.connect(m, wiring.flipped(self.counters), counters.read)
        with m.If(Cat(port.valid for port in self.ins).any()):
            m.d.sync += counters.enable.eq(1)
        for k, circuit in enumerate(circuits):
            starved, stalled = activity(circuit)
            m.d.sync += [counters.starved[k].eq(starved), counters.stalled[k].eq(stalled)]
