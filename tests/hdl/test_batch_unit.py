"""Matrix units whose weights are shared by several frames: values, stalls, and the cycle of every beat."""

import numpy as np
import pytest
from draws import BIPOLAR, INT

from pulsefold.compiler.plan.units import BatchMatVec, MatVec, Steps
from pulsefold.errors import FoldingError


def batch_unit(batch, rows, columns, pe, simd, kind=BIPOLAR, *, steps=True, adder="carry", memory="block"):
    rng = np.random.default_rng(batch)
    functions = Steps(
        thresholds=rng.integers(-5, 5, (rows, 1)),
        descending=np.zeros(rows, bool),
        first=-1,
        type=BIPOLAR,
        limit=columns << kind.bits,
    )
    matvec = MatVec(
        name="fc",
        vectors=batch,
        pixels=batch,
        weights=rng.choice([-1, 1], (rows, columns)),
        weight_type=BIPOLAR,
        type=kind,
        pe=pe,
        simd=simd,
        steps=functions if steps else None,
        memory=memory,
        reach=batch // 2 - 1,
        adder=adder,
    )
    return BatchMatVec(matvec=matvec)


@pytest.mark.parametrize(
    "unit",
    [
        batch_unit(2, 16, 32, 4, 4),
        batch_unit(4, 32, 24, 4, 3),
        batch_unit(4, 16, 32, 2, 4, steps=False),
        batch_unit(2, 20, 30, 4, 5, INT(2, signed=False)),
        batch_unit(2, 12, 16, 3, 4, INT(3, signed=True), adder="tree"),
    ],
    ids=lambda unit: f"{unit.batch}-{unit.matvec.dot.form}",
)
def test_batch(check_unit_quickly, unit):
    # Three passes and more; the first has one frame, as no other has come when it begins.
    check_unit_quickly(unit, 5, frames=3 * unit.batch + 2, burst=unit.batch)


def test_a_lone_frame_waits_for_no_other():
    unit = batch_unit(4, 32, 24, 4, 3)
    beats = unit.input.beats
    alone = unit.schedule(np.arange(beats))
    assert alone[0] == unit.latency_cycles
    assert alone[-1] - alone[0] == unit.pass_cycles - beats
    # Frames that come no faster than passes are sent as if each were alone.
    apart = unit.schedule(np.concatenate([np.arange(beats) + k * 2 * unit.pass_cycles for k in range(3)]))
    np.testing.assert_array_equal(
        apart.reshape(3, -1) - 2 * unit.pass_cycles * np.arange(3)[:, None], np.tile(alone, (3, 1))
    )


@pytest.mark.parametrize(
    ("batch", "rows", "columns", "message"),
    [(3, 32, 24, "a batch of 3"), (8, 32, 24, "batch 8 with 8 beats"), (4, 8, 64, "batch 4 with 2 beats")],
)
def test_batches_that_cannot_be(batch, rows, columns, message):
    with pytest.raises(FoldingError, match=message):
        batch_unit(batch, rows, columns, 4, 3 if columns == 24 else 4)


def test_frames_share_weights_in_block_ram_alone():
    with pytest.raises(FoldingError, match="weights in LUTs"):
        batch_unit(2, 16, 32, 4, 4, memory="lut")
