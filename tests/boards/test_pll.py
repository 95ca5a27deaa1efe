"""PLL settings: within every limit, and the nearest there are."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsefold.boards import get_board
from pulsefold.boards.pll import Ecp5Pll, GowinPll, Ice40Pll, find_pll, highest_clock
from pulsefold.errors import PulsefoldError

MHZ = st.integers(1, 4000).map(lambda n: Fraction(n, 8))


@settings(deadline=None, max_examples=60)
@given(source=st.sampled_from([12, 25, 27, 48, 100]), wanted=MHZ.filter(lambda f: 4 <= f <= 400))
def test_ecp5_limits(source, wanted):
    pll = Ecp5Pll.nearest(Fraction(source), wanted)
    assert pll is not None
    pfd = Fraction(source, pll.input_divider)
    vco = pfd * pll.feedback_divider * pll.feedback_output_divider
    assert 10 <= pfd <= 400
    assert 400 <= vco <= 800
    assert Fraction(25, 8) <= vco / pll.feedback_output_divider <= 400
    assert pll.output_mhz == vco / pll.output_divider <= 400
    assert all(
        1 <= d <= 128
        for d in (pll.input_divider, pll.feedback_divider, pll.feedback_output_divider, pll.output_divider)
    )


@settings(deadline=None, max_examples=30)
@given(source=st.sampled_from([12, 16, 50]), wanted=MHZ.filter(lambda f: 16 <= f <= 275))
def test_ice40_is_the_nearest_of_all(source, wanted):
    pll = Ice40Pll.nearest(Fraction(source), wanted)
    assert pll is not None
    every = [
        Ice40Pll(input_mhz=Fraction(source), divr=divr, divf=divf, divq=divq)
        for divr in range(16)
        for divf in range(128)
        for divq in range(1, 7)
    ]
    distances = [abs(p.output_mhz - wanted) for p in every if p.legal]
    assert pll.legal
    assert abs(pll.output_mhz - wanted) == min(distances)
    assert 533 <= Fraction(source, pll.divr + 1) * (pll.divf + 1) <= 1066


@settings(deadline=None, max_examples=20)
@given(
    source=st.sampled_from([24, 27, 50]),
    wanted=MHZ.filter(lambda f: 4 <= f <= 600),
    limits=st.sampled_from([("GW1N-9C", 400, 1200), ("GW2A-18C", 500, 1250)]),
)
def test_gowin_is_the_nearest_of_all(source, wanted, limits):
    die, slowest, fastest = limits
    pll = GowinPll.nearest(Fraction(source), wanted, die=die)
    assert pll is not None
    every = [
        GowinPll(input_mhz=Fraction(source), input_divider=i, feedback=f, output_divider=o, die=die)
        for i in range(1, 65)
        for f in range(1, 65)
        for o in (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)
    ]
    distances = [abs(p.output_mhz - wanted) for p in every if p.legal]
    assert pll.legal
    assert abs(pll.output_mhz - wanted) == min(distances)
    assert slowest <= pll.output_mhz * pll.output_divider <= fastest


@pytest.mark.parametrize("wanted", [50, 100, 125, 130, 133, 150, 200])
def test_ecp5_usual_clocks(wanted):
    found = find_pll(get_board("ulx3s-25f"), wanted).output_mhz
    assert abs(found - wanted) <= Fraction(wanted, 200)


@pytest.mark.parametrize(
    ("board", "wanted"),
    [
        ("ulx3s-25f", 1.0),
        ("ulx3s-25f", 500.0),
        ("icebreaker", 8.0),
        ("tang-nano-9k", 700.0),
        ("crosslink-nx-evn", 24.0),
    ],
)
def test_impossible_clock_is_the_users_error(board, wanted):
    with pytest.raises(PulsefoldError, match="cannot make") as caught:
        find_pll(get_board(board), wanted)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["icebreaker", "ulx3s-85f", "tang-nano-9k", "tang-nano-20k"])
@settings(deadline=None, max_examples=25)
@given(limit=MHZ.filter(lambda f: 20 <= f <= 270))
def test_highest_clock_is_the_highest_of_all(name, limit):
    board = get_board(name)
    found = highest_clock(board, float(limit))
    assert found is not None
    assert found <= limit
    # None lies between: whatever is asked for in there, the nearest is at the ends or beyond.
    source = Fraction(str(board.clock_mhz))
    nearest = {
        "ecp5": lambda f: Ecp5Pll.nearest(source, f),
        "ice40": lambda f: Ice40Pll.nearest(source, f),
        "gowin": lambda f: GowinPll.nearest(source, f, die=board.package),
    }[board.family]
    for part in range(1, 12):
        pll = nearest(found + (limit - found) * Fraction(part, 11))
        assert not found < pll.output_mhz <= limit


def test_highest_clock_of_oscillators():
    assert highest_clock(get_board("crosslink-nx-evn"), 100.0) == 12
    assert highest_clock(get_board("crosslink-nx-evn"), 11.0) is None
    # Below what the PLL makes, the oscillator's own clock is left.
    assert highest_clock(get_board("icebreaker"), 15.0) == 12
