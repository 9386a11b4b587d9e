"""Signals and forks in the middle of llama.cpp: each in an interpreter of its own, whose stderr must stay empty."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.tiny_gguf import write_tiny_gguf

_SETUP = """
import os, random, signal, sys, threading, time
from pathlib import Path
import numpy as np
from aspen.errors import ModelError
from aspen.models import _llama_cpp
from aspen.models._llama_cpp.recording import Recorder
# Whatever started the tests in the background has SIGINT ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
path = Path(sys.argv[1])
model = _llama_cpp.load(path, threads=int(sys.argv[2]))
ids = np.arange(120, dtype=np.int32)
expected = model.start_session().prefill(ids)
"""
_INTERRUPTED = """
def interrupted(work, times):
    "How long `work`, done over and over, goes on after SIGINT, in seconds; each time it must end in KeyboardInterrupt."
    delays = random.Random(5)
    slowest = 0.0
    for _ in range(times):
        begun, sent = threading.Event(), []
        def send():
            begun.wait()
            time.sleep(delays.uniform(0.002, 0.02))
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)
        sender = threading.Thread(target=send)
        sender.start()
        try:
            begun.set()
            while not sent or time.perf_counter() < sent[0] + 10:
                work()
            sys.exit("the signal vanished")
        except KeyboardInterrupt:
            slowest = max(slowest, time.perf_counter() - sent[0])
        sender.join()
    return slowest
"""
_PASSES = """
class Passes:
    "One session, rewound and fed again and again: nothing is collected, where an exception could not be raised."
    def __init__(self):
        self.session, self.kept = model.start_session(), []
    def __call__(self):
        try:
            self.session.rewind(0)
        except ModelError:
            self.kept.append(self.session)
            self.session = model.start_session()
        self.session.prefill(ids)
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_tiny_gguf("llama", path)
    return path


def run(*programs: str, file: Path, threads: int = 1) -> list[str]:
    """The lines that the programs, one after the other in one interpreter, print."""
    done = subprocess.run(
        [sys.executable, "-c", "".join([_SETUP, *programs]), str(file), str(threads)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "work",
    [
        "work = Passes()",
        "recording = model.recording(); recording.__enter__(); work = Passes()",
        "work = lambda: model.capture([ids], layers=[1, 4])",
        "kept = []; work = lambda: kept.append(_llama_cpp.load(path, threads=1))",
    ],
    ids=["a pass", "a recorded pass", "a partial pass", "loading"],
)
def test_ctrl_c_ends_it_and_never_vanishes(file: Path, work: str) -> None:
    told = run(
        _INTERRUPTED,
        _PASSES,
        f"{work}\n",
        "print(interrupted(work, 12) < 2.0)\n"
        "fresh = _llama_cpp.load(path, threads=1)\n"
        "print(np.array_equal(fresh.start_session().prefill(ids), expected))\n"
        "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)\n",
        file=file,
    )
    assert told == ["True"] * 3


def test_ctrl_c_within_a_pass_ends_it_at_the_next_tensor(file: Path) -> None:
    told = run(
        """
original, calls = Recorder._copy, []
def copy(self, *arguments):
    calls.append(None)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGINT)
    original(self, *arguments)
Recorder._copy = copy
with model.recording() as recording:
    session = model.start_session()
    try:
        session.prefill(ids)
    except KeyboardInterrupt:
        print(len(calls))
    try:
        session.decode(1)
    except ModelError as error:
        print(error.message)
Recorder._copy = original
print(np.array_equal(model.start_session().prefill(ids), expected))
""",
        file=file,
    )
    # The third tensor is handed on together with the fourth.
    assert told == ["4", "An earlier step of this session failed half-way.", "True"]


@pytest.mark.parametrize(("tokens", "raised"), [(60, "2"), (1, "0")], ids=["several tokens", "one token"])
def test_ctrl_c_within_an_unwatched_pass(file: Path, tokens: int, raised: str) -> None:
    """A pass over several tokens ends at the next node, one over a single token is done."""
    told = run(
        f"""
from aspen.models._llama_cpp.context import Context
original, codes = Context._decode, []
def decode(self, *arguments, **options):
    os.kill(os.getpid(), signal.SIGINT)
    codes.append(original(self, *arguments, **options))
    return codes[-1]
session = model.start_session()
session._reserve({tokens})
Context._decode = decode
try:
    session._run(ids[:{tokens}], outputs=1)
except KeyboardInterrupt:
    print(codes)
Context._decode = original
del session  # its context, in which a pass ended half-way, is lent again
print(np.array_equal(model.start_session().prefill(ids), expected))
""",
        file=file,
    )
    assert told == [f"[{raised}]", "True"]


@pytest.mark.parametrize(
    "interrupt",
    [
        "os.kill(os.getpid(), signal.SIGINT); print('freed', pointer)",
        "print('freed', pointer); raise KeyboardInterrupt",
    ],
    ids=["deferred", "raised"],
)
def test_ctrl_c_while_a_model_is_freed_comes_a_moment_later(file: Path, interrupt: str) -> None:
    """Python drops what is raised where an object is collected."""
    told = run(
        f"""
from aspen.models._llama_cpp.context import _free_with
class Owner: pass
def free(pointer):
    {interrupt}
owner = Owner()
_free_with(owner, free, 7)
try:
    del owner
    print("behind")
    time.sleep(30)
except KeyboardInterrupt:
    print("interrupted")
""",
        file=file,
    )
    assert told == ["freed 7", "behind", "interrupted"]


def test_all_handlers_come_back_whatever_comes_meanwhile(file: Path) -> None:
    told = run(
        """
from aspen.models._llama_cpp.signals import DeferredSignals
came, armed, original = [], [], signal.getsignal
signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
def getsignal(number):
    if armed and number == signal.SIGTERM:
        armed.clear()
        os.kill(os.getpid(), signal.SIGINT)  # whose own handler is back already
    return original(number)
signal.getsignal = getsignal
try:
    with DeferredSignals():
        armed.append(None)
except KeyboardInterrupt:
    print("interrupted")
os.kill(os.getpid(), signal.SIGTERM)
print(len(came))
""",
        file=file,
    )
    assert told == ["interrupted", "1"]


def test_ctrl_c_between_two_passes_leaves_no_session_with_half_a_prompt(file: Path) -> None:
    told = run(
        """
session = model.start_session()
def sleep(seconds):
    os.kill(os.getpid(), signal.SIGINT)
time.sleep, original = sleep, time.sleep
try:
    session.prefill(ids)
except KeyboardInterrupt:
    print(0 < session.length < len(ids))
time.sleep = original
try:
    session.decode(1)
except ModelError as error:
    print(error.message)
""",
        file=file,
    )
    assert told == ["True", "An earlier step of this session failed half-way."]


def test_other_signals_wait_for_the_end_of_a_pass(file: Path) -> None:
    """What their handlers do cannot be known: the pass is whole, then they are called, and may raise."""
    told = run(
        """
came = []
class Stop(Exception): pass
def note(number, frame):
    came.append(signal.Signals(number).name)
def stop(number, frame):
    note(number, frame)
    raise Stop
original = Recorder._copy
def copy(self, *arguments):
    if not sent:
        sent.append(None)
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        print(came)
    original(self, *arguments)
with model.recording() as recording:
    plain = model.start_session().prefill(ids)
Recorder._copy = copy
for handler in (note, stop):
    came, sent = [], []
    signal.signal(signal.SIGUSR1, note)
    signal.signal(signal.SIGTERM, handler)
    with model.recording() as recording:
        try:
            print(np.array_equal(model.start_session().prefill(ids), plain))
        except Stop:
            print("stopped")
    print(sorted(came))
""",
        file=file,
    )
    both = "['SIGTERM', 'SIGUSR1']"
    assert told == ["[]", "True", both, "[]", "stopped", both]


def test_a_recording_that_is_still_open_when_the_program_ends(file: Path) -> None:
    """A reply that nobody reads to its end: its recording is closed while the interpreter shuts down."""
    program = """
def reply():
    with model.recording() as recording:
        session = model.start_session()
        session.prefill(ids[:50])
        while True:
            yield session.decode(1)
tokens = reply()
print(next(tokens).shape)
"""
    assert run(program, file=file) == ["(512,)"]


def test_a_process_that_was_forked_off_is_refused_in_words(file: Path) -> None:
    told = run(
        """
import contextlib
held = model.start_session()
held.prefill(ids[:20])
locked, let_go = threading.Event(), threading.Event()
def hold():
    with model._lock, model._turn:
        locked.set()
        let_go.wait()
holder = threading.Thread(target=hold)
holder.start()
locked.wait()  # a lock that is held at the fork stays so in the child
child = os.fork()
if not child:
    uses = {
        "start": lambda: model.start_session(),
        "record": lambda: model.recording().__enter__(),
        "decode": lambda: held.decode(1),
        "prefill": lambda: held.prefill(ids[:5]),
        "rewind": lambda: held.rewind(3),
        "fragment": lambda: held.fragment(0, 3),
        "capture": lambda: model.capture([ids], layers=[1]),
        "load": lambda: _llama_cpp.load(path),
    }
    for name, use in uses.items():
        try:
            use()
        except ModelError as error:
            print(name, "before this process was forked off" in error.message, "spawn" in error.hint)
    sys.stdout.flush()
    os._exit(0)
print(os.waitpid(child, 0)[1])
let_go.set()
holder.join()
print(held.decode(1).shape, np.array_equal(model.start_session().prefill(ids), expected))
""",
        file=file,
        threads=2,  # which libgomp would wait for in the child
    )
    uses = ("start", "record", "decode", "prefill", "rewind", "fragment", "capture", "load")
    assert told == [*(f"{use} True True" for use in uses), "0", "(512,) True"]


def test_a_process_that_was_forked_off_before_a_model_was_loaded_loads_one(file: Path) -> None:
    program = (
        "import os, sys\nfrom pathlib import Path\nimport numpy as np\nfrom aspen.models import _llama_cpp\n"
        "from aspen.models._llama_cpp.library import open_library\nopen_library()\n"
        "if not os.fork():\n"
        "    model = _llama_cpp.load(Path(sys.argv[1]), threads=2)\n"
        "    print(model.start_session().prefill(np.arange(50, dtype=np.int32)).shape, flush=True)\n"
        "    os._exit(0)\n"
        "print(os.wait()[1])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", program, str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert (done.stdout.splitlines(), done.stderr) == (["(512,)", "0"], "")
