"""Post-training quantization: a float model and some of its inputs to a model of integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import onnx

from pulsefold.compiler.quantize.calibration import Images, check_calibration
from pulsefold.compiler.quantize.check import check_operators
from pulsefold.compiler.quantize.equalize import equalize
from pulsefold.compiler.quantize.formats import Plain, Qdq, Qonnx
from pulsefold.compiler.quantize.graph import FloatGraph
from pulsefold.compiler.quantize.histogram import Histogram
from pulsefold.compiler.quantize.layers import Layer, find_layers
from pulsefold.compiler.quantize.observe import observe
from pulsefold.compiler.quantize.placement import Placement, place
from pulsefold.compiler.quantize.quantizer import Quantizer, round_scale
from pulsefold.compiler.quantize.ranges import choose
from pulsefold.compiler.quantize.read import read_float
from pulsefold.compiler.quantize.recipe import Recipe
from pulsefold.compiler.quantize.refine import refine
from pulsefold.compiler.quantize.simplify import simplify
from pulsefold.compiler.quantize.tables import round_tables
from pulsefold.compiler.quantize.weights import LayerWeights

__all__ = ["Quantized", "quantize_model"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quantized:
    """A quantized network.

    Parameters
    ----------
    model
        In the format that was asked for.
    plain
        The same arithmetic in operators that ONNX Runtime has; for QDQ that is `model` itself.
    graph
        The float network in its normal form.
    images
        The calibration data, by input.
    activations
        Quantizer of each quantized value.
    layers
        The linear layers in order.
    weights
        The integers of each layer, by its name.
    format
        ``qdq`` or ``qonnx``.
    """

    model: onnx.ModelProto
    plain: onnx.ModelProto
    graph: FloatGraph
    images: Images
    activations: Mapping[str, Quantizer]
    layers: tuple[Layer, ...]
    weights: Mapping[str, LayerWeights]
    format: str


def quantize_model(
    path: Path,
    calibration: np.ndarray | Mapping[str, np.ndarray],
    recipe: Recipe,
    say: Callable[[str], None],
) -> Quantized:
    """Quantize the float model in a file.

    Parameters
    ----------
    path
        ONNX file: float32, float16 or float64, opset 7 or newer.
    calibration
        Inputs of the model, first axis the batch: some hundreds that are like those it will meet. An array of
        its only input, or arrays by input name.
    recipe
        How.
    say
        Called with a line of progress now and then.

    Raises
    ------
    ModelError, UnsupportedNodeError
        See :func:`pulsefold.compiler.quantize.read.read_float`.
    InputArrayError
        The calibration data don't belong to the model, or are not finite.
    """
    say(f"reading {path.name}")
    graph = read_float(path, recipe.opset)
    simplify(graph)
    check_operators(graph)
    if recipe.equalize:
        equalize(graph)
    x = check_calibration(calibration, graph)
    round_tables(graph)
    placement = place(graph)
    layers = find_layers(graph, placement, recipe)
    histograms = observe(graph, placement.values, x, say)
    activations = _activations(placement, layers, histograms, recipe)
    activations.update(_pixels(x, placement, activations))
    say("rounding weights")
    weights = refine(graph, layers, activations, x, recipe, say)
    say("writing the model")
    scales = {layer.name: float(activations[layer.source].scale) for layer in layers}
    unsigned = not recipe.weights.signed
    writer = (Qdq if recipe.qdq else Qonnx)(graph, activations, weights, scales, unsigned=unsigned)
    model = writer.write()
    plain = model if recipe.qdq else Plain(graph, activations, weights, scales).write()
    return Quantized(
        model=model,
        plain=plain,
        graph=graph,
        images=x,
        activations=activations,
        layers=layers,
        weights=weights,
        format="qdq" if recipe.qdq else "qonnx",
    )


def _activations(
    placement: Placement,
    layers: tuple[Layer, ...],
    histograms: Mapping[str, Histogram],
    recipe: Recipe,
) -> dict[str, Quantizer]:
    """A quantizer for each value; one for all values of a group."""
    wide = {layer.source for layer in layers if layer.edge}
    found: dict[str, Quantizer] = {}
    for group in placement.groups:
        kinds = [recipe.activations]
        if wide.intersection(group):
            kinds.append(recipe.edges)
        if not placement.by_linear.intersection(group):
            kinds.append(recipe.sums)
        bits = max(kind.bits for kind in kinds)
        histogram = reduce(Histogram.merged, (histograms[name] for name in group))
        # Of the input, what the data are is all there is to know.
        never_negative = all(
            name in placement.nonnegative or (name in placement.inputs and histograms[name].low >= 0)
            for name in group
        )
        quantizer = choose(
            histogram,
            method=recipe.method,
            bits=bits,
            signed=recipe.activations.signed and not never_negative,
            asymmetric=not recipe.activations.signed and not never_negative,
        )
        found.update(dict.fromkeys(group, quantizer))
    return found


def _pixels(x: Images, placement: Placement, activations: Mapping[str, Quantizer]) -> dict[str, Quantizer]:
    """Inputs in steps of one, where they are integers that fit: nothing is rounded then."""
    made = {}
    for name, source in placement.inputs.items():
        found = activations.get(name)
        if found is not None and found.bits == 8:
            signed = _is_signed_pixels(x.arrays[source])
            if signed is not None:
                made[name] = Quantizer(bits=8, signed=signed, scale=round_scale(1.0))
    return made


def _is_signed_pixels(x: np.ndarray) -> bool | None:
    """Whether integers of eight bits are signed; None where they are no such integers."""
    low, high = float(x.min()), float(x.max())
    fits = [signed for signed, least in ((False, 0), (True, -128)) if least <= low and high <= least + 255]
    parts = (x[start : start + 64] for start in range(0, len(x), 64))
    return fits[0] if fits and all(np.array_equal(part, np.rint(part)) for part in parts) else None
