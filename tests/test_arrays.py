"""Array files that a command line names: several inputs, several outputs, and what is refused."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from pulsefold.arrays import load_inputs, save_outputs
from pulsefold.errors import InputArrayError, OutputError

A, B = np.arange(6).reshape(2, 3), np.ones((2, 1), np.float32)


def test_inputs_by_name_by_archive_and_alone(tmp_path):
    a, b, both = (str(tmp_path / name) for name in ("a.npy", "b.npy", "both.npz"))
    np.save(a, A)
    np.save(b, B)
    np.savez(both, first=A, second=B)
    alone = load_inputs([a])
    assert isinstance(alone, np.ndarray)
    np.testing.assert_array_equal(alone, A)
    for specs in ([f"first={a}", f"second={b}"], [both]):
        found = load_inputs(specs)
        assert isinstance(found, dict)
        assert set(found) == {"first", "second"}
        np.testing.assert_array_equal(found["second"], B)


def test_a_file_with_an_equals_sign_is_a_file(tmp_path):
    path = str(tmp_path / "x=y.npy")
    np.save(path, A)
    np.testing.assert_array_equal(load_inputs([path]), A)


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        (["first=a.npy", "first=a.npy"], "already given"),
        (["a.npy", "a.npy"], "without a name"),
        (["first=both.npz"], "archive"),
        (["bad.npz"], "not a NumPy"),
        (["objects.npz"], "not a NumPy archive"),
        (["first=absent.npy"], "no such file"),
    ],
)
def test_inputs_refused(tmp_path, monkeypatch, specs, message):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", A)
    np.savez("both.npz", first=A)
    np.savez("objects.npz", first=np.array([{}], object))
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(InputArrayError, match=message):
        load_inputs(specs)


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path):
    path = tmp_path / "huge.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"")
        archive.infolist()[0].file_size = 9 << 30
    with pytest.raises(InputArrayError, match="larger than 8 GiB"):
        load_inputs([str(path)])


def test_outputs(tmp_path):
    one, several = {"y": A}, {"y": A, "z": B}
    save_outputs([str(tmp_path / "y.npy")], one)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), A)
    save_outputs([f"z={tmp_path / 'z.npy'}", str(tmp_path / "all.npz")], several)
    np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), B)
    with np.load(tmp_path / "all.npz") as archive:
        assert set(archive.files) == {"y", "z"}
    with pytest.raises(OutputError, match="no output 'w'"):
        save_outputs([f"w={tmp_path / 'w.npy'}"], several)
    with pytest.raises(OutputError, match="the outputs y, z"):
        save_outputs([str(tmp_path / "no.npy")], several)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["all.npz", "y.npy", "z.npy"]
