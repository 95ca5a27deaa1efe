"""Other weights for a circuit: a model of the same structure, and what its memories are to hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Fragment

from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.plan.layers import layers_of
from pulsefold.compiler.plan.plan import Plan, make_plan
from pulsefold.compiler.plan.units import Unit
from pulsefold.design import Design
from pulsefold.errors import FoldingError, ModelError, PulsefoldError
from pulsefold.hdl.debug.upload import Uploads, contents
from pulsefold.hdl.units import circuit_for

__all__ = ["contents_of", "retrained"]


def contents_of(plan: Plan) -> bytes:
    """Contents of all memories of constants, as :class:`~pulsefold.hdl.debug.upload.Loader` takes them."""
    uploads = Uploads()
    for unit in plan.units:
        Fragment.get(circuit_for(unit), uploads)
    return contents(uploads.memories)


def retrained(design: Design, path: Path) -> Design:
    """A design as it is with the weights of another model.

    The circuits of both are compared, without the contents of their memories: only where nothing else
    differs can the contents be exchanged.

    Parameters
    ----------
    design
        Whose circuit is on the board.
    path
        ONNX file of the other model, or a build folder of it.

    Returns
    -------
    Design
        The other model's network in the circuit of `design`, whose folder and board it has.

    Raises
    ------
    PulsefoldError
        If the design's weights cannot be written, or the circuit of the other model is another one.
    ModelError
        If there is no model.
    """
    if not design.debug.writable:
        raise PulsefoldError(
            "the design's weights cannot be written",
            where="--weights",
            todo="compile it with --writable-weights, and build and load that",
        )
    model = path / "model.onnx" if path.is_dir() else path
    if not model.is_file():
        raise ModelError("no model here", where=str(path), todo="name an ONNX file or a build folder")
    graph, plan = import_model(model), design.plan
    layers = layers_of(graph)
    if len(layers) != len(plan.layers):
        raise _other(f"{len(layers)} layers, and the design has {len(plan.layers)}", model)
    # Names may have changed; the order says which layer is which.
    folds = {layer.name: plan.folds[mine.name] for layer, mine in zip(layers, plan.layers, strict=True)}
    try:
        found = make_plan(graph, plan.target, folds=folds)
    except FoldingError as error:
        raise _other(error.message, model) from error
    ours, theirs = plan.network, found.network
    if len(ours.units) != len(theirs.units) or (ours.sources, ours.results) != (
        theirs.sources,
        theirs.results,
    ):
        raise _other("its units are joined in another way", model)
    for mine, other in zip(ours.units, theirs.units, strict=True):
        if mine.kind != other.kind or _blank(mine) != _blank(other):
            raise _other(
                f"unit {other.name} ({other.kind}) differs from {mine.name} ({mine.kind}) in more than what "
                "its memories hold: sums of other widths, constants that are wired, or another function",
                model,
            )
    return replace(design, graph=graph, plan=found)


def _blank(unit: Unit) -> str:
    """The circuit without the contents of its memories."""
    return rtlil.convert(circuit_for(unit), name="top", platform=Uploads(blank=True), emit_src=False)


def _other(why: str, model: Path) -> PulsefoldError:
    return PulsefoldError(
        "the model is not one of the design's structure", where=str(model), why=why, todo="compile it anew"
    )
