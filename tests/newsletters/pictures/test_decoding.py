"""A file of somebody's is decoded by a child: whatever that does, the pages go on."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from belong_mail.newsletters.confinement import (
    MAX_ANSWER,
    InvalidFlyer,
    InvalidImage,
    ask,
    read_flyer,
    reencode_image,
)
from belong_mail.newsletters.image_program import encode
from tests.newsletters.flyers.samples import flyer
from tests.newsletters.pictures.samples import HTML, file, outcome, photograph, picture
from tests.waiting import wait_until

SECONDS = 30.0
SMALL = Image.new("RGB", (20, 20))
CONFINED = """
import resource, socket, sys
from belong_mail.newsletters import confinement, image_program
confinement.confine()
"""
TRIED = {
    "a file": "open('/etc/hostname')",
    "a key": "open('/proc/self/environ')",
    "a connection": "socket.socket()",
    "a program": "__import__('os').posix_spawn('/bin/true', ['true'], {}) and open('/dev/null')",
    "more": "resource.setrlimit(resource.RLIMIT_AS, (2**40, 2**40))",
}
# Acts that no limit prevents, in a folder of its user's and with its parent.
BEYOND = {
    "a file less": "os.unlink('kept')",
    "a folder less": "os.rmdir('empty')",
    "another name": "os.rename('kept', 'lost')",
    "a link": "os.symlink('/etc/passwd', 'link')",
    "other rights": "os.chmod('kept', 0o777)",
    "a signal": "os.kill(parent, 0)",
    "a process": "os.fork() or os._exit(0)",
    "its parent's memory": "read_memory()",
    "its parent's steps": "trace()",
}
BESIDE_ITS_PARENT = """
import ctypes, os, struct, sys
import belong_mail.newsletters.image_program
os.chdir(sys.argv[1])
parent, library = os.getppid(), ctypes.CDLL(None)
read, ptrace, seize = library.process_vm_readv, library.ptrace, 0x4206
with open(f"/proc/{parent}/maps") as maps:
    begin = int(maps.read(40).partition("-")[0], 16)
own = ctypes.create_string_buffer(8)
def read_memory():
    here, there = (struct.pack("PL", each, 8) for each in (ctypes.addressof(own), begin))
    if read(parent, here, 1, there, 1, 0) != 8: raise OSError
def trace():
    if ptrace(seize, parent, 0, 0): raise OSError
"""
NO_FILTER = "NOT TESTED: system calls of a decoder; this kernel or machine filters none"
HARMFUL = {
    "eats memory": CONFINED + "hoard = b'x' * 2**31",
    "crashes": "import os; os.abort()",
    "is killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "says nothing": "",
    "exits": "raise SystemExit(1)",
    "reads nothing": "import os; os.close(0)",
    "lies about the kind": 'print(\'{"media_type": "text/html", "width": 1, "height": 1}\')',
    "lies about the size": 'print(\'{"media_type": "image/png", "width": 10**9, "height": 1}\')',
    "lies about the pages": 'print(\'{"pages": 10000, "is_tagged": true}\\n%PDF-\')',
    "lies about what it is": 'print(\'{"pages": 1, "is_tagged": true}\\n<script>\')',
    "lies about the tags": 'print(\'{"pages": 1, "is_tagged": "yes"}\\n%PDF-\')',
    "says yes for a number": 'print(\'{"pages": true, "is_tagged": true}\\n%PDF-\')',
    "says it in many words": 'print(\'{"pages": 1, "is_tagged": true\' + " " * 9999 + "}\\n%PDF-")',
    "says a number without end": 'print(\'{"pages": \' + "9" * 9999 + "}")',
    "lies about the reason": 'print(\'{"refused": "<script>"}\')',
    "says what is no object": "print('[]')",
    "says a reason of another kind": "print('{\"refused\": [1]}')",
    "talks without end": "import sys\nwhile True: sys.stdout.write('x' * 65536)",
}


def program(code: str) -> tuple[str, ...]:
    return (sys.executable, "-B", "-c", code)


def has_filter() -> bool:
    code = "from belong_mail.newsletters import confinement as it\nprint(it.filter_system_calls())"
    return ask(b"", program(code), SECONDS) == b"True\n"


def tries(codes: dict[str, str]) -> str:
    """Return a program that says which of these it was not kept from."""
    return "".join(
        f"try:\n {code}\nexcept (OSError, ValueError): pass\nelse: print({what!r})\n"
        for what, code in codes.items()
    )


def of_two_phones() -> bytes:
    """A JPEG with another behind it, as phones keep a picture with its depth."""
    one = Image.new("RGB", (64, 48), "teal")
    return file(one, "MPO", save_all=True, append_images=[one.copy()])


FILES = {
    "a photograph": photograph(),
    "two in one": of_two_phones(),
    "half a photograph": photograph()[:600],
    **{
        f"{mode} as {kind}": file(Image.new(mode, (1300, 40)), kind)
        for mode, kind in (
            ("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("RGBA", "PNG"),
            ("LA", "PNG"), ("P", "PNG"), ("1", "PNG"), ("I;16", "PNG"), ("RGB", "WEBP"),
            ("RGBA", "WEBP"),
        )
    },
    "a moving WebP": file(SMALL, "WEBP", save_all=True, append_images=[SMALL.copy()]),
    "a moving PNG": file(SMALL, "PNG", save_all=True, append_images=[SMALL.copy()]),
    "a PNG with words": file(SMALL, "PNG", icc_profile=b"x", dpi=(9, 9)),
    "too many pixels": file(Image.new("L", (5001, 5000)), "JPEG"),
    "words": HTML,
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_within_its_limits_a_child_makes_the_same_of_a_file(name):
    assert outcome(reencode_image, FILES[name]) == outcome(encode, FILES[name])


@pytest.mark.parametrize("harm", HARMFUL)
def test_a_child_that_does_harm_makes_a_damaged_file(harm):
    with pytest.raises(InvalidImage, match="damaged"):
        reencode_image(picture(), program(HARMFUL[harm]))
    with pytest.raises(InvalidFlyer, match="damaged"):
        read_flyer(flyer(), program(HARMFUL[harm]))
    assert reencode_image(picture(40, 30)).width == 40


@pytest.mark.parametrize("code", ["import time; time.sleep(999)", "while True: pass"])
def test_a_child_that_does_not_end_is_killed(code):
    with pytest.raises(InvalidImage, match="damaged"):
        reencode_image(picture(), program(code), 0.5)


def test_a_picture_waits_for_no_other_while_pages_wait_for_it(tmp_path):
    """It holds one of two threads: who sends several that take long would stop all pages."""
    begun, seen = tmp_path / "begun", tmp_path / "seen"
    code = f"open({str(begun)!r}, 'w')\nimport os\nwhile not os.path.exists({str(seen)!r}): pass"
    with ThreadPoolExecutor(1) as elsewhere:
        first = elsewhere.submit(reencode_image, picture(), program(code))
        wait_until(begun.exists)
        assert outcome(reencode_image, picture()) == "busy"
        seen.touch()
        with pytest.raises(InvalidImage, match="damaged"):
            first.result()
    assert reencode_image(picture(40, 30)).width == 40


def test_processes_that_a_child_started_end_with_it():
    fork = "import os, time\nprint(os.fork() or time.sleep(999), flush=True)"
    with pytest.raises(InvalidImage):
        reencode_image(picture(), program(fork), 1)


def test_an_answer_without_end_is_cut():
    assert len(ask(b"", program(HARMFUL["talks without end"]), SECONDS)) == MAX_ANSWER


def test_a_child_has_no_environment_and_so_no_keys(monkeypatch):
    monkeypatch.setenv("BELONG_SECRET_KEYS", "geheim")
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    said = json.loads(ask(b"", program(code), SECONDS))
    assert [name for name in said if not name.startswith("LC_")] == []


def test_the_limits_of_a_child_leave_it_no_file_and_no_connection():
    said = ask(b"", program(f"{CONFINED}{tries(TRIED)}print('end')"), SECONDS).split()
    allowed_to_root = {b"more"}
    assert said[-1] == b"end"
    assert set(said[:-1]) <= allowed_to_root


def test_a_child_gives_up_its_rights_before_it_looks_at_what_somebody_sent():
    code = """
from belong_mail.newsletters.confinement import InvalidFlyer, answer
def make(file):
    try: open("/etc/hostname")
    except OSError: raise InvalidFlyer("locked")
    raise InvalidFlyer("acts")
answer(make)
"""
    assert outcome(read_flyer, flyer(), program(code)) == "locked"


@pytest.mark.skipif(not has_filter(), reason=NO_FILTER)
def test_a_child_asks_the_kernel_for_nothing_beyond_its_own_memory(tmp_path):
    """Its limits keep it from no file's name, and from none of its user's processes."""
    (tmp_path / "kept").write_text("kept")
    (tmp_path / "empty").mkdir()
    before = {each.name: each.stat() for each in tmp_path.iterdir()}
    code = f"{BESIDE_ITS_PARENT}{CONFINED}{tries(BEYOND)}print('end')"
    assert ask(b"", (*program(code), str(tmp_path)), SECONDS).split() == [b"end"]
    assert {each.name: each.stat() for each in tmp_path.iterdir()} == before
