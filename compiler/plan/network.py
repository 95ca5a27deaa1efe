"""The network of units: layers' units, what joins them, and which output feeds which input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pulsefold.compiler.ir import Graph, Requantize
from pulsefold.compiler.plan.layers import Fold, Layer, converters
from pulsefold.compiler.plan.lower import units_of
from pulsefold.compiler.plan.units import DepthwiseUnit, Fork, MatVec, Stream, Unit

__all__ = ["Network", "Source", "connect_layers", "entries_of", "exits_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a stream comes from.

    Parameters
    ----------
    unit
        Number of the unit that drives it; None: the design's input number `port`.
    port
        Which of its outputs.
    """

    unit: int | None
    port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """Units in an order in which each comes behind those that it reads.

    Parameters
    ----------
    units
        All of them.
    owners
        Layer name of each.
    tensors
        Name of the graph tensor that each computes; None where it computes none.
    sources
        What drives each input of each.
    inputs
        The design's input streams, one for each tensor of :func:`entries_of`.
    results
        What drives the design's outputs, one for each tensor of :func:`exits_of`.
    """

    units: tuple[Unit, ...]
    owners: tuple[str, ...]
    tensors: tuple[str | None, ...]
    sources: tuple[tuple[Source, ...], ...]
    inputs: tuple[Stream, ...]
    results: tuple[Source, ...]

    def stream(self, source: Source) -> Stream:
        """The stream of a source."""
        if source.unit is None:
            return self.inputs[source.port]
        return self.units[source.unit].outputs[source.port]

    @property
    def outputs(self) -> tuple[Stream, ...]:
        """The design's output streams."""
        return tuple(self.stream(source) for source in self.results)

    @property
    def straight(self) -> bool:
        """Whether every unit reads the one before it alone."""
        return all(
            sources == (Source(unit=k - 1 if k else None),) for k, sources in enumerate(self.sources)
        ) and self.results == (Source(unit=len(self.units) - 1),)

    def with_depths(self, depths: Mapping[tuple[int, int], int]) -> Network:
        """The same with output buffers of at least some depths, by unit and port."""
        units = list(self.units)
        for (k, port), depth in depths.items():
            old = list(units[k].buffer_depths)
            old[port] = max(old[port], depth)
            units[k] = units[k].with_depths(tuple(old))
        return replace(self, units=tuple(units))


def entries_of(graph: Graph) -> tuple[str, ...]:
    """Tensors that come from outside, in the order of the graph's inputs."""
    made = {node.output for node in graph.nodes}
    named = [i.tensor for i in graph.inputs]
    read = [name for node in graph.nodes for name in node.inputs if name not in made]
    return tuple(name for name in dict.fromkeys([*named, *read]) if graph.readers(name))


def exits_of(graph: Graph) -> tuple[str, ...]:
    """Tensors that go outside, each once, in the order of the graph's outputs; else the unread ones."""
    named = [output.tensor for output in graph.outputs]
    return tuple(dict.fromkeys(named or [n.output for n in graph.nodes if not graph.readers(n.output)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One use of a tensor: by an input of a layer's first unit, or by an output of the design (None)."""

    layer: str | None
    port: int


def connect_layers(graph: Graph, layers: Sequence[Layer], folds: Mapping[str, Fold], family: str) -> Network:
    """Units of all layers, forks where a tensor is read more than once, and converters to readers' lanes."""
    return _Builder(graph, layers, folds, family).build()


class _Builder:
    def __init__(self, graph: Graph, layers: Sequence[Layer], folds: Mapping[str, Fold], family: str) -> None:
        self.layers = layers
        self.runs = {layer.name: units_of(layer, folds[layer.name], family) for layer in layers}
        #: Cycles a frame of the slowest layer.
        self.pace = max(unit.cycles for run in self.runs.values() for unit in run)
        self.entries, self.exits = entries_of(graph), exits_of(graph)
        self.units: list[Unit] = []
        self.owners: list[str] = []
        self.tensors: list[str | None] = []
        self.sources: list[tuple[Source, ...]] = []
        self.inputs: list[Stream] = []
        self.readers: dict[str, list[Reader]] = {name: [] for name in graph.tensors}
        for layer in layers:
            for port, x in enumerate(layer.streams):
                self.readers[x.name].append(Reader(layer=layer.name, port=port))
        for port, name in enumerate(self.exits):
            self.readers[name].append(Reader(layer=None, port=port))
        self.feeds: dict[Reader, Source] = {}

    def build(self) -> Network:
        for port, name in enumerate(self.entries):
            where, first = next((r, r.layer) for r in self.readers[name] if r.layer is not None)
            stream = self.runs[first][0].inputs[where.port]
            self.inputs.append(stream)
            self.spread(name, first, Source(unit=None, port=port), stream)
        for layer in self.layers:
            run = self.runs[layer.name]
            at = [self.feeds[Reader(layer=layer.name, port=port)] for port in range(len(layer.streams))]
            for k, unit in enumerate(run):
                at = [self.add(unit, layer.name, self.computed(layer, unit, last=k == len(run) - 1), *at)]
            self.spread(layer.y.name, layer.name, at[0], run[-1].outputs[0])
        return Network(
            units=tuple(self.units),
            owners=tuple(self.owners),
            tensors=tuple(self.tensors),
            sources=tuple(self.sources),
            inputs=tuple(self.inputs),
            results=tuple(self.feeds[Reader(layer=None, port=port)] for port in range(len(self.exits))),
        )

    def computed(self, layer: Layer, unit: Unit, *, last: bool) -> str | None:
        """Tensor of a layer's unit; None where it is none of the graph's, or not in its order."""
        if last:
            return layer.y.name
        sums = isinstance(unit, MatVec | DepthwiseUnit)
        apart = isinstance(layer.steps, Requantize) or (layer.steps and layer.depthwise)
        ordered = not isinstance(unit, MatVec) or unit.pixels * unit.held == 1 or unit.row_folds == 1
        return layer.node.output if sums and apart and ordered else None

    def add(self, unit: Unit, owner: str, tensor: str | None, *sources: Source) -> Source:
        self.units.append(unit)
        self.owners.append(owner)
        self.tensors.append(tensor)
        self.sources.append(sources)
        return Source(unit=len(self.units) - 1)

    def wanted(self, reader: Reader) -> Stream | None:
        """The stream that a reader takes; None: any."""
        return None if reader.layer is None else self.runs[reader.layer][0].inputs[reader.port]

    def spread(self, tensor: str, owner: str, source: Source, stream: Stream) -> None:
        """From one stream to all its readers."""
        readers = self.readers[tensor]
        lanes = [s.lanes if (s := self.wanted(reader)) else stream.lanes for reader in readers]
        if len(readers) > 1:
            name = f"{tensor}.fork"
            if len(set(lanes)) == 1:
                # Converted once for all.
                source, stream = self.convert(f"{tensor}.common", owner, source, stream, lanes[0])
            fork = Fork(
                name=name,
                type=stream.type,
                lanes=stream.lanes,
                beats=stream.beats,
                buffer_depths=(2,) * len(readers),
            )
            source = self.add(fork, owner, None, source)
        for k, (reader, want) in enumerate(zip(readers, lanes, strict=True)):
            mine = replace(source, port=k) if len(readers) > 1 else source
            name = f"{reader.layer}.input{reader.port or ''}"
            self.feeds[reader], _ = self.convert(name, owner, mine, stream, want)

    def convert(
        self, name: str, owner: str, source: Source, stream: Stream, lanes: int
    ) -> tuple[Source, Stream]:
        """Through the converters to a number of lanes."""
        elements = stream.beats * stream.lanes
        for unit in converters(name, stream.type, elements, stream.lanes, lanes, self.pace):
            source, stream = self.add(unit, owner, None, source), unit.output
        return source, stream
