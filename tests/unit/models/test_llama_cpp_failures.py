"""llama.cpp given what it cannot take: broken files, too little memory, too long texts, errors where it calls back."""

from __future__ import annotations

import ctypes
import gc
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.gguf_files import write_gguf
from tests.tiny_gguf import tiny_llama_cpp, write_tiny_gguf
from tests.tiny_models import CONTEXT

from aspen.errors import InvalidInput, ModelError, ModelNotFound, PromptTooLong
from aspen.models import _llama_cpp, load_model, memory, read_header
from aspen.models._llama_cpp import c_api, context, loading, shared_object
from aspen.models._llama_cpp import capture as capturing
from aspen.models._llama_cpp import library as binding
from aspen.models._llama_cpp import model as models
from aspen.models._llama_cpp.model import LlamaCppModel
from aspen.models._llama_cpp.recording import Recorder
from aspen.models._llama_cpp.watch import Watch
from aspen.models.interface import Session
from aspen.models.memory import SMALLEST_CONTEXT, MemoryLimit
from aspen.types import FloatArray, TokenIds

IDS = np.arange(3, 43, dtype=np.int32)
FULL = np.arange(CONTEXT, dtype=np.int32)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_tiny_gguf("llama", path)
    return path


@pytest.fixture
def model(file: Path) -> LlamaCppModel:
    return _llama_cpp.load(file, threads=1)


def fed(model: LlamaCppModel, *, ids: TokenIds = IDS) -> FloatArray:
    return model.start_session().prefill(ids)


def recorded(model: LlamaCppModel) -> FloatArray:
    with model.recording() as recording:
        fed(model)
    return recording.hidden_states()


# -- files ---------------------------------------------------------------------------------------------------


def test_a_file_that_is_cut_anywhere(file: Path, tmp_path: Path) -> None:
    data, header = file.read_bytes(), read_header(file)
    in_the_header = range(0, header.data_offset, header.data_offset // 40)
    in_the_weights = range(header.data_offset, len(data), len(data) // 10)
    cut = tmp_path / "cut.gguf"
    for length in (*in_the_header, *in_the_weights, len(data) - 1):
        cut.write_bytes(data[:length])
        with pytest.raises(ModelNotFound, match=r"cut|empty|does not begin") as raised:
            _llama_cpp.load(cut)
        assert length < 4 or raised.value.hint == "Download it again."


def test_a_file_that_becomes_shorter_while_it_is_loaded(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """llama.cpp sees by itself what the look at the header cannot."""
    monkeypatch.setattr(loading, "why_not", lambda header: None)
    monkeypatch.setattr(loading, "check_memory", lambda header: None)
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(file.read_bytes()[: read_header(file).data_offset + 1000])
    with pytest.raises(
        ModelNotFound, match=r"could not be loaded by llama\.cpp: tensor .* not within the file bounds"
    ):
        _llama_cpp.load(cut)


@pytest.mark.parametrize(("architecture", "why"), [("mamba", "recurrent"), ("nonsense", "does not know")])
def test_an_architecture_that_is_not_supported(tmp_path: Path, architecture: str, why: str) -> None:
    with pytest.raises(ModelNotFound, match=why):
        _llama_cpp.load(write_gguf(tmp_path / "other.gguf", architecture=architecture))


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("llama.attention.layer_norm_rms_epsilon", float("nan"), "is nan, not from 0 to 1"),
        ("llama.attention.layer_norm_rms_epsilon", -1.0, "not from 0 to 1"),
        ("llama.rope.dimension_count", 0, "rotates 0 of the 16"),
        ("llama.rope.dimension_count", 7, "rotates 7 of the 16"),
        ("llama.rope.dimension_count", 64, "rotates 64 of the 16"),
        ("llama.rope.dimension_count", 8, "rotates 8 of the 16"),
    ],
)
def test_numbers_that_would_end_the_process(tmp_path: Path, key: str, value: Any, why: str) -> None:
    with pytest.raises(ModelNotFound, match=why):
        _llama_cpp.load(write_gguf(tmp_path / "other.gguf", keys={key: value}))


# -- memory --------------------------------------------------------------------------------------------------


def test_a_model_larger_than_memory_is_not_even_opened(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "memory_limit", lambda: MemoryLimit(100_000_000, "a small machine"))
    monkeypatch.setattr(loading, "open_library", lambda path: pytest.fail("it was opened"))
    with pytest.raises(ModelError, match=r"needs about .* and there are 100\.0 MB \(a small machine\)"):
        _llama_cpp.load(file)


def test_a_context_larger_than_memory(model: LlamaCppModel, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = fed(model)
    held = model.start_session()
    held.prefill(IDS)

    def full(header: Any, *, context: int) -> None:
        raise ModelError(f"{context} tokens are too many.")

    with monkeypatch.context() as patch:
        patch.setattr(models, "check_memory", full)
        sessions = [model.start_session() for _ in range(3)]
        with pytest.raises(ModelError, match="are too many"):
            for session in sessions:  # some contexts are there already
                session.prefill(IDS)
    assert np.array_equal(fed(model), expected)


def test_a_session_that_finds_no_room_to_grow_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_llama_cpp("llama", tmp_path, context=2048)
    ids = np.arange(SMALLEST_CONTEXT, dtype=np.int32) % 500
    piece = model.start_session()
    piece.prefill(ids[:20])
    fragment = piece.fragment(0, 20)
    session = model.start_session()
    session.prefill(ids)

    def full(header: Any, *, context: int) -> None:
        raise ModelError(f"{context} tokens are too many.")

    monkeypatch.setattr(models, "check_memory", full)
    for grow in (lambda: session.decode(1), lambda: session.put(fragment), lambda: session.prefill(ids)):
        with pytest.raises(ModelError, match="1024 tokens are too many"):
            grow()
    session.rewind(SMALLEST_CONTEXT - 1)
    assert session.decode(int(ids[-1])).any()


def test_a_model_is_freed_behind_its_contexts(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where both are collected as parts of one cycle, in whatever order."""
    freed = []
    original = context._free

    def free(function: Any, *rest: Any) -> None:
        freed.append(function.__name__)
        original(function, *rest)

    monkeypatch.setattr(context, "_free", free)
    loaded: Any = _llama_cpp.load(file, threads=1)
    loaded.itself = loaded
    gc.collect()  # in a generation of their own, contexts come behind
    session = loaded.start_session()
    session.prefill(IDS)
    freed.clear()
    del loaded, session
    gc.collect()
    assert freed.count("llama_free") > 1
    assert freed.index("llama_model_free") == len(freed) - 1


# -- the length of the context ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "feed",
    [
        lambda session: session.prefill(FULL[:41]),
        lambda session: session.prefill_each(FULL[:41]),
        lambda session: [session.decode(3) for _ in range(41)],
        lambda session: session.put(session.fragment(0, 41)),
    ],
)
def test_a_text_longer_than_the_context(model: LlamaCppModel, feed: Callable[[Session], Any]) -> None:
    session = model.start_session()
    session.prefill(FULL[:88])
    with pytest.raises(PromptTooLong):
        feed(session)
    assert session.length in (88, CONTEXT)
    session.rewind(80)  # it is as good as before
    assert session.decode(3).shape == (model.info.vocab_size,)


def test_a_whole_context_and_one_token_more(model: LlamaCppModel) -> None:
    session = model.start_session()
    session.prefill(FULL)
    with pytest.raises(PromptTooLong):
        session.decode(3)
    with pytest.raises(PromptTooLong):
        model.capture([np.append(FULL, 3)], layers=[1])
    with pytest.raises(InvalidInput):
        session.prefill(np.array([model.info.vocab_size], dtype=np.int32))


# -- errors where the library calls back -----------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError("not again"), KeyboardInterrupt()])
@pytest.mark.parametrize("nth", [1, 2, 7])
def test_an_error_while_a_pass_is_recorded(
    model: LlamaCppModel, monkeypatch: pytest.MonkeyPatch, error: BaseException, nth: int
) -> None:
    expected = recorded(model)
    original, calls = Recorder._copy, iter(range(1, 1_000))

    def copy(self: Recorder, *arguments: int) -> None:
        if next(calls) == 20 + nth:  # in the second pass: the last token runs by itself
            raise error
        original(self, *arguments)

    with model.recording() as recording:
        session = model.start_session()
        with monkeypatch.context() as patch:
            patch.setattr(Recorder, "_copy", copy)
            with pytest.raises(type(error)) as raised:
                for _ in range(3):
                    session.prefill(IDS[:10])
        assert raised.value is error
        for use in (lambda: session.decode(1), lambda: session.rewind(0), lambda: session.fragment(0, 1)):
            with pytest.raises(ModelError, match="failed half-way"):
                use()
    fed_before = len(recording.token_ids())
    assert recording.hidden_states().shape[1] == fed_before
    inputs = recording.attention_inputs(0)
    assert inputs.queries.shape[1] == inputs.keys.shape[1] == fed_before
    assert np.array_equal(recorded(model), expected)


def test_an_error_while_layers_are_captured(model: LlamaCppModel, monkeypatch: pytest.MonkeyPatch) -> None:
    (expected,) = model.capture([IDS], layers=[1, 3])

    def keep(seen: Any, place: int, *_: Any) -> None:
        raise ValueError(place)

    with monkeypatch.context() as patch:
        patch.setattr(capturing, "_keep", keep)
        with pytest.raises(ValueError, match=r"^\d+$"):
            model.capture([IDS], layers=[1, 3])
    assert np.array_equal(model.capture([IDS], layers=[1, 3])[0], expected)
    assert np.array_equal(fed(model), fed(model))


@pytest.mark.parametrize("nth", [1, 5, 30])
def test_a_call_back_that_does_not_come_about(
    model: LlamaCppModel, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    """ctypes answers no for a function that has no stack left: all behind it would be read one place too late."""
    expected = model.capture([IDS], layers=[1, 3])[0]
    original, asked = Watch.__call__, iter(range(1, 10_000))

    def call(self: Watch, tensor: int, ask: bool, data: Any) -> bool:
        return False if ask and next(asked) == nth else original(self, tensor, ask, data)

    with monkeypatch.context() as patch:
        patch.setattr(Watch, "__call__", call)
        with pytest.raises(ModelError, match="was not the one that was learned"):
            model.capture([IDS], layers=[1, 3])
    assert np.array_equal(model.capture([IDS], layers=[1, 3])[0], expected)


# -- threads ---------------------------------------------------------------------------------------------------


def test_sessions_in_two_threads_give_the_numbers_that_each_gives_alone(model: LlamaCppModel) -> None:
    def run(seed: int) -> FloatArray:
        ids = np.random.default_rng(seed).integers(0, model.info.vocab_size, 60).astype(np.int32)
        session = model.start_session()
        return np.stack([session.prefill(ids[:40]), *(session.decode(int(token)) for token in ids[40:])])

    alone = {seed: run(seed) for seed in range(6)}
    together: dict[int, FloatArray] = {}

    def work(*seeds: int) -> None:
        for seed in seeds:
            together[seed] = run(seed)
            model.capture([IDS], layers=[2])

    threads = [threading.Thread(target=work, args=seeds) for seeds in ((0, 1, 2), (3, 4, 5))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for seed, expected in alone.items():
        assert np.array_equal(together[seed], expected)


def test_sessions_that_are_collected_while_another_thread_runs(model: LlamaCppModel) -> None:
    expected = fed(model, ids=FULL)
    ended = threading.Event()

    def drop() -> None:
        while not ended.is_set():
            fed(model, ids=IDS[:2])
            model.capture([IDS[:2]], layers=[1])

    thread = threading.Thread(target=drop)
    thread.start()
    try:
        for _ in range(100):
            assert np.array_equal(fed(model, ids=FULL), expected)
    finally:
        ended.set()
        thread.join(60)


# -- the library -----------------------------------------------------------------------------------------------


def test_a_library_that_is_none(file: Path, tmp_path: Path) -> None:
    no_library = tmp_path / "libllama.so"
    no_library.write_text("not at all")
    for path in (no_library, tmp_path, tmp_path / "missing.so"):
        with pytest.raises(ModelError, match=re.escape(f"cannot be loaded from {path}")) as raised:
            load_model(str(file), cache_dir=tmp_path, llama_library=path)
        assert "ASPEN_LLAMA_LIBRARY" in raised.value.hint


def test_a_library_of_the_package_that_does_not_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shared_object, "in_wheel", lambda: tmp_path)
    with pytest.raises(ModelError, match="cannot be loaded from") as raised:
        shared_object.open_shared_object(tmp_path)
    assert "pip install xllamacpp==" in raised.value.hint


def test_a_library_of_something_else(file: Path, tmp_path: Path) -> None:
    maps = Path("/proc/self/maps")
    found = re.search(r"/\S*/libm[.-]\S+", maps.read_text()) if maps.exists() else None
    if found is None:
        pytest.skip("no libm here")
    with pytest.raises(ModelError, match="has no function llama_version") as raised:
        load_model(str(file), cache_dir=tmp_path, llama_library=Path(found[0]))
    assert shared_object.TESTED in raised.value.message


@pytest.mark.parametrize("defaults", ["MODEL_DEFAULTS", "CONTEXT_DEFAULTS"])
def test_structs_with_other_defaults(defaults: str, monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    path = shared_object.in_wheel()
    own = binding.open_library().version
    for name in getattr(binding, defaults):
        with monkeypatch.context() as patch:
            patch.setitem(getattr(binding, defaults), name, 77)
            with pytest.raises(ModelError, match=f"{name} of .* in version {own}, where 77 is") as raised:
                binding.Library(path)
        assert shared_object.TESTED in raised.value.message
    assert fed(_llama_cpp.load(file, threads=1)).any()  # what was refused is not called back


def test_structs_of_another_size(monkeypatch: pytest.MonkeyPatch) -> None:
    if binding._bytes_returned(binding.open_library()._library["llama_model_default_params"]) is None:
        pytest.skip("sizes cannot be seen on this processor")
    longer = type("Longer", (c_api.ContextParams,), {"_fields_": [("added", ctypes.c_void_p)]})
    monkeypatch.setattr(binding, "ContextParams", longer)
    with pytest.raises(ModelError, match=r"gives 168 bytes in version .*, where 176 are expected"):
        binding.Library(shared_object.in_wheel())


@pytest.mark.parametrize(
    ("struct", "missing"),
    [("Tensor", "buffer"), ("Tensor", "op"), ("Batch", "embd")],
)
def test_structs_with_another_field(struct: str, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = [field for field in getattr(binding, struct)._fields_ if field[0] != missing]
    other = type("Other", (ctypes.Structure,), {"_fields_": fields})
    monkeypatch.setattr(binding, struct, other)
    told = {"Tensor": "ggml_tensor", "Batch": "llama_batch"}[struct]
    with pytest.raises(ModelError, match=f"{told} is laid out otherwise") as raised:
        binding.Library(shared_object.in_wheel())
    assert shared_object.TESTED in raised.value.message


def test_tiny_models_of_all_kinds_survive_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_llama_cpp("gemma2", tmp_path)  # its keys are watched as well
    expected = recorded(model)

    def copy(self: Recorder, target: int, size: int, tensor: int) -> None:
        raise RuntimeError("not now")

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "_copy", copy)
        with pytest.raises(RuntimeError, match="not now"):
            recorded(model)
    assert np.array_equal(recorded(model), expected)
