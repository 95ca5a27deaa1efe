"""A board that a network runs on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from pulsefold.errors import DeviceError, InputArrayError
from pulsefold.firmware.packing import element_type, from_bytes, to_bytes
from pulsefold.firmware.sender import Segment
from pulsefold.firmware.session import Session, SessionLostError
from pulsefold.firmware.transport import Transport
from pulsefold.hdl.debug.upload import DIGEST_BYTES
from pulsefold.hdl.link.protocol import DEBUG_TENSOR, WEIGHTS_TENSOR, Feature, Hello, TensorFormat

__all__ = ["Board", "UnitCounts"]

#: Images made into bytes at a time.
_GROUP_BYTES = 1 << 16

#: Times that a board may be reset in the middle of one batch.
_RESETS = 3


@dataclass(frozen=True, slots=True)
class UnitCounts:
    """Cycles of the network's clock.

    Parameters
    ----------
    cycles
        All of them.
    starved
        Those in which the unit would have taken input and there was none.
    stalled
        Those in which it could not go on because its output was not taken.
    """

    cycles: int
    starved: int
    stalled: int

    @property
    def busy(self) -> int:
        """Those in which it worked: the others."""
        return (self.cycles - self.starved - self.stalled) & 0xFFFFFFFF


class Board:
    """An open board; made by :meth:`open`, and a context manager.

    It speaks in the integers of the graph; :mod:`pulsefold.running` puts quantization and presentation
    around it.

    Parameters
    ----------
    transport
        The port.
    timeout
        Seconds without progress after which anything is given up.
    retry_seconds
        How long the line may be quiet before the board is asked how things stand: longer than the way there
        and back, and than half of the board's input slots take on the line.
    """

    def __init__(self, transport: Transport, *, timeout: float = 5.0, retry_seconds: float = 0.1) -> None:
        self._transport = transport
        self._timeout = timeout
        self._session = Session(transport, retry_seconds=retry_seconds)
        #: What it says of itself.
        self.hello: Hello = self._session.identify(timeout)

    @classmethod
    def open(
        cls,
        port: str,
        *,
        baud: int = 1_000_000,
        design_id: bytes | None = None,
        timeout: float = 5.0,
        retry_seconds: float = 0.1,
    ) -> Board:
        """Open a port and see who is there.

        Parameters
        ----------
        port
            Device, or URL of pyserial's.
        baud
            Rate in bits a second.
        design_id
            The design that is expected; any, if None.
        timeout
            Seconds without progress after which anything is given up.
        retry_seconds
            As for :class:`Board`.

        Raises
        ------
        DeviceError
            If the port cannot be opened, nobody answers, or another design does.
        """
        transport = Transport(port, baud)
        try:
            board = cls(transport, timeout=timeout, retry_seconds=retry_seconds)
            if design_id is not None and board.hello.design_id != design_id:
                raise DeviceError(
                    "the board runs another design",
                    where=port,
                    why=f"its id is {board.hello.design_id.hex()}, and {design_id.hex()} is meant",
                    todo="load this one: pulsefold program DIR",
                )
        except BaseException:
            transport.close()
            raise
        return board

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the session and close the port."""
        try:
            self._session.close()
        except DeviceError:
            # What cannot be told any more need not be told.
            pass
        finally:
            self._transport.close()

    def infer(self, inputs: np.ndarray | Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run a batch.

        Parameters
        ----------
        inputs
            Integers [N, H, W, C], one array an input tensor.

        Returns
        -------
        list of numpy.ndarray
            Integers int64 [N, H, W, C], one array an output tensor.

        Raises
        ------
        InputArrayError
            If an array does not have the shape or range of its tensor.
        DeviceError
            If the board does not do its part in time.
        """
        return self._run(inputs, dict(enumerate(self.hello.outputs)))

    def probe(
        self, inputs: np.ndarray | Sequence[np.ndarray], number: int, tensor: TensorFormat
    ) -> list[np.ndarray]:
        """Run a batch in a session of its own, and look at a stream inside of the network.

        Parameters
        ----------
        inputs
            As for :meth:`infer`.
        number
            Of the stream, from 0.
        tensor
            How its beats are laid out; the board does not tell.

        Returns
        -------
        list of numpy.ndarray
            As of :meth:`infer`, and the stream's integers int64 [N, H, W, C] behind them.

        Raises
        ------
        DeviceError
            If the board has no probe, or does not do its part in time.
        InputArrayError
            As for :meth:`infer`.
        """
        if not self.hello.features & Feature.PROBE:
            raise DeviceError(
                "the board cannot be looked into", todo="compile the design with --probe, build and load it"
            )
        wanted = {**dict(enumerate(self.hello.outputs)), DEBUG_TENSOR: tensor}
        # The stream is chosen before the first beat, and what is chosen stays so until the network's reset.
        self._session.ready = False
        try:
            return self._run(inputs, wanted, [(DEBUG_TENSOR, bytes([number + 1]))])
        finally:
            self._session.ready = False

    def loaded(self) -> bytes:
        """Digest of what the memories of constants hold, zeros where they were loaded in part.

        Raises
        ------
        DeviceError
            If they cannot be written, or the board does not do its part in time.
        """
        return self._weights(b"\0")

    def load(self, contents: bytes, digest: bytes) -> None:
        """Write the memories of constants: see :mod:`pulsefold.hdl.debug.upload`.

        Raises
        ------
        DeviceError
            If they cannot be written, or the board does not do its part in time.
        """
        if self._weights(b"\1" + contents + digest) != digest:
            raise DeviceError(
                "the board did not take the weights", todo="check that it runs this very design"
            )

    def _weights(self, message: bytes) -> bytes:
        """A message to the loader, in a session of its own, and the digest that answers it."""
        if not self.hello.features & Feature.WEIGHTS:
            raise DeviceError(
                "the board's weights cannot be written",
                todo="compile the design with --writable-weights, build and load it",
            )
        resets = 0
        while True:
            answer = bytearray()
            self._session.open(self._timeout)
            try:
                self._session.stream(
                    iter([(WEIGHTS_TENSOR, message)]),
                    {WEIGHTS_TENSOR: DIGEST_BYTES},
                    self._timeout,
                    lambda _, data, into=answer: into.extend(data),
                )
            except SessionLostError:
                resets += 1
                if resets > _RESETS:
                    raise
            else:
                # The loader takes one message a session.
                self._session.ready = False
                return bytes(answer)

    def _run(
        self,
        inputs: np.ndarray | Sequence[np.ndarray],
        wanted: Mapping[int, TensorFormat],
        first: Sequence[Segment] = (),
    ) -> list[np.ndarray]:
        """Send inputs, behind `first` in each session, and take whole images of what is wanted."""
        arrays = self._checked([inputs] if isinstance(inputs, np.ndarray) else list(inputs))
        total, done, resets = len(arrays[0]), 0, 0
        parts: dict[int, list[np.ndarray]] = {index: [] for index in wanted}
        while done < total:
            received = {index: bytearray() for index in wanted}
            if not self._session.ready:
                self._session.open(self._timeout)
            try:
                self._session.stream(
                    itertools.chain(first, self._segments([a[done:] for a in arrays])),
                    {index: (total - done) * tensor.image_bytes for index, tensor in wanted.items()},
                    self._timeout,
                    lambda index, data, into=received: into[index].extend(data),
                )
            except SessionLostError:
                resets += 1
                if resets > _RESETS:
                    raise
            # Whole images count, whatever became of the rest.
            whole = min(len(received[index]) // tensor.image_bytes for index, tensor in wanted.items())
            for index, tensor in wanted.items():
                data = received[index][: whole * tensor.image_bytes]
                parts[index].append(from_bytes(bytes(data), tensor))
            done += whole
        return [
            np.concatenate(parts[index]) if parts[index] else np.zeros((0, *tensor.shape), np.int64)
            for index, tensor in wanted.items()
        ]

    @property
    def sent_again(self) -> int:
        """Frames sent again and results asked for again, as the line lost or damaged them."""
        return self._session.resent + self._session.asked_again

    def counters(self, page: int = 0) -> tuple[int, ...] | None:
        """Counters of the session: see ``firmware/PROTOCOL.md``; None if the board has no such page."""
        return self._session.counters(page, self._timeout)

    def statistics(self) -> tuple[UnitCounts, ...]:
        """What every unit counted since the first input of the session, or nothing.

        The counters have 32 bits and wrap; all are of one moment.
        """
        pages = [self.counters(unit + 1) for unit in range(self.hello.units)]
        return tuple(UnitCounts(*page) for page in pages if page is not None)

    def _checked(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        tensors = self.hello.inputs
        if len(arrays) != len(tensors) or len({len(a) for a in arrays}) != 1:
            raise InputArrayError(f"{len(tensors)} input arrays of one length are meant, not {len(arrays)}")
        for index, (array, tensor) in enumerate(zip(arrays, tensors, strict=True)):
            if array.shape[1:] != tensor.shape:
                msg = (
                    f"its shape is {list(array.shape)}, and [N, {', '.join(map(str, tensor.shape))}] is meant"
                )
                raise InputArrayError(msg, where=f"input {index}")
            if not element_type(tensor).contains(array):
                raise InputArrayError(f"values do not fit {element_type(tensor)}", where=f"input {index}")
        return arrays

    def _segments(self, arrays: list[np.ndarray]) -> Iterator[Segment]:
        tensors = self.hello.inputs
        group = max(1, _GROUP_BYTES // sum(t.image_bytes for t in tensors)) if len(tensors) == 1 else 1
        for start in range(0, len(arrays[0]), group):
            for index, (array, tensor) in enumerate(zip(arrays, tensors, strict=True)):
                yield index, to_bytes(array[start : start + group], tensor)
