"""Small ONNX networks made on the spot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

QONNX = "qonnx.custom_op.general"


class Net:
    """A straight line of nodes; every method adds one to the last value."""

    def __init__(self, *shape: int | str, dtype: int = TensorProto.FLOAT, name: str = "x") -> None:
        self.inputs = [helper.make_tensor_value_info(name, dtype, shape)]
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.last = name
        self.opsets = [("", 13), (QONNX, 1)]
        self.output_type = TensorProto.FLOAT
        self.outputs: list[str] = []

    def const(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def add(
        self, kind: str, *rest: str, first: Sequence[str] | None = None, domain: str = "", **attributes: Any
    ) -> Net:
        """Node of a kind on the last value and `rest` (or on `first` alone)."""
        output = f"v{len(self.nodes)}"
        inputs = list(first) if first is not None else [self.last, *rest]
        name = attributes.pop("name", f"{kind.lower()}{len(self.nodes)}")
        self.nodes.append(helper.make_node(kind, inputs, [output], name=name, domain=domain, **attributes))
        self.last = output
        return self

    def quant(
        self,
        scale: Any = 1.0,
        zero: Any = 0.0,
        bits: float = 8,
        *,
        signed: bool = True,
        narrow: bool = False,
        mode: str | None = "ROUND",
        of: str | None = None,
    ) -> Net:
        rest = [self.const(scale), self.const(zero), self.const(bits)]
        attributes: dict[str, Any] = {"signed": int(signed), "narrow": int(narrow)}
        if mode is not None:
            attributes["rounding_mode"] = mode
        first = None if of is None else [of, *rest]
        return self.add("Quant", *rest, first=first, domain=QONNX, **attributes)

    def bipolar(self, scale: Any = 1.0, of: str | None = None) -> Net:
        rest = [self.const(scale)]
        return self.add("BipolarQuant", *rest, first=None if of is None else [of, *rest], domain=QONNX)

    def weights(self, value: Any, **quant: Any) -> str:
        """A weight tensor behind a Quant; the last value stays what it was."""
        last = self.last
        self.quant(of=self.const(value), **quant)
        name, self.last = self.last, last
        return name

    def conv(self, weights: str, *rest: str, **attributes: Any) -> Net:
        return self.add("Conv", weights, *rest, **attributes)

    def bn(self, gamma: Any, beta: Any, mean: Any, var: Any, **attributes: Any) -> Net:
        return self.add(
            "BatchNormalization", *(self.const(v) for v in (gamma, beta, mean, var)), **attributes
        )

    def model(self) -> onnx.ModelProto:
        outputs = self.outputs or [self.last]
        graph = helper.make_graph(
            self.nodes,
            "net",
            self.inputs,
            [helper.make_empty_tensor_value_info(o) for o in outputs],
            self.initializers,
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in self.opsets]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    def save(self, folder: Path) -> Path:
        path = folder / "net.onnx"
        path.write_bytes(self.model().SerializeToString())
        return path


@pytest.fixture
def net() -> Callable[..., Net]:
    """Starts a network: net("N", 3, 8, 8)."""
    return Net


@pytest.fixture(scope="session")
def net_type() -> type[Net]:
    """The same for hypothesis, which wants fixtures that live through all examples."""
    return Net


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where hypothesis examples write their model."""
    return tmp_path_factory.mktemp("nets")
