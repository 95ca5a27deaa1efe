"""A RISC-V processor with memory, the network and a serial line as its peripherals."""

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from pulsefold.errors import ToolMissingError
from pulsefold.hdl.link.pack import BeatParameters, BeatsToBytes, BytesToBeats
from pulsefold.hdl.link.wishbone import WishboneBytes

__all__ = ["RiscvParameters", "RiscvSystem"]

#: Two highest bits of the byte address.
_MEMORY, _NETWORK, _SERIAL = 0, 2, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RiscvParameters:
    """Memory and what it holds at first.

    Parameters
    ----------
    memory_bytes
        Size of the memory, a power of two, 1024 to 65536.
    program
        Words from address 0 on, where the processor starts.
    """

    memory_bytes: int
    program: Sequence[int]

    def __post_init__(self) -> None:
        size = self.memory_bytes
        if not 1024 <= size <= 65536 or size & (size - 1):
            msg = f"memory_bytes must be a power of two between 1024 and 65536, not {size!r}"
            raise ValueError(msg)
        if 4 * len(self.program) > size:
            msg = f"program must be at most {size // 4} words long, not {len(self.program)}"
            raise ValueError(msg)


class RiscvSystem(wiring.Component):
    """Sentinel (RV32I_Zicsr) with one memory for program and data; everything in the ``sync`` domain.

    Byte addresses:

    0x0000_0000
        The memory, repeating every `memory_bytes`.
    0x8000_0000
        The network, a :class:`~pulsefold.hdl.link.wishbone.WishboneBytes`: writing its data register feeds
        the core's `i`, reading it takes of the core's `o`, in the bytes of :mod:`pulsefold.hdl.link.pack`.
    0xC000_0000
        The serial line, another one: `tx` and `rx`.

    A write for which a peripheral has no room is dropped; the program asks its status first. Timing: one wait
    state, for all of them.

    Parameters
    ----------
    core
        Component with stream ports `i` and `o` of any payload.
    parameters
        Memory and program.

    Raises
    ------
    ToolMissingError
        If the processor is not installed.
    """

    #: Bytes to the serial line.
    tx: Out(stream.Signature(8))
    #: Bytes from it.
    rx: In(stream.Signature(8))

    def __init__(self, core: wiring.Component, parameters: RiscvParameters) -> None:
        try:
            # Not needed by anything else, so not everyone has it.
            from sentinel_cpu.top import Top  # noqa: PLC0415
        except ImportError as error:
            raise ToolMissingError(
                "sentinel-cpu is not installed",
                why="it is the RISC-V processor",
                todo="pip install 'pulsefold[riscv]'",
            ) from error
        self.core, self.parameters, self.processor = core, parameters, Top()
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.processor = self.processor
        m.submodules.network = network = WishboneBytes()
        m.submodules.serial = serial = WishboneBytes()
        self._core(m, network)
        wiring.connect(m, serial.o, wiring.flipped(self.tx))
        wiring.connect(m, wiring.flipped(self.rx), serial.i)
        bus = self.processor.bus
        where = bus.adr[28:]
        memory_data, memory_ack = self._memory(m, bus, where == _MEMORY)
        for peripheral, place in ((network, _NETWORK), (serial, _SERIAL)):
            m.d.comb += [
                peripheral.cyc.eq(bus.cyc & (where == place)),
                peripheral.stb.eq(bus.stb),
                peripheral.we.eq(bus.we),
                peripheral.adr.eq(bus.adr[0]),
                peripheral.sel.eq(bus.sel),
                peripheral.dat_w.eq(bus.dat_w),
            ]
        m.d.comb += bus.ack.eq(memory_ack | network.ack | network.err | serial.ack | serial.err)
        with m.Switch(where):
            with m.Case(_NETWORK):
                m.d.comb += bus.dat_r.eq(network.dat_r)
            with m.Case(_SERIAL):
                m.d.comb += bus.dat_r.eq(serial.dat_r)
            with m.Default():
                m.d.comb += bus.dat_r.eq(memory_data)
        return m

    def _core(self, m: Module, network: WishboneBytes) -> None:
        source, sink = self.core.i, self.core.o
        m.submodules.core = self.core
        m.submodules.unpack = unpack = BytesToBeats(BeatParameters(width=len(Value.cast(source.payload))))
        m.submodules.pack = pack = BeatsToBytes(BeatParameters(width=len(Value.cast(sink.payload))))
        wiring.connect(m, network.o, unpack.i)
        wiring.connect(m, pack.o, network.i)
        m.d.comb += [
            Value.cast(source.payload).eq(unpack.o.payload),
            source.valid.eq(unpack.o.valid),
            unpack.o.ready.eq(source.ready),
            pack.i.payload.eq(Value.cast(sink.payload)),
            pack.i.valid.eq(sink.valid),
            sink.ready.eq(pack.i.ready),
        ]

    def _memory(self, m: Module, bus, selected) -> tuple[Value, Signal]:
        p = self.parameters
        words = p.memory_bytes // 4
        m.submodules.memory = memory = Memory(shape=32, depth=words, init=p.program)
        read, write = memory.read_port(), memory.write_port(granularity=8)
        ack, start = Signal(), Signal()
        m.d.comb += [
            start.eq(bus.cyc & bus.stb & selected & ~ack),
            read.addr.eq(bus.adr),
            read.en.eq(start & ~bus.we),
            write.addr.eq(bus.adr),
            write.data.eq(bus.dat_w),
            write.en.eq(Cat(start & bus.we & lane for lane in bus.sel)),
        ]
        m.d.sync += ack.eq(start)
        return read.data, ack
