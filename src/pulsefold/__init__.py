"""pulsefold: from a trained, quantized ONNX network to a proven circuit and a bitstream.

The functions of :mod:`pulsefold.api` are here under the names of the command line's verbs.
"""

from __future__ import annotations

from importlib.metadata import version as _version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pulsefold.api import (
        boards,
        build,
        compile,
        doctor,
        explore,
        inspect,
        program,
        quantize,
        report,
        run,
        simulate,
        verify,
    )

__version__ = _version("pulsefold")

__all__ = [
    "__version__",
    "boards",
    "build",
    "compile",
    "doctor",
    "explore",
    "inspect",
    "program",
    "quantize",
    "report",
    "run",
    "simulate",
    "verify",
]


def __getattr__(name: str) -> object:
    # Loaded when first used: importing the package must not import the whole tool chain.
    if name in __all__:
        from pulsefold import api  # noqa: PLC0415

        return getattr(api, name)
    msg = f"module 'pulsefold' has no attribute {name!r}"
    raise AttributeError(msg)
