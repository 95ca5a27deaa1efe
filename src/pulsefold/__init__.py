"""pulsefold: from a trained, quantized ONNX network to a proven circuit and a bitstream.

The functions of :mod:`pulsefold.api` are here under the names of the command line's verbs.
"""

from importlib.metadata import version as _version

__version__ = _version("pulsefold")

_VERBS = ("boards", "build", "compile", "doctor", "inspect", "report", "simulate", "verify")

__all__ = ["__version__", *_VERBS]  # noqa: PLE0604


def __getattr__(name: str) -> object:
    # Loaded when first used: importing the package must not import the whole tool chain.
    if name in _VERBS:
        from pulsefold import api  # noqa: PLC0415

        return getattr(api, name)
    msg = f"module 'pulsefold' has no attribute {name!r}"
    raise AttributeError(msg)
