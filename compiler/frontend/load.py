"""Reading an ONNX file that may be anything: refused quickly, with a reason, before it can do harm."""

from __future__ import annotations

import os
from collections.abc import Iterable
from math import prod
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import external_data_helper

from pulsefold.errors import ModelError

__all__ = ["MAX_ELEMENTS", "check_elements", "load_model"]

#: Largest file, with its external data, in bytes: the limit of the format itself.
MAX_BYTES = 2 << 30

#: Most elements of any tensor: the largest fully connected layer of VGG has 103 million.
MAX_ELEMENTS = 1 << 28

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
        raise ModelError(msg, where=where, todo="give a model of at most 2 GiB")
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
    if model.graph.sparse_initializer:
        todo = "store the initializers as dense tensors"
        raise ModelError("sparse initializers are not supported", where=where, todo=todo)
    budget = MAX_BYTES
    for tensor in _tensors(model):
        check_elements(tensor.dims, f"tensor {tensor.name!r}")
        if external_data_helper.uses_external_data(tensor):
            budget -= _load_external(tensor, path.parent)
            if budget < 0:
                msg = f"more than {MAX_BYTES} bytes of external data"
                raise ModelError(msg, where=where, todo="give a model of at most 2 GiB")
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        # Some exporters write 0 or -1 for a size they leave open.
        dims = [d.dim_value for d in value.type.tensor_type.shape.dim if d.dim_value > 0]
        check_elements(dims, f"value {value.name!r}")
    return model


def check_elements(dims: Iterable[int], where: str) -> None:
    """Refuse a shape before anything of that size is allocated."""
    sizes = [int(d) for d in dims]
    if any(d < 0 for d in sizes) or prod(d for d in sizes if d) > MAX_ELEMENTS:
        msg = f"declares the shape {sizes}, and a tensor may have up to {MAX_ELEMENTS} elements"
        raise ModelError(msg, where=where, todo="check the dimensions that the model declares")


def _tensors(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    """Initializers and tensor attributes."""
    found = list(model.graph.initializer)
    for node in model.graph.node:
        for attribute in node.attribute:
            found.extend(attribute.tensors)
            if attribute.type == onnx.AttributeProto.TENSOR:
                found.append(attribute.t)
    return found


def _load_external(tensor: onnx.TensorProto, folder: Path) -> int:
    """Load the data of a tensor that lie beside the model, and nowhere else; their size in bytes."""
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
    with file.open("rb") as stream:
        stream.seek(offset)
        tensor.raw_data = stream.read(length)
    tensor.ClearField("external_data")
    tensor.data_location = onnx.TensorProto.DEFAULT
    return length
