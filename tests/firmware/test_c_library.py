"""The library in C, call by call: what it makes of bytes is what the Python driver makes of them."""

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsefold.boards.toolchain import find_tool
from pulsefold.errors import ToolMissingError
from pulsefold.firmware.packing import element_type, from_bytes, to_bytes
from pulsefold.hdl.link.protocol import (
    MAX_PAYLOAD,
    Frame,
    FrameDecoder,
    FrameError,
    Hello,
    Kind,
    Status,
    TensorFormat,
    Type,
    encode,
)

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parents[1] / "firmware" / "c"
STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")

BYTE = st.integers(0, 255)
FRAMES = st.builds(
    Frame, type=BYTE, number=BYTE, extra=BYTE, payload=st.binary(max_size=MAX_PAYLOAD) | st.binary(max_size=9)
)
EXAMPLES = settings(deadline=None, max_examples=200)


@pytest.fixture(scope="module")
def ask(c_variant):
    """Gives ``vectors.c``, under the sanitizers, a command, and takes its answer."""
    library = c_variant("sanitized")
    program = library.folder / "vectors"
    subprocess.run(
        [
            *(
                "gcc",
                *STRICT,
                "-g",
                "-fsanitize=address,undefined",
                "-fno-sanitize-recover=all",
                f"-I{SOURCES}",
            ),
            *(str(HERE / "vectors.c"), str(library.folder / "libpulsefold.a"), "-o", str(program)),
        ],
        check=True,
    )
    with subprocess.Popen(
        [str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        to, of = process.stdin, process.stdout
        assert to is not None
        assert of is not None

        def ask(*words):
            to.write(" ".join(w.hex() or "-" if isinstance(w, bytes) else str(w) for w in words) + "\n")
            to.flush()
            return of.readline().rstrip("\n")

        yield ask
        to.close()
        assert process.wait(10) == 0


def zig():
    try:
        return find_tool("zig")
    except ToolMissingError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    "target", [(), ("-target", "aarch64-macos"), ("-target", "riscv32-linux-musl")], ids=str
)
def test_other_compilers_have_nothing_to_say(target, tmp_path):
    """Clang, for this machine, for macOS, and for one of 32 bits."""
    command = [str(zig().path), "cc", *target, *STRICT, f"-I{SOURCES}", "-c"]
    for source in [*SOURCES.glob("*.c"), *SOURCES.glob("examples/*.c")]:
        ran = subprocess.run(
            [*command, str(source), "-o", str(tmp_path / "o")],
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert ran.returncode == 0, ran.stderr


def test_the_library_has_no_heap_and_no_files(c_variant):
    """All that it takes of the C library, but for the port."""
    library = c_variant("plain").folder / "libpulsefold.a"
    listed = subprocess.run(["nm", "-u", str(library)], check=True, capture_output=True, text=True).stdout
    per_file = {part.split(":")[0]: part.split()[1:] for part in listed.split("\n\n") if part.strip()}
    wanted = {
        name
        for file, words in per_file.items()
        if file != "posix.o"
        for name in words
        if name != "U" and not name.startswith(("pf_", "_GLOBAL_OFFSET_TABLE_", "__stack_chk"))
    }
    assert "sender.o" in per_file
    assert wanted <= {"memcpy", "memset", "memcmp", "memmove"}


def test_memory(tmp_path):
    """What the caller provides, as the README tells it."""
    main = '#include <pulsefold.h>\n#include <stdio.h>\nint main(void) { printf("%zu", sizeof(pf_board)); }\n'
    (tmp_path / "size.c").write_text(main)
    for macros, most in (((), 2560), (("-DPF_SLOTS=8", "-DPF_ARRIVED=64"), 1440)):
        command = ["gcc", *macros, f"-I{SOURCES}", str(tmp_path / "size.c"), "-o", str(tmp_path / "size")]
        subprocess.run(command, check=True)
        size = subprocess.run([str(tmp_path / "size")], check=True, capture_output=True, text=True).stdout
        sys.stdout.write(f"\n  a pf_board with {' '.join(macros) or 'all defaults'}: {size} bytes")
        assert int(size) <= most


@given(FRAMES)
@EXAMPLES
def test_frames_of_one_are_frames_of_the_other(ask, frame):
    line = bytes.fromhex(ask("encode", frame.type, frame.number, frame.extra, frame.payload))
    assert line == encode(frame)
    assert ask("decode", line) == told(frame)


def told(frame):
    if frame is None:
        return "(bad)"
    return f"({frame.type} {frame.number} {frame.extra} {frame.payload.hex() or '-'})"


@given(
    st.lists(FRAMES.map(encode) | st.binary(max_size=40) | st.binary(min_size=250, max_size=600)), st.data()
)
@EXAMPLES
def test_both_find_the_same_frames_in_anything(ask, parts, data):
    line = bytearray(b"".join(parts))
    for place in data.draw(st.lists(st.integers(0, max(0, 8 * len(line) - 1)), max_size=4)):
        if line:
            line[place // 8] ^= 1 << place % 8
    assert ask("decode", bytes(line)) == "".join(told(f) for f in FrameDecoder().feed(bytes(line)))


def test_frames_of_every_size(ask):
    for size in range(MAX_PAYLOAD + 1):
        for payload in (bytes(size), b"\xff" * size, random.Random(size).randbytes(size)):
            frame = Frame(type=Type.DATA, number=size, extra=255 - size, payload=payload)
            assert bytes.fromhex(ask("encode", Type.DATA, size, 255 - size, payload)) == encode(frame)
            assert ask("decode", encode(frame)) == told(frame)


@given(BYTE, BYTE, st.binary(min_size=4, max_size=4) | st.binary(max_size=6))
@EXAMPLES
def test_status(ask, number, extra, payload):
    answer = ask("status", number, extra, payload)
    try:
        s = Status.of(Frame(type=Type.STATUS, number=number, extra=extra, payload=payload))
    except FrameError:
        assert answer == "strange"
    else:
        words = [s.next, s.limit, s.results, s.session, s.attempt, int(s.refused), int(s.bad), s.poll]
        assert answer == " ".join(map(str, words))


TENSORS = st.builds(
    lambda beats, lanes, bits, kind: TensorFormat(
        beats=beats,
        lanes=lanes,
        bits={Kind.BIPOLAR: 1, Kind.TERNARY: 2}.get(kind, bits),
        kind=kind,
        shape=(beats, 1, lanes),
    ),
    st.integers(1, 5),
    st.integers(1, 20),
    st.integers(1, 64),
    st.sampled_from(Kind),
)


def described(*tensors):
    return Hello(
        input_slots=8,
        result_slots=6,
        design_id=bytes(range(16)),
        clock_hz=1,
        inputs=tensors,
        outputs=tensors[:1],
    )


@given(st.lists(TENSORS, min_size=1, max_size=12), st.data())
@EXAMPLES
def test_descriptions(ask, tensors, data):
    """Good ones, and such of which bytes differ: both refuse the same."""
    payload = bytearray(described(*tensors).frame().payload)
    for place in data.draw(st.lists(st.integers(0, len(payload) - 1), max_size=2)):
        payload[place] = data.draw(BYTE)
    payload = bytes(payload[: data.draw(st.sampled_from([len(payload), len(payload), len(payload) - 1]))])
    answer = ask("hello", 1, payload)
    try:
        h = Hello.of(Frame(type=Type.HELLO, number=1, payload=payload))
    except FrameError:
        assert answer == "strange"
        return
    words = [h.input_slots, h.result_slots, h.features, h.units, h.design_id.hex(), h.clock_hz]
    words += [len(h.inputs), len(h.outputs)]
    for t in (*h.inputs, *h.outputs):
        words += [t.beats, t.lanes, t.bits, int(t.kind), *t.shape, t.image_bytes]
    assert answer == " ".join(map(str, words))


@given(TENSORS, st.data())
@EXAMPLES
def test_packing(ask, tensor, data):
    element = element_type(tensor)
    least, most = element.minimum, min(element.maximum, (1 << 63) - 1)
    value = st.sampled_from([-1, 1]) if element.is_bipolar else st.integers(least, most)
    size = tensor.beats * tensor.lanes
    values = data.draw(st.lists(value, min_size=size, max_size=size))
    description = described(tensor).frame().payload
    packed = to_bytes(np.array(values).reshape(1, *tensor.shape), tensor)
    assert bytes.fromhex(ask("pack", description, *values)) == packed
    # Bits that pad a beat are ignored on the way back.
    spoiled = bytearray(packed)
    used = tensor.lanes * tensor.bits
    for beat in range(tensor.beats):
        for bit in range(used, 8 * tensor.beat_bytes):
            spoiled[beat * tensor.beat_bytes + bit // 8] |= data.draw(st.integers(0, 1)) << bit % 8
    for line in (packed, bytes(spoiled)):
        best, *got = map(int, ask("unpack", description, line).split())
        assert got == values == from_bytes(line, tensor).ravel().tolist()
        assert best == values.index(max(values))
    for unfit in [0] if element.is_bipolar else [least - 1, element.maximum + 1]:
        if -(1 << 63) <= unfit < 1 << 63:
            assert ask("pack", description, *values[:-1], unfit) == "unfit"
