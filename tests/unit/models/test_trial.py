"""A model that is tried in a process of its own: what it does, and what is told where it does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.tiny_gguf import repeat_a_token, write_tiny_gguf
from tests.tiny_models import LAYERS, WIDTH

from aspen.errors import ModelError
from aspen.models import load_model, read_header, trial, try_library, try_model
from aspen.models._llama_cpp.library import open_library


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_tiny_gguf("qwen3", path)
    return path


def test_what_a_model_does(file: Path, tmp_path: Path) -> None:
    tried = try_model(str(file), cache_dir=tmp_path, threads=1)
    assert (tried.name, tried.architecture) == ("tiny-qwen3", "qwen3")
    assert (tried.n_layers, tried.width, tried.chat_template) == (LAYERS, WIDTH, True)
    assert tried.seconds > 0
    assert tried.tokens_per_second > 0
    assert tried.fingerprint == load_model(str(file), cache_dir=tmp_path, threads=1).fingerprint


def test_a_model_without_a_chat_template(tmp_path: Path) -> None:
    path = tmp_path / "base.gguf"
    write_tiny_gguf("llama", path)
    key = b"tokenizer.chat_template"
    path.write_bytes(path.read_bytes().replace(key, b"x" * len(key)))
    assert not try_model(str(path), cache_dir=tmp_path).chat_template


def test_a_model_that_ends_the_process(tmp_path: Path) -> None:
    crashing = tmp_path / "crashing.gguf"
    write_tiny_gguf("qwen3", crashing)
    repeat_a_token(crashing)
    with pytest.raises(ModelError) as raised:
        try_model(str(crashing), cache_dir=tmp_path)
    assert raised.value.message.startswith(f"Loading {crashing} ended the process that did it (SIGABRT): ")
    assert "GGML_ASSERT" in raised.value.message
    assert raised.value.details["code"] == -6
    assert not list(tmp_path.glob("core*"))


def test_errors_come_in_their_own_words(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as raised:
        try_model(str(tmp_path / "missing.gguf"), cache_dir=tmp_path)
    with pytest.raises(ModelError) as here:
        load_model(str(tmp_path / "missing.gguf"), cache_dir=tmp_path)
    assert (raised.value.message, raised.value.hint) == (here.value.message, here.value.hint)


def test_weights_that_make_no_numbers(file: Path, tmp_path: Path) -> None:
    header = read_header(file)
    (norm,) = (tensor for tensor in header.tensors if tensor.name == "blk.0.attn_norm.weight")
    data = bytearray(file.read_bytes())
    at = header.data_offset + norm.offset
    data[at : at + 4 * WIDTH] = np.full(WIDTH, np.nan, dtype=np.float32).tobytes()
    path = tmp_path / "nan.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelError, match="computes no numbers"):
        try_model(str(path), cache_dir=tmp_path)


def test_a_model_that_takes_too_long(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"took longer than 0\.01 s"):
        try_model(str(file), cache_dir=tmp_path, time_limit=0.01)


def test_the_library(tmp_path: Path) -> None:
    assert try_library() == (open_library().version, open_library().path)
    (tmp_path / "lib.so").write_text("none")
    with pytest.raises(ModelError, match="cannot be loaded from"):
        try_library(tmp_path / "lib.so")


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("import sys; print('x' * 9999, '\\n\\x1b[31mred\\x07 \\u202eder', file=sys.stderr); sys.exit(3)",
         r"\(exit code 3\): x{300} / \[31mred der\."),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", r"\(SIGSEGV\)\."),
        ("print('this is no answer')", r"\(exit code 0\)\."),
        ("print([1])", r"\(exit code 0\)\."),
        ("1 / 0", r"\(exit code 1\): .* / ZeroDivisionError: division by zero\."),
    ],
)  # fmt: skip
def test_processes_that_give_no_answer(monkeypatch: pytest.MonkeyPatch, program: str, told: str) -> None:
    monkeypatch.setattr(trial, "_PROGRAM", program)
    with pytest.raises(ModelError, match=rf"^Opening llama\.cpp ended the process that did it {told}"):
        try_library()


def test_files_of_the_working_folder_are_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('taken for numpy')")
    monkeypatch.chdir(tmp_path)
    assert try_library()[0] == open_library().version


_FLIPS = """
import random, sys
from pathlib import Path
import numpy as np
from aspen.errors import AspenError
from aspen.models import _llama_cpp, read_header
whole = Path(sys.argv[1])
data, header = whole.read_bytes(), read_header(whole)
copy = Path(sys.argv[2])
first = data.index(b"tokenizer.ggml.tokens") + 40  # a token that is there twice ends the process
last = data.index(b"tokenizer.ggml.eos_token_id")
chance = random.Random(11)
refused = ran = 0
for number in range(200):
    at = chance.choice([chance.randrange(first), chance.randrange(last, header.data_offset)])
    flipped = bytearray(data)
    flipped[at] = chance.choice([0, 255, flipped[at] ^ (1 << chance.randrange(8))])
    copy.write_bytes(flipped)
    print(number, at, flipped[at], flush=True)
    try:
        model = _llama_cpp.load(copy, threads=1)
        ids = model.tokenize("Where does my sister live?")[:model.info.context_length - 1]
        model.start_session().prefill(ids)
        model.capture([ids], layers=[1])
        ran += 1
    except AspenError as error:
        assert len(error.message) < 700, error.message
        refused += 1
print("done", refused, ran)
"""


def test_flipped_bytes_of_a_header_are_refused_or_harmless(tmp_path: Path) -> None:
    """In a process of their own, for what else they might do."""
    file = tmp_path / "whole.gguf"
    write_tiny_gguf("llama", file)
    done = subprocess.run(
        [sys.executable, "-c", _FLIPS, str(file), str(tmp_path / "flipped.gguf")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    last = done.stdout.splitlines()[-1].split()
    assert (done.returncode, last[0]) == (0, "done"), (last, done.stderr[-1000:])
    assert int(last[1]) > 50
    assert int(last[2]) > 10
