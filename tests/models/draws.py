"""What tests of several units draw: how often, seeds, lanes and foldings."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from pulsefold.compiler.ir import ElementType

INT = ElementType.integer
BIPOLAR, TERNARY = ElementType.bipolar(), ElementType.ternary()

seeds = st.integers(0, 2**31)


def few(examples: int, *, same: bool = True) -> settings:
    """Settings of a test whose every example compiles or interprets a circuit: none is shrunk.

    Parameters
    ----------
    examples
        How many.
    same
        The same each time; else others.
    """
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=same,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )


def divisor(draw, n: int) -> int:
    """Any divisor of a number."""
    return draw(st.sampled_from([d for d in range(1, n + 1) if n % d == 0]))


@st.composite
def foldings(draw, most: int = 6) -> dict[str, int]:
    """Channels up to `most`, lanes that divide them, and pixels."""
    channels = draw(st.sampled_from([c for c in (1, 3, 4, 6, 8) if c <= most]))
    return {"channels": channels, "lanes": divisor(draw, channels), "pixels": draw(st.integers(1, 5))}
