"""A target of ``fuzzing.py`` for so many seconds: ``fuzz.py TARGET SECONDS [SEED]``; prints what was done.

With atheris (``pip install 'pulsefold[fuzz]'``) inputs are bred for coverage and kept in ``corpus-TARGET`` of
the current folder; without it they are random. An input that fails lies in ``crash-TARGET``.
"""

import importlib
import importlib.util
import os
import random
import sys
import time
from pathlib import Path

# Not everyone's Python has it, so that no tool can look into it.
atheris = importlib.import_module("atheris") if importlib.util.find_spec("atheris") else None

sys.path.insert(0, str(Path(__file__).resolve().parent))

if atheris:
    with atheris.instrument_imports(include=["pulsefold.firmware", "pulsefold.hdl.link.protocol", "fuzzing"]):
        import fuzzing
else:
    import fuzzing


#: Of inputs.
SIZES = (4, 20, 60, 200, 600, 1500)


def main():
    name, seconds = sys.argv[1], float(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    target, count, begun = fuzzing.TARGETS[name], 0, time.monotonic()

    def one(data):
        nonlocal count
        count += 1
        try:
            target(data)
        except BaseException:
            Path(f"crash-{name}").write_bytes(data)
            sys.stderr.write(f"{name}: an input of {len(data)} bytes fails; it is in crash-{name}\n")
            raise
        if time.monotonic() - begun > seconds:
            done()

    def done():
        how = "atheris" if atheris else "random inputs"
        sys.stdout.write(
            f"{name} ({how}): {count} executions in {time.monotonic() - begun:.0f} s, 0 crashes\n"
        )
        sys.stdout.flush()
        # Past libFuzzer, which has more to say of itself than is of interest.
        os._exit(0)

    rng = random.Random(seed)
    # Long ones lead deeper than what grows from nothing.
    begin = [rng.randbytes(rng.choice(SIZES)) for _ in range(100)]
    if atheris:
        corpus = Path(f"corpus-{name}")
        corpus.mkdir(exist_ok=True)
        for k, data in enumerate(begin):
            (corpus / str(k)).write_bytes(data)
        options = ["-max_len=1500", "-verbosity=0", "-timeout=120", f"-seed={seed}", "-rss_limit_mb=4096"]
        atheris.Setup([sys.argv[0], *options, str(corpus)], one)
        atheris.Fuzz()
    for data in begin:
        one(data)
    while True:
        one(rng.randbytes(rng.choice(SIZES)))


if __name__ == "__main__":
    main()
