"""The whole top level in simulation, from line to line."""

from dataclasses import replace

from amaranth.sim import Simulator

from pulsefold.boards import get_board
from pulsefold.boards.top import BoardTop
from pulsefold.hdl.link.protocol import Frame, FrameDecoder, Hello, Status, Type, encode


def test_line_to_line(core):
    # 12 cycles a bit; the oscillator's clock, so that no PLL has to be simulated.
    board = replace(get_board("icebreaker"), baud=1_000_000)
    top = BoardTop(board, board.clock_mhz, core())
    divisor, sent = 12, [0x00, 0x5A, 0xFF, 0x31]
    session = b"\x34\x12"

    def levels(data):
        bits = [bit for byte in data for bit in [0, *(byte >> n & 1 for n in range(8)), 1]]
        return [level for level in bits for _ in range(divisor)]

    line = [1] * 600
    line += levels(b"\0" + encode(Frame(type=Type.IDENTIFY))) + [1] * 9000
    line += levels(encode(Frame(type=Type.OPEN, payload=session))) + [1] * 2400
    line += levels(encode(Frame(type=Type.DATA, payload=bytes(sent)))) + [1] * 4000
    # Results that are not acknowledged keep small ones back.
    line += levels(encode(Frame(type=Type.ACK, number=1))) + [1] * 4000
    answer, ready = [], []

    async def run(ctx):
        ctx.set(top.reset, 1)  # The button is low when pressed.
        for level in line:
            ctx.set(top.uart_rx, level)
            ctx.set(top.clk, 0)
            await ctx.delay(40e-9)
            ctx.set(top.clk, 1)
            await ctx.delay(40e-9)
            answer.append(ctx.get(top.uart_tx))
            ready.append(not ctx.get(top.led) & 1)

    sim = Simulator(top)
    sim.add_testbench(run)
    sim.run()
    assert not ready[500]
    assert ready[-1]

    received, at = [], 600
    while 0 in answer[at:]:
        start = answer.index(0, at)
        received.append(sum(answer[start + divisor // 2 + divisor * (n + 1)] << n for n in range(8)))
        at = start + divisor * 9 + divisor // 2
    hello, opened, *results = FrameDecoder().feed(bytes(received))
    assert hello is not None
    assert Hello.of(hello) == top.hello
    assert opened is not None
    assert Status.of(opened) == Status(next=0, limit=4, results=0, session=0x1234, attempt=0)
    assert [(f.type, f.number) for f in results if f] == [(Type.RESULT, n) for n in range(len(results))]
    assert [byte for f in results if f for byte in f.payload] == [byte ^ 0xFF for byte in sent]
