"""SPI slave, mode 0: a byte stream for microcontrollers and single-board computers."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

__all__ = ["SpiParameters", "SpiSlave"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpiParameters:
    """What the slave can hold.

    Parameters
    ----------
    depth
        Bytes that may wait for the master, 2 to 255.
    """

    depth: int = 255

    def __post_init__(self) -> None:
        if not 2 <= self.depth <= 255:
            msg = f"depth must be between 2 and 255, not {self.depth!r}"
            raise ValueError(msg)


class SpiSlave(wiring.Component):
    """Bytes both ways, most significant bit first; mode 0: both sides sample when SCK rises.

    Every byte from the master, the first included, comes out at `o`: a master with nothing to say sends 0x00,
    which the host protocol ignores between frames. The first byte to the master is the number of bytes that
    are waiting, as of the fall of CS; so many bytes of `i` follow, then zeros. A byte is gone only when its
    eighth bit has been taken, so a master may end a transaction anywhere; of a byte cut short neither
    direction keeps anything.

    Timing: SCK, sampled by ``sync``, may have a tenth of its frequency, and 5 cycles pass between the fall of
    CS and the first rise of SCK. A byte is valid at `o` 4 cycles after its last rise of SCK. A byte that
    arrives while the last one waits is dropped, and `overflow` is high for that cycle.

    Parameters
    ----------
    parameters
        Size of the buffer.
    """

    #: The lines, asynchronous.
    cs_n: In(1, init=1)
    sck: In(1)
    mosi: In(1)
    miso: Out(1)
    #: Bytes from the master.
    o: Out(stream.Signature(8))
    #: Bytes to the master.
    i: In(stream.Signature(8))
    #: High for one cycle for each byte lost.
    overflow: Out(1)
    #: High while bytes wait for the master: its interrupt.
    waiting: Out(1)

    def __init__(self, parameters: SpiParameters | None = None) -> None:
        self.parameters = parameters or SpiParameters()
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        cs_n, sck, mosi = Signal(init=1), Signal(), Signal()
        m.submodules.sync_cs = FFSynchronizer(self.cs_n, cs_n, init=1)
        m.submodules.sync_sck = FFSynchronizer(self.sck, sck)
        m.submodules.sync_mosi = FFSynchronizer(self.mosi, mosi)
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=8, depth=self.parameters.depth)

        before, inside = Signal(), Signal()
        rise, fall = Signal(), Signal()
        bits = Signal(3)
        shift_in, shift_out = Signal(7), Signal(8)
        # Bytes of the buffer left to send, beginning with the one in `shift_out` unless that is the count.
        left = Signal(range(256))
        counting = Signal()
        m.d.comb += [
            rise.eq(inside & ~cs_n & sck & ~before),
            fall.eq(inside & ~cs_n & ~sck & before),
            self.miso.eq(shift_out[-1]),
            self.waiting.eq(fifo.r_level != 0),
            fifo.w_data.eq(self.i.payload),
            fifo.w_en.eq(self.i.valid),
            self.i.ready.eq(fifo.w_rdy),
        ]
        m.d.sync += [before.eq(sck), inside.eq(~cs_n)]

        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(~inside):
            m.d.sync += [
                bits.eq(0),
                counting.eq(1),
                left.eq(fifo.r_level),
                shift_out.eq(fifo.r_level),
            ]
        with m.If(rise):
            m.d.sync += [shift_in.eq(Cat(mosi, shift_in)), bits.eq(bits + 1)]
            with m.If(bits == 7):
                m.d.sync += counting.eq(0)
                with m.If(~counting & (left != 0)):
                    m.d.comb += fifo.r_en.eq(1)
                    m.d.sync += left.eq(left - 1)
                with m.If(self.o.valid & ~self.o.ready):
                    m.d.comb += self.overflow.eq(1)
                with m.Else():
                    m.d.sync += [self.o.payload.eq(Cat(mosi, shift_in)), self.o.valid.eq(1)]
        with m.If(fall):
            # Half a bit after the last rise: by now the buffer shows its next byte.
            m.d.sync += shift_out.eq(Mux(bits == 0, Mux(left != 0, fifo.r_data, 0), shift_out << 1))
        return m
