"""Reading an ONNX file that may be anything: refused quickly, with a reason, before it can do harm."""

from __future__ import annotations

import os
from collections.abc import Iterable
from math import prod
from pathlib import Path

import onnx
import onnx.inliner
from google.protobuf.message import DecodeError
from onnx import external_data_helper

from pulsefold.compiler.frontend.contributed import define_contributed
from pulsefold.errors import ModelError

__all__ = ["MAX_ELEMENTS", "check_elements", "check_frame", "load_model"]

#: Largest file, with its external data, in bytes: VGG-19, the largest network in use here, has 575 million.
MAX_BYTES = 1 << 30

#: Most elements of any tensor: the largest fully connected layer of VGG has 103 million.
MAX_ELEMENTS = 1 << 28

#: Most elements of activations: the first layers of U-Net have 21 million.
MAX_FRAME = 1 << 26

#: Most axes of any value.
MAX_RANK = 16

#: Most nodes: a ResNet-152 between QuantizeLinear and DequantizeLinear has about 1500.
MAX_NODES = 20_000

#: Most functions of a model's own: their calls may nest as deep.
MAX_FUNCTIONS = 200

_INLINE = "simplify it, with onnxsim for example"

_SMALLER = "give a model of at most 1 GiB: quantized to 8 bits, its weights take a quarter"

_READABLE = "give a model in ONNX format, as torch.onnx.export, Brevitas or QKeras write it"


def load_model(path: Path | str) -> onnx.ModelProto:
    """The model in a file, its external data loaded; raises ModelError if it isn't one."""
    path = Path(path)
    where = str(path)
    if not path.is_file():
        what = "is not a file" if path.exists() else "no such file"
        raise ModelError(what, where=where, todo="check the path of the model")
    if path.stat().st_size > MAX_BYTES:
        msg = f"a file of {path.stat().st_size} bytes, and the limit is {MAX_BYTES}"
        raise ModelError(msg, where=where, todo=_SMALLER)
    try:
        model = onnx.ModelProto.FromString(path.read_bytes())
    except DecodeError as error:
        msg = "not an ONNX model, or one that was cut short"
        raise ModelError(msg, where=where, why=str(error), todo=_READABLE) from None
    except OSError as error:
        raise ModelError(
            "cannot be read", where=where, why=str(error), todo="check its permissions"
        ) from None
    if not model.ir_version or not model.graph.node:
        raise ModelError("not an ONNX model: it has no nodes", where=where, todo=_READABLE)
    if len(model.graph.node) > MAX_NODES:
        msg = f"it has {len(model.graph.node)} nodes, and the limit is {MAX_NODES}"
        raise ModelError(msg, where=where, todo="simplify it, with onnxsim for example")
    define_contributed(model)
    if model.functions:
        model = _inlined(model, where)
    _check_names(model.graph, where)
    if model.graph.sparse_initializer:
        todo = "store the initializers as dense tensors"
        raise ModelError("sparse initializers are not supported", where=where, todo=todo)
    outside = []
    for tensor in _tensors(model):
        check_elements(tensor.dims, f"tensor {tensor.name!r}")
        if external_data_helper.uses_external_data(tensor):
            outside.append((tensor, *_external(tensor, path.parent)))
    # All of it is known before any is read.
    total = sum(length for *_, length in outside)
    if total > MAX_BYTES:
        msg = f"{total} bytes of external data, and the limit is {MAX_BYTES}"
        raise ModelError(msg, where=where, todo=_SMALLER)
    for tensor, file, offset, length in outside:
        with file.open("rb") as stream:
            stream.seek(offset)
            tensor.raw_data = stream.read(length)
        tensor.ClearField("external_data")
        tensor.data_location = onnx.TensorProto.DEFAULT
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        # Some exporters write 0 or -1 for a size they leave open.
        dims = [d.dim_value for d in value.type.tensor_type.shape.dim if d.dim_value > 0]
        check_elements(dims, f"value {value.name!r}")
    return model


def _inlined(model: onnx.ModelProto, where: str) -> onnx.ModelProto:
    """The model with the bodies of its own functions in place of their calls."""
    if len(model.functions) > MAX_FUNCTIONS:
        msg = f"it has {len(model.functions)} functions of its own, and the limit is {MAX_FUNCTIONS}"
        raise ModelError(msg, where=where, todo=_INLINE)
    bodies = {(f.domain, f.name): [(n.domain, n.op_type) for n in f.node] for f in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(key: tuple[str, str], inside: tuple[tuple[str, str], ...] = ()) -> int:
        """Nodes that a call becomes, counted before any is made: calls of calls multiply."""
        if key in inside:
            todo = "write the model again: a function of ONNX cannot call itself"
            raise ModelError(f"its function {key[1]!r} calls itself", where=where, todo=todo)
        if key not in sizes:
            called = [k for k in bodies[key] if k in bodies]
            sizes[key] = len(bodies[key]) + sum(size(k, (*inside, key)) for k in called)
        return min(sizes[key], MAX_NODES + 1)

    total = sum(size(k) if k in bodies else 1 for k in ((n.domain, n.op_type) for n in model.graph.node))
    if total > MAX_NODES:
        msg = f"it has over {MAX_NODES} nodes once its functions are written out"
        raise ModelError(msg, where=where, todo=_INLINE)
    try:
        return onnx.inliner.inline_local_functions(model)
    # The inliner raises whatever its C++ raises on functions that are not valid.
    except Exception as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        msg = "its functions cannot be written out"
        raise ModelError(msg, where=where, why=why, todo="check the model with onnx.checker") from None


def check_elements(dims: Iterable[int], where: str, *, most: int = MAX_ELEMENTS) -> None:
    """Refuse a shape before anything of that size is allocated."""
    sizes = [int(d) for d in dims]
    todo = "check the dimensions that the model declares"
    if len(sizes) > MAX_RANK:
        msg = f"declares a shape of {len(sizes)} axes, and a tensor may have up to {MAX_RANK}"
        raise ModelError(msg, where=where, todo=todo)
    if any(d < 0 for d in sizes) or prod(d for d in sizes if d) > most:
        msg = f"declares the shape {sizes}, and a tensor may have up to {most} elements"
        raise ModelError(msg, where=where, todo=todo)


def check_frame(dims: Iterable[int], where: str) -> None:
    """The same for activations, which are held element by element."""
    check_elements(dims, where, most=MAX_FRAME)


def _check_names(graph: onnx.GraphProto, where: str) -> None:
    """Refuse a second value of a name: which one counts would be a guess."""
    for what, values in (("initializer", graph.initializer), ("input", graph.input)):
        seen = set()
        for value in values:
            if value.name in seen:
                todo = "write the model again: it is damaged"
                raise ModelError(f"it has the {what} {value.name!r} twice", where=where, todo=todo)
            seen.add(value.name)


def _tensors(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    """Initializers and tensor attributes."""
    found = list(model.graph.initializer)
    for node in model.graph.node:
        for attribute in node.attribute:
            found.extend(attribute.tensors)
            if attribute.type == onnx.AttributeProto.TENSOR:
                found.append(attribute.t)
    return found


def _external(tensor: onnx.TensorProto, folder: Path) -> tuple[Path, int, int]:
    """File, offset and length of a tensor's data, which lie beside the model and nowhere else."""
    where = f"tensor {tensor.name!r}"
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    # Resolved first: neither "..", an absolute path nor a link may lead out of the model's folder.
    file = Path(os.path.realpath(folder / location))
    if not location or not file.is_relative_to(os.path.realpath(folder)):
        msg = f"its data are in {location!r}, outside the folder of the model"
        raise ModelError(msg, where=where, todo="keep external data in the folder of the model")
    if not file.is_file():
        msg = f"its data are in {location!r}, which does not exist"
        raise ModelError(msg, where=where, todo="copy the external data along with the model")
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", -1))
    except ValueError:
        offset = length = -2
    size = file.stat().st_size
    length = size - offset if length == -1 else length
    if offset < 0 or length < 0 or offset + length > size or length > MAX_BYTES:
        msg = f"its data are bytes {offset} to {offset + length} of {location!r}, which has {size}"
        raise ModelError(msg, where=where, todo="copy the external data along with the model")
    return file, offset, length
