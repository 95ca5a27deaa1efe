"""The greatest of several streams of levels, element by element."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pulsefold.compiler.frontend.nodes import OnnxNode
from pulsefold.compiler.frontend.store import Store
from pulsefold.compiler.frontend.values import Pool, Stream
from pulsefold.compiler.frontend.waiting import presented
from pulsefold.compiler.ir.concat import Concat
from pulsefold.compiler.ir.reorder import Reorder

__all__ = ["greatest"]


def greatest(store: Store, streams: Sequence[Stream], node: OnnxNode) -> Stream:
    """The greatest of streams of one meaning: levels of a quantizer, behind rising lines without a clamp.

    Side by side in a pixel they are channels; each becomes a pixel, and a MaxPool goes over these.
    """
    first, count, output = streams[0], len(streams), node.outputs[0]
    height, width, channels = first.shape
    scale, offset = presented(first.lines)
    joined = Concat(
        name=node.name,
        inputs=tuple(str(s.tensor) for s in streams),
        output=store.fresh(f"{output}/joined"),
        sources=(*(p for s in streams for p in s.pending), node.name),
    )
    apart = Reorder(
        name=node.name,
        input=store.add(joined, scale, offset),
        output=store.fresh(f"{output}/apart"),
        index=np.arange(first.index.size * count, dtype=np.int32).reshape(height, width * count, channels),
        sources=(node.name,),
    )
    name = store.add(apart, scale, offset)
    store.quantized.add(name)
    pool = Pool(
        lines=first.lines,
        name=node.name,
        output=output,
        kernel=(1, count),
        stride=(1, count),
        dilation=(1, 1),
        pads=(0, 0, 0, 0),
    )
    return replace(first, tensor=store.add_pool(name, pool, output), pending=())
