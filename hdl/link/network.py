"""A network seen from the link: bytes in, bytes out."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value, ValueLike
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.link.bytes import TensorByte
from pulsefold.hdl.link.pack import BeatParameters, BeatsToBytes, BytesToBeats
from pulsefold.hdl.link.protocol import DEBUG_TENSOR, WEIGHTS_TENSOR, TensorFormat

__all__ = ["ByteNetwork", "ports_of"]


def ports_of(core: wiring.Component) -> tuple[list, list]:
    """Input and output streams of a core: `ins` and `outs` where it has them, else `i` and `o`."""
    return getattr(core, "ins", None) or [core.i], getattr(core, "outs", None) or [core.o]


class ByteNetwork(wiring.Component):
    """A core with the packing of :mod:`pulsefold.hdl.link.pack` at all its ends.

    The link brings the tensors of an image one after another, and a core may want all of them at once:
    every input but the last has a buffer of one image. Of several outputs, the one that last gave a byte
    goes on until it has none.

    Parameters
    ----------
    core
        With streams `i` and `o` of any payload, or lists of them, `ins` and `outs`. Where it has streams
        `control` and `probe`, they get and give the bytes of tensor ``DEBUG_TENSOR``; `upload` and `loaded`
        those of tensor ``WEIGHTS_TENSOR``.
    inputs, outputs
        Its tensors.
    """

    def __init__(
        self,
        core: wiring.Component,
        inputs: tuple[TensorFormat, ...],
        outputs: tuple[TensorFormat, ...],
    ) -> None:
        self.core, self._inputs, self._outputs = core, inputs, outputs
        #: Streams beside the tensors, by the index that they have on the link.
        self._beside = {}
        if hasattr(core, "probe"):
            self._beside[DEBUG_TENSOR] = core.control, core.probe
        if hasattr(core, "upload"):
            self._beside[WEIGHTS_TENSOR] = core.upload, core.loaded
        super().__init__({"i": In(stream.Signature(TensorByte)), "o": Out(stream.Signature(TensorByte))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.core = self.core
        ins, outs = ports_of(self.core)
        for k, (port, tensor) in enumerate(zip(ins, self._inputs, strict=True)):
            self._input(m, k, port, tensor)
        given = [
            self._output(m, k, port, t) for k, (port, t) in enumerate(zip(outs, self._outputs, strict=True))
        ]
        given += [answers for _, answers in self._beside.values()]
        current = Signal(range(len(given)))
        with m.Switch(current):
            for k, port in enumerate(given):
                with m.Case(k):
                    m.d.comb += [
                        self.o.payload.eq(port.payload),
                        self.o.valid.eq(port.valid),
                        port.ready.eq(self.o.ready),
                    ]
        if len(given) > 1:
            with m.If(~self.o.valid):
                for k, port in enumerate(given):
                    with m.If(port.valid):
                        m.d.sync += current.eq(k)
        for tensor, (port, _) in self._beside.items():
            mine = self.i.payload.tensor == tensor
            m.d.comb += [port.payload.eq(self.i.payload.byte), port.valid.eq(self.i.valid & mine)]
            with m.If(mine):
                m.d.comb += self.i.ready.eq(1)
        return m

    def _input(self, m, k, port, tensor) -> None:
        """Bytes tagged with `k` to the beats of a port."""
        m.submodules[f"unpack_{k}"] = unpack = BytesToBeats(_beat(port.payload))
        final = k == len(self._inputs) - 1
        # The last one takes every other index as well: a host with wrong ones cannot stop the link.
        mine = self.i.payload.tensor >= k if final else self.i.payload.tensor == k
        for other in self._beside if final else ():
            mine = mine & (self.i.payload.tensor != other)
        m.d.comb += [
            Value.cast(port.payload).eq(unpack.o.payload),
            port.valid.eq(unpack.o.valid),
            unpack.o.ready.eq(port.ready),
        ]
        if final:
            m.d.comb += [unpack.i.payload.eq(self.i.payload.byte), unpack.i.valid.eq(self.i.valid & mine)]
            taken = unpack.i.ready
        else:
            m.submodules[f"image_{k}"] = fifo = SyncFIFOBuffered(width=8, depth=tensor.image_bytes)
            m.d.comb += [
                fifo.w_data.eq(self.i.payload.byte),
                fifo.w_en.eq(self.i.valid & mine),
                unpack.i.payload.eq(fifo.r_data),
                unpack.i.valid.eq(fifo.r_rdy),
                fifo.r_en.eq(unpack.i.ready),
            ]
            taken = fifo.w_rdy
        with m.If(mine):
            m.d.comb += self.i.ready.eq(taken)

    def _output(self, m, k, port, tensor):
        """The bytes of a port, tagged with `k`."""
        m.submodules[f"pack_{k}"] = pack = BeatsToBytes(_beat(port.payload))
        left = Signal(range(tensor.beats), init=tensor.beats - 1, name=f"left_{k}")
        m.d.comb += [
            pack.i.payload.eq(Value.cast(port.payload)),
            pack.i.valid.eq(port.valid),
            port.ready.eq(pack.i.ready),
        ]
        with m.If(pack.o.valid & pack.o.ready & pack.last):
            m.d.sync += left.eq(Mux(left == 0, tensor.beats - 1, left - 1))
        given = stream.Signature(TensorByte).create(path=(f"given{k}",))
        m.d.comb += [
            given.payload.byte.eq(pack.o.payload),
            given.payload.last.eq(pack.last & (left == 0)),
            given.payload.tensor.eq(k),
            given.valid.eq(pack.o.valid),
            pack.o.ready.eq(given.ready),
        ]
        return given


def _beat(payload: ValueLike) -> BeatParameters:
    return BeatParameters(width=len(Value.cast(payload)))
