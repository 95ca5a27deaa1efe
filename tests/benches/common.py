"""What the benches share."""

import json
import random
from pathlib import Path

import cocotb


def job():
    """Settings from the test that started the simulation."""
    return json.loads(Path(cocotb.plusargs["job"]).read_text())


def pauses(probability, seed):
    """Endless random pauses, as the bus models want them."""
    rng = random.Random(seed)
    while True:
        yield rng.random() < probability
