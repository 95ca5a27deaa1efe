"""Whether the C++ compiler finds headers that only some simulators need."""

from __future__ import annotations

import os
import subprocess

from pulsefold.boards.toolchain import Tool

__all__ = ["has_headers"]


def has_headers(compiler: Tool, *names: str) -> bool:
    """Whether `compiler` finds every named header."""
    source = "".join(f"#include <{name}>\n" for name in names)
    done = subprocess.run(
        [str(compiler.path), "-E", "-x", "c++", "-o", os.devnull, "-"],
        input=source,
        text=True,
        capture_output=True,
        check=False,
    )
    return done.returncode == 0
