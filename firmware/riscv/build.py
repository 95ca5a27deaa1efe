"""C to the contents of the processor's memory, with the compiler that pip brings."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from pulsefold.boards.process import run_tool
from pulsefold.boards.toolchain import find_tool
from pulsefold.errors import DoesNotFitError, ToolFailedError

__all__ = ["build_program"]

_HERE = Path(__file__).parent

#: What the linker script says when stack and data meet.
_FULL = "leaves no 256 bytes of stack"


def build_program(header: str, memory_bytes: int, log: Path, *, main: Path | None = None) -> list[int]:
    """Compile a program for the processor of :mod:`pulsefold.hdl.riscv.system`.

    Parameters
    ----------
    header
        Text of ``network.h``.
    memory_bytes
        Size of the memory, which holds program, images and stack.
    log
        File that takes what the compiler says.
    main
        The program; by default the one that classifies the images.

    Returns
    -------
    list[int]
        Words of the memory from address 0 on.

    Raises
    ------
    ToolMissingError, ToolFailedError
        If there is no compiler, or it finds fault with the program.
    DoesNotFitError
        If the program and its images are too large.
    """
    zig = find_tool("zig")
    with tempfile.TemporaryDirectory(prefix="pulsefold-") as name:
        folder = Path(name)
        (folder / "network.h").write_text(header, encoding="utf-8")
        for file in ("pulsefold.h", "start.S"):
            shutil.copyfile(_HERE / file, folder / file)
        script = (_HERE / "link.ld").read_text(encoding="utf-8")
        (folder / "link.ld").write_text(f"_memory_bytes = {memory_bytes};\n{script}", encoding="utf-8")
        shutil.copyfile(main or _HERE / "main.c", folder / "main.c")
        compile_ = [
            *("cc", "-target", "riscv32-freestanding-none", "-mcpu=generic_rv32", "-Os", "-std=c11"),
            *("-ffreestanding", "-fno-builtin", "-Wall", "-Wextra", "-Werror", "-static"),
            *("-fno-sanitize=all", "-Wl,--gc-sections"),
            *("-T", "link.ld", "start.S", "main.c", "-o", "program.elf"),
        ]
        try:
            run_tool(zig, compile_, cwd=folder, log=log)
        except ToolFailedError as error:
            if _FULL not in log.read_text(encoding="utf-8", errors="replace"):
                raise
            raise DoesNotFitError(
                f"the program and its images do not fit {memory_bytes} bytes",
                where=str(log),
                todo="give fewer images",
            ) from error
        run_tool(zig, ["objcopy", "-O", "binary", "program.elf", "program.bin"], cwd=folder, log=log)
        content = (folder / "program.bin").read_bytes()
    content += bytes(-len(content) % 4)
    return [int.from_bytes(content[n : n + 4], "little") for n in range(0, len(content), 4)]
