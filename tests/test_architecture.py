"""The rules between files: imports run one way, and nothing knows the machine it was written on."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("hdl", "compiler", "sim", "firmware", "boards")

#: A module may import from its own level and those below. The longest prefix counts.
LEVELS = {
    "errors": 0,
    # The environment's one reader: tools are looked for from several places.
    "boards.toolchain": 1,
    "compiler.ir": 1,
    "compiler": 2,
    "sim.golden": 2,
    "compiler.plan": 3,
    "hdl": 4,
    "sim": 5,
    "boards": 5,
    "firmware": 6,
    "": 7,
}


def modules():
    """Module name under pulsefold -> file."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            found[".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")] = path
    for path in sorted((ROOT / "src" / "pulsefold").glob("*.py")):
        found[path.stem.replace("__init__", "")] = path
    return found


MODULES = modules()


def level(name):
    parts = name.split(".")
    return next(LEVELS[p] for n in range(len(parts), -1, -1) if (p := ".".join(parts[:n])) in LEVELS)


def imports(path):
    """Every module that the file names in an import."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("name", MODULES)
def test_imports_run_one_way(name):
    for imported in imports(MODULES[name]):
        inside = imported.removeprefix("pulsefold.")
        if inside in MODULES and inside != imported:
            assert level(inside) <= level(name), f"{name or 'pulsefold'} imports {inside}"


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith(("compiler", "sim.golden"))])
def test_compiler_never_needs_amaranth(name):
    assert not [module for module in imports(MODULES[name]) if module.split(".")[0].startswith("amaranth")]


def test_bare_folder_names_are_never_imported():
    for path in [*MODULES.values(), *(ROOT / "tests").rglob("*.py")]:
        assert not {module.split(".")[0] for module in imports(path)} & set(FOLDERS), path


def test_environment_has_one_reader():
    readers = [
        name for name, path in MODULES.items() if re.search(r"\bos\.(environ|getenv)\b", path.read_text())
    ]
    assert readers == ["boards.toolchain"]


def texts():
    """Every text file that people wrote."""
    folders = [*FOLDERS, "src", "tests", "demo", "bench", "docs", ".ci"]
    names = ("*.py", "*.md", "*.toml", "*.lock", "*.json", "*.c", "*.h", "*.cpp", "run", "Makefile")
    for pattern in names:
        yield from ROOT.glob(pattern)
        for folder in folders:
            yield from (ROOT / folder).rglob(pattern)


def test_no_file_names_a_machine():
    # In parts, so that this file does not name one either.
    paths = "|".join("/" + name + "/" for name in ("root", "home", "work", "Users", "mnt"))
    wrong = []
    for path in texts():
        if path.is_file() and (match := re.search(rf"(?<![\w.}}])(?:{paths})", path.read_text())):
            wrong.append(f"{path.relative_to(ROOT)}: {match[0]}")
    assert not wrong
