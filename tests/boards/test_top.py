"""The whole top level in simulation, from line to line."""

from dataclasses import replace

from amaranth.sim import Simulator

from pulsefold.boards import get_board
from pulsefold.boards.top import BoardTop


def test_line_to_line(core):
    # 12 cycles a bit; the oscillator's clock, so that no PLL has to be simulated.
    board = replace(get_board("icebreaker"), baud=1_000_000)
    top = BoardTop(board, board.clock_mhz, core())
    divisor, sent = 12, [0x00, 0x5A, 0xFF, 0x31]
    line = [1] * 600 + [
        level
        for byte in sent
        for bit in [0, *(byte >> n & 1 for n in range(8)), 1]
        for level in [bit] * divisor
    ]
    line += [1] * 300
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
    assert received == [byte ^ 0xFF for byte in sent]
