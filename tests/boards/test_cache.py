"""Cache entries are whole or absent."""

import threading

import pytest

from pulsefold.boards.cache import BuildCache, content_key
from pulsefold.errors import OutputError


def test_key_depends_on_where_parts_end():
    assert content_key(["ab", "c"]) != content_key(["a", "bc"])
    assert content_key(["ab", "c"]) == content_key(["ab", "c"])


def test_entry_is_filled_once(cache):
    calls = []

    def fill(folder):
        calls.append(folder)
        (folder / "result").write_text("done")

    for _ in range(2):
        assert (cache.make("k", fill) / "result").read_text() == "done"
    assert len(calls) == 1
    assert cache.get("k") == cache.root / "k"
    assert cache.get("other") is None


def test_failure_leaves_nothing(cache):
    def fill(folder):
        (folder / "half").write_text("written")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        cache.make("k", fill)
    assert list(cache.root.iterdir()) == []


def test_two_makers_at_once(cache):
    both, results = threading.Barrier(2), []

    def work(text):
        def fill(folder):
            (folder / "result").write_text(text)
            both.wait(timeout=10)

        results.append((cache.make("k", fill) / "result").read_text())

    threads = [threading.Thread(target=work, args=(text,)) for text in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert len(results) == 2
    assert [p.name for p in cache.root.iterdir()] == ["k"]


def test_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write the build cache"):
        BuildCache(root=tmp_path / "file" / "cache").make("k", lambda folder: None)
