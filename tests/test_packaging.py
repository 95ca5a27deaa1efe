"""What is installed is what is in the tree, on every way to it."""

import importlib.metadata
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import pulsefold

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("hdl", "compiler", "sim", "firmware", "boards")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def sources():
    """Path in the package -> path in the tree."""
    found = {}
    for folder, prefix in [*((name, f"{name}/") for name in FOLDERS), ("src/pulsefold", "")]:
        for path in sorted((ROOT / folder).rglob("*")):
            inside = path.relative_to(ROOT / folder)
            if path.is_dir() or "__pycache__" in inside.parts:
                continue
            # The links of the editable layout; their targets are listed by themselves.
            if not prefix and inside.parts[0] in FOLDERS:
                continue
            found[f"pulsefold/{prefix}{inside.as_posix()}"] = path
    return found


def built(out, *options):
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), *options, str(ROOT)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    return next(out.glob("*.whl"))


@pytest.mark.parametrize("options", [["--wheel"], []], ids=["from the tree", "from the source archive"])
def test_wheel_holds_the_tree(options, tmp_path):
    with zipfile.ZipFile(built(tmp_path, *options)) as wheel:
        content = {name: wheel.read(name) for name in wheel.namelist() if ".dist-info/" not in name}
    tree = sources()
    assert sorted(content) == sorted(tree)
    assert all(content[name] == path.read_bytes() for name, path in tree.items())


def test_source_archive_holds_tests_and_licence(tmp_path):
    built(tmp_path)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml", "tests/test_packaging.py"} <= names


def test_links_of_the_editable_layout():
    for folder in FOLDERS:
        link = ROOT / "src" / "pulsefold" / folder
        assert link.is_symlink(), folder
        assert not link.readlink().is_absolute(), folder
        assert link.resolve() == ROOT / folder


def test_version_is_in_one_place():
    assert pulsefold.__version__ == importlib.metadata.version("pulsefold") == PROJECT["version"]
    assert PROJECT["version"] not in (ROOT / "src" / "pulsefold" / "__init__.py").read_text()


def test_lock_pins_every_dependency():
    lines = [
        line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")
    ]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    locked = {normal(line.split("==")[0]) for line in lines}
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    names = {normal(match[0]) for text in wanted if (match := re.match(r"[\w.-]+", text))}
    assert names <= locked


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()
