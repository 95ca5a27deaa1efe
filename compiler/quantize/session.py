"""Running a network in ONNX Runtime, within bounded memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from pulsefold.compiler.quantize.calibration import Images
from pulsefold.compiler.quantize.graph import FloatGraph
from pulsefold.errors import ModelError

__all__ = ["Runner", "opened", "run_batches"]

#: Weights above this many bytes are given in a file, which ONNX Runtime maps, and not copied.
_LARGE = 64 << 20

_DTYPES = {"tensor(uint8)": np.dtype("uint8"), "tensor(int8)": np.dtype("int8")}


class Runner:
    """A network that is loaded.

    Parameters
    ----------
    session
        Of ONNX Runtime.
    types
        Element type of each input, by name.
    batch
        Size of the batch axis where that is fixed.
    """

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self.session = session
        declared = session.get_inputs()
        self.types = {v.name: _DTYPES.get(v.type, np.dtype("float32")) for v in declared}
        sizes = [v.shape[0] for v in declared]
        self.batch = next((size for size in sizes if isinstance(size, int) and size > 0), None)

    def __call__(self, x: Images) -> list[np.ndarray]:
        """All outputs for a batch of any size; axis 0 of each is the batch."""
        if self.batch is None or len(x) == self.batch:
            return self._run(x)
        parts = []
        for start in range(0, len(x), self.batch):
            part = x[start : start + self.batch]
            missing = self.batch - len(part)
            if missing:
                # The last image fills the batch.
                part = part[np.minimum(np.arange(self.batch), len(part) - 1)]
            parts.append([_first(y, self.batch, self.batch - missing) for y in self._run(part)])
        return [np.concatenate(values) for values in zip(*parts, strict=True)]

    def _run(self, x: Images) -> list[np.ndarray]:
        feeds = {name: np.ascontiguousarray(x.arrays[name], kind) for name, kind in self.types.items()}
        try:
            return [np.asarray(y) for y in self.session.run(None, feeds)]
        # onnxruntime has a class of error for each of its status codes, without a common base.
        except Exception as error:
            msg = "the model does not run in ONNX Runtime"
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ModelError(msg, why=why, todo="check the model with onnx.checker") from None


def _first(y: np.ndarray, batch: int, count: int) -> np.ndarray:
    """The part of a result that belongs to the first `count` images of a batch."""
    if y.ndim and y.shape[0] % batch == 0:
        return y[: y.shape[0] // batch * count]
    return y.reshape(1, *y.shape)


@contextmanager
def opened(model: onnx.ModelProto | FloatGraph, outputs: Sequence[str] = ()) -> Iterator[Runner]:
    """Load a model; a float network with these values as its outputs instead of its own, if any."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    # Rearranged copies of the weights would be as large as they are.
    options.add_session_config_entry("session.disable_prepacking", "1")
    # The kernels that replace quantized float operators saturate on some processors.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    with tempfile.TemporaryDirectory(prefix="pulsefold-") as folder:
        path = Path(folder) / "model.onnx"
        if isinstance(model, FloatGraph):
            path.write_bytes(_prepared(model, outputs, Path(folder)).SerializeToString())
        else:
            path.write_bytes(model.SerializeToString())
        try:
            session = onnxruntime.InferenceSession(path, options)
        except Exception as error:
            msg = "the model does not load in ONNX Runtime"
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ModelError(msg, why=why, todo="check the model with onnx.checker") from None
        yield Runner(session)
        del session


def _prepared(model: FloatGraph, outputs: Sequence[str], folder: Path) -> onnx.ModelProto:
    """The model with these outputs; its weights in a file of the folder where they are large."""
    large = sum(v.nbytes for v in model.constants.values()) >= _LARGE
    proto = model.to_model(constants=not large)
    if outputs:
        del proto.graph.output[:]
        proto.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in outputs)
    if not large:
        return proto
    with (folder / "weights").open("wb") as stream:
        for name, value in model.constants.items():
            if value.nbytes < 1024:
                proto.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
                continue
            made = proto.graph.initializer.add(name=name, dims=value.shape)
            made.data_type = helper.np_dtype_to_tensor_dtype(value.dtype)
            made.data_location = TensorProto.EXTERNAL
            # Mapped files are read in whole pages.
            stream.write(b"\0" * (-stream.tell() % 4096))
            for key, text in (("location", "weights"), ("offset", stream.tell()), ("length", value.nbytes)):
                made.external_data.add(key=key, value=str(text))
            stream.write(np.ascontiguousarray(value).data)
    return proto


def run_batches(runner: Runner, x: Images, size: int) -> Iterator[tuple[int, list[np.ndarray]]]:
    """(Images so far, outputs) batch by batch."""
    step = size if runner.batch is None else max(runner.batch, size // runner.batch * runner.batch)
    for start in range(0, len(x), step):
        part = x[start : start + step]
        yield start + len(part), runner(part)
