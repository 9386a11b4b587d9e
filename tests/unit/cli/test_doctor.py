from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli_run import Cli
from tests.tiny_gguf import repeat_a_token, write_tiny_gguf

from aspen import Aspen, Config, MemoryItem
from aspen.activation_db import Calibration, KeyCode
from aspen.doctor import Finding, Status, examine
from aspen.doctor import environment as looking_at_environment
from aspen.doctor import model as looking_at_model
from aspen.doctor import store as looking_at_store
from aspen.errors import MissingDependency, ModelMismatch
from aspen.models import memory
from aspen.testing.fake_model import FakeModel


@pytest.fixture
def config(tmp_path: Path, cache_dir: Path) -> Config:
    return Config(cache_dir=cache_dir, store=tmp_path / "memory.db")


@pytest.fixture
def fill(config: Config) -> Callable[[int], None]:
    def fill(count: int) -> None:
        with Aspen.open(config.store, model=FakeModel(), config=config) as aspen:
            aspen.remember_many([MemoryItem(f"note {number}") for number in range(count)])
            aspen.recall("note")

    return fill


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def problems(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.status is Status.PROBLEM]


def folder_of_a_model(path: Path) -> Path:
    """A folder that looks like that of a model, and holds none."""
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    return path


def test_a_sound_store(config: Config, fill: Callable[[int], None]) -> None:
    fill(30)
    findings = examine(config.store, config=config, deep=True, model=FakeModel())
    assert problems(findings) == []
    found = by_name(findings)
    assert found["python"].status is Status.OK
    assert found["soundness"].what == "no damage, no orphans"
    assert found["size"].what.startswith("30 memories, 0 traces, 0 conversations, ")
    assert "per memory" in found["size"].what
    assert found["key space"].what.startswith("fitted on 30 of 30 memories")
    assert "made by fake-0" in found["keys"].what
    assert found["model loads"].what.startswith("fake-0: 3 layers, width 32, float32 on cpu")
    assert found["model and store"].status is Status.OK
    assert found["closeness of keys"].status is Status.OK
    assert "on 24 memories: 1.000 at layer 0 (lowest 1.000), " in found["closeness of keys"].what
    assert found["closeness of keys"].what.endswith("; the same, as they should be.")
    assert "smaller than float32" in found["compression"].what
    assert found["write-ahead log"].status is Status.OK


def test_the_ratio_of_the_keys_is_that_of_their_bytes(config: Config, fill: Callable[[int], None]) -> None:
    fill(3)
    with Aspen.open(config.store, model=FakeModel(), config=config) as aspen:
        _, keys = aspen.repository.keys(aspen.engine.stamp)
        heads = aspen.repository.head_keys([1, 2, 3])
        info, key_heads = aspen.model.info, aspen.model.info.key_heads(aspen.engine.encoder.heads)
        layers = aspen.engine.encoder.key_code.layers
    tokens = 3 * len("note 1") if heads else 0
    exact = 4 * (3 * len(layers) * info.width + tokens * len(key_heads) * info.width // info.n_heads)
    ratio = exact / (keys.nbytes + sum(map(len, heads.values())))
    (what,) = [
        finding.what for finding in examine(config.store, config=config) if finding.name == "compression"
    ]
    assert what.startswith(f"keys are {ratio:.0f}x smaller than float32 ({keys.shape[1]} bytes a memory")
    assert "docs/benchmarks/compression.md" in what


def test_keys_of_another_calibration_are_found_without_the_model(
    config: Config, fill: Callable[[int], None], tmp_path: Path
) -> None:
    fill(3)
    elsewhere = replace(config, cache_dir=tmp_path / "empty")
    found = by_name(examine(config.store, config=elsewhere))["compression"]
    assert found.status is Status.WARNING
    assert found.fix == f"aspen doctor --deep --store {config.store}"

    (made,) = (config.cache_dir / "calibration").glob(f"{FakeModel().fingerprint.model_id}-*.safetensors")
    other = Calibration.from_bytes(made.read_bytes())
    code = KeyCode(tuple(replace(layer, spread=2 * layer.spread) for layer in other.key_code.layers))
    (elsewhere.cache_dir / "calibration").mkdir(parents=True)
    (elsewhere.cache_dir / "calibration" / made.name).write_bytes(replace(other, key_code=code).to_bytes())
    found = by_name(examine(config.store, config=elsewhere))["compression"]
    assert found.status is Status.PROBLEM
    assert found.fix == f"aspen rekey --store {config.store}"
    with Aspen.open(config.store, model=FakeModel(), config=elsewhere) as aspen:
        with pytest.raises(ModelMismatch):
            aspen.remember("another")
        assert aspen.rekey() == 3
        assert by_name(examine(aspen.repository, config=elsewhere))["compression"].status is Status.OK


def test_nothing_is_made_where_there_is_no_store(config: Config) -> None:
    findings = examine(config.store, config=config)
    assert by_name(findings)["store"].what.startswith("none yet")
    assert not Path(config.store).exists()
    assert problems(examine(config.store, config=config, deep=True, model=FakeModel())) == []
    assert not Path(config.store).exists()


def test_an_empty_file_is_no_store_yet_and_stays_empty(config: Config) -> None:
    Path(config.store).touch()
    findings = examine(config.store, config=config)
    assert by_name(findings)["store"].what.startswith(f"none yet: {config.store} is empty")
    assert [path.stat().st_size for path in Path(config.store).parent.glob("memory.db*")] == [0]


def test_a_cache_that_cannot_be_written(config: Config, tmp_path: Path) -> None:
    assert "cache" not in by_name(examine(config.store, config=config))
    (tmp_path / "file").touch()
    cache = tmp_path / "file" / "cache"  # below a file there is no folder
    found = by_name(examine(config.store, config=replace(config, cache_dir=cache)))["cache"]
    assert found.status is Status.WARNING
    assert found.what.startswith(f"no file can be made in {tmp_path / 'file'} (Not a directory): ")
    assert "ASPEN_CACHE" in found.fix
    assert not list(config.cache_dir.glob("tmp*"))


def test_a_place_where_no_store_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "memory.db"
    assert looking_at_store.examine_place(place, "none yet") == Finding("store", Status.OK, "none yet")
    missing = tmp_path / "not" / "there"
    assert looking_at_store.why_not_writable(missing) is None
    assert list(tmp_path.iterdir()) == []

    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    found = looking_at_store.examine_place(place, "none yet")
    assert found.status is Status.PROBLEM
    assert found.what == (
        f"none yet at {place}, and none can be made there: no file can be made in {tmp_path} (Permission denied)"
    )
    assert "ASPEN_STORE" in found.fix


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no /proc here")
def test_a_store_below_proc(config: Config) -> None:
    (problem,) = problems(examine("/proc/memory.db", config=config))
    assert problem.name == "store"
    assert "no file can be made in /proc" in problem.what


@pytest.mark.parametrize("path", ["x" * 300, "a\0b", "~nobody-of-this-name/memory.db"])
def test_what_can_be_no_path(config: Config, path: str) -> None:
    (problem,) = problems(examine(path, config=config))
    assert "cannot be used as the path" in problem.what


def test_damaged_traces(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    with Aspen.open(config.store, model=FakeModel(say=lambda _: "Yes."), config=config) as aspen:
        first, _ = (aspen.chat(text, conversation="c") for text in ("hello", "again"))
        monkeypatch.setattr(looking_at_store, "_NEWEST_TRACES", 1)
        assert by_name(examine(aspen.repository, config=config))["traces"].what == "the newest 1 can be read"
    with closing(sqlite3.connect(config.store)) as connection, connection:
        connection.execute("UPDATE trace SET body = zeroblob(size) WHERE id = ?", [first.trace_id])
    assert problems(examine(config.store, config=config)) == []
    (problem,) = problems(examine(config.store, config=config, deep=True, model=FakeModel()))
    assert problem.what.startswith(f"{first.trace_id}: ")
    forget, id_ = problem.fix.split()[1:3]
    assert forget == "forget"
    with Aspen.open(config.store, config=config) as aspen:
        assert id_ in {memory.id for memory in first.memories}
        aspen.forget(id_)
        assert first.trace_id not in {info.id for info in aspen.repository.traces()}
    assert problems(examine(config.store, config=config, deep=True, model=FakeModel())) == []


def test_an_open_store_can_be_examined(config: Config, fill: Callable[[int], None]) -> None:
    fill(1)
    with Aspen.open(config.store, model=FakeModel(), config=config) as aspen:
        assert problems(examine(aspen.repository, config=config)) == []
        assert len(aspen.repository.list()) == 1


def test_the_keys_of_another_model(config: Config, fill: Callable[[int], None]) -> None:
    fill(1)
    findings = examine(config.store, config=config, deep=True, model=FakeModel(seed=5))
    (problem,) = problems(findings)
    assert problem.name == "model and store"
    assert problem.what == "The store's keys were made by fake-0 in fake, the model in use is fake-5 in fake."
    assert problem.fix == f"aspen rekey --store {config.store}"
    other = replace(
        config, model=str(folder_of_a_model(config.cache_dir / "my folder")), runtime="transformers"
    )
    (problem,) = problems(examine(config.store, config=other, deep=True, model=FakeModel(seed=5)))
    assert problem.fix == (
        f"ASPEN_RUNTIME=transformers aspen rekey --store {config.store} --model '{other.model}'"
    )
    closeness = by_name(findings)["closeness of keys"]
    assert closeness.status is Status.WARNING
    assert "not the same model" in closeness.what


def test_keys_that_are_not_what_the_model_makes(config: Config, fill: Callable[[int], None]) -> None:
    fill(0)
    with Aspen.open(config.store, model=FakeModel(), config=config) as aspen:
        memory = aspen.remember("a note of some length")
        other = aspen.engine.encoder.encode(["something else altogether"])[0]
        aspen.repository.add_keys(aspen.engine.stamp, {memory.seq: other.key})
    (problem,) = problems(examine(config.store, config=config, deep=True, model=FakeModel()))
    assert problem.name == "closeness of keys"
    assert problem.what.endswith("; they should be the same, and are not.")
    assert problem.fix.startswith("aspen export ")


def test_a_file_that_is_no_store(config: Config) -> None:
    content = b"not a store at all, but long enough to be one" * 100
    Path(config.store).write_bytes(content)
    (problem,) = problems(examine(config.store, config=config))
    assert problem.name == "store"
    assert problem.fix
    assert Path(config.store).read_bytes() == content


def test_a_store_with_orphans(config: Config, fill: Callable[[int], None]) -> None:
    fill(3)
    with closing(sqlite3.connect(config.store)) as connection, connection:
        connection.execute("DELETE FROM keyword")
    found = problems(examine(config.store, config=config))
    assert {problem.name for problem in found} == {"soundness"}
    assert all(problem.fix.startswith("aspen export ") for problem in found)


def test_statistics_that_cannot_be_read(config: Config, fill: Callable[[int], None]) -> None:
    fill(30)
    with closing(sqlite3.connect(config.store)) as connection, connection:
        connection.execute("UPDATE statistics SET body = x'00'")
    assert by_name(examine(config.store, config=config))["key space"].status is Status.WARNING
    fill(30)  # recalls as well
    assert by_name(examine(config.store, config=config))["key space"].status is Status.OK


def test_a_store_that_others_may_read(config: Config, fill: Callable[[int], None]) -> None:
    fill(1)
    Path(config.store).chmod(0o644)
    Path(config.store).parent.chmod(0o755)
    found = by_name(examine(config.store, config=config))["permissions"]
    assert (found.status, found.fix) == (Status.WARNING, f"chmod 600 {config.store}")
    Path(config.store).parent.chmod(0o700)
    assert by_name(examine(config.store, config=config))["permissions"].status is Status.OK


def test_a_model_that_does_not_load(config: Config) -> None:
    empty = replace(config, model=str(folder_of_a_model(config.cache_dir / "no-model")))
    findings = examine(config.store, config=empty, deep=True)
    (problem,) = problems(findings)
    assert problem.name == "model loads"
    assert problem.fix


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("model", ["nope", "/nowhere/model"])
def test_a_model_that_is_not_there(config: Config, model: str, deep: bool) -> None:
    (problem,) = problems(examine(config.store, config=replace(config, model=model), deep=deep))
    assert problem.name == "model"
    assert problem.what.startswith("There is no model")
    assert "aspen models" in problem.fix


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    write_tiny_gguf("qwen3", path)
    return path


def test_a_gguf_model_is_tried_in_a_process_of_its_own(config: Config, tiny: Path) -> None:
    own = replace(config, model=str(tiny), threads=1)
    found = by_name(examine(config.store, config=own, deep=True))
    assert {found[name].status for name in ("model", "model runs")} == {Status.OK}
    assert found["model"].what.startswith(f"{tiny}: qwen3, F32, ")
    assert found["model"].what.endswith("kB (`aspen doctor --deep` runs it)")
    assert found["model runs"].what.startswith("tiny-qwen3 in a process of its own: loaded in ")
    assert "model loads" in found  # here as well, and refused: its context is too short for a calibration


def test_a_file_that_crashes_llama_cpp_is_a_finding(config: Config, tiny: Path) -> None:
    repeat_a_token(tiny)
    findings = examine(config.store, config=replace(config, model=str(tiny)), deep=True)
    (problem,) = problems(findings)
    assert problem.name == "model runs"
    assert "ended the process that did it (SIGABRT)" in problem.what
    assert "GGML_ASSERT" in problem.what
    assert problem.fix.startswith("The file may be damaged")
    assert "model loads" not in by_name(findings)


def test_a_file_that_cannot_be_a_model_is_not_tried(
    config: Config, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking_at_model, "try_model", lambda *_, **__: pytest.fail("it was tried"))
    tiny.write_bytes(tiny.read_bytes()[:-1000])
    for model in (str(tiny), "ollama:not-there", str(tiny.parent / "missing.gguf"), "~nobody-here/m.gguf"):
        findings = examine(config.store, config=replace(config, model=model), deep=True)
        (problem,) = problems(findings)
        assert (problem.name, bool(problem.what)) == ("model", True)
    with monkeypatch.context() as patch:
        patch.setattr(memory, "memory_limit", lambda: memory.MemoryLimit(10_000_000, "a small machine"))
        write_tiny_gguf("qwen3", tiny)
        (problem,) = problems(examine(config.store, config=replace(config, model=str(tiny))))
        assert "there are 10.0 MB (a small machine)" in problem.what


def test_what_only_the_other_runtime_needs_may_be_missing(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = looking_at_environment._version
    missing = ("torch", "transformers", "xllamacpp")

    def nothing(path: Path | None = None) -> tuple[str, Path]:
        raise MissingDependency("llama.cpp is not there.", hint="pip install it")

    monkeypatch.setattr(
        looking_at_environment, "_version", lambda package: None if package in missing else installed(package)
    )
    monkeypatch.setattr(looking_at_environment, "_opened", nothing)
    found = by_name(examine(config.store, config=replace(config, runtime="transformers")))
    assert found["llama.cpp"].status is Status.OK
    assert found["llama.cpp"].what == "not installed; only needed for models that llama.cpp runs"
    assert {found[name].status for name in ("torch", "transformers")} == {Status.PROBLEM}
    assert found["torch"].fix == "pip install 'aspen-memory[transformers]'"
    found = by_name(examine(config.store, config=replace(config, runtime="llama.cpp")))
    assert (found["llama.cpp"].status, found["llama.cpp"].fix) == (Status.PROBLEM, "pip install it")
    for name in ("torch", "transformers"):
        assert found[name].status is Status.OK
        assert found[name].what == "not installed; only needed for models that transformers runs"


def test_a_library_that_is_none_and_a_runtime_that_is_none(config: Config, tmp_path: Path) -> None:
    library = tmp_path / "lib.so"
    library.write_text("no library")
    for runtime, status in (("llama.cpp", Status.PROBLEM), ("transformers", Status.WARNING)):
        own = replace(config, runtime=runtime, llama_library=library)
        one = by_name(examine(config.store, config=own))["llama.cpp"]
        assert one.status is status
        assert f"cannot be loaded from {library}" in one.what
    found = by_name(examine(config.store, config=replace(config, runtime="abacus"), deep=True))
    assert "'abacus' is no runtime" in found["model"].what


def test_the_versions_of_llama_cpp(config: Config) -> None:
    found = by_name(examine(config.store, config=config))["llama.cpp"]
    assert (found.status, found.what.split()[0]) == (Status.OK, "xllamacpp")
    assert ", version " in found.what


def test_a_large_log_and_a_full_disk(
    config: Config, fill: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(1)
    log = Path(config.store).with_name("memory.db-wal")
    usage = os.statvfs(Path(config.store).parent)
    monkeypatch.setattr(looking_at_store, "_FULL_DISK", usage.f_frsize * usage.f_blocks + 1)
    monkeypatch.setattr(looking_at_store, "_LARGE_LOG", -1)
    found = by_name(examine(config.store, config=config))
    assert found["disk of the store"].status is Status.PROBLEM
    assert str(log) in found["write-ahead log"].fix


def test_the_command_ends_with_1_where_there_is_a_problem(cli: Cli, tmp_path: Path) -> None:
    store = tmp_path / "broken.db"
    store.write_bytes(b"no store" * 100)
    result = cli("doctor", "--store", str(store))
    assert result.code == 1
    assert "problem  store: " in result.out
    assert "\n         -> " in result.out
    assert cli("doctor", "--store", str(store), "--json").code == 1
    document = cli("doctor", "--json").json
    assert document["problems"] == 0
    assert {"name", "status", "what", "fix"} == set(document["findings"][0])
