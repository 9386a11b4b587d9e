from pathlib import Path

import platformdirs
import pytest

from aspen.config import Config, ModelFolders
from aspen.errors import InvalidInput


def test_without_any_setting_the_bundled_model_runs_and_files_go_where_the_system_wants_them() -> None:
    config = Config.from_environment({})
    assert config == Config(
        cache_dir=Path(platformdirs.user_cache_dir("aspen")),
        store=Path(platformdirs.user_data_dir("aspen")) / "memory.db",
    )
    assert (config.model, config.device, config.dtype, config.threads) == ("bundled", None, None, None)


def test_every_setting_comes_from_its_variable() -> None:
    assert Config.from_environment(
        {
            "ASPEN_CACHE": "/c",
            "ASPEN_STORE": "/s/m.db",
            "ASPEN_MODEL": "org/model",
            "ASPEN_DEVICE": "cuda",
            "ASPEN_DTYPE": "float16",
            "ASPEN_THREADS": "4",
            "ASPEN_REINFORCE": "0",
            "ASPEN_ENDPOINT_KEY": "secret",
            "OTHER": "x",
        }
    ) == Config(
        Path("/c"), Path("/s/m.db"), "org/model", "cuda", "float16", 4, reinforce=False, endpoint_key="secret"
    )


def test_the_key_of_an_endpoint_is_not_shown() -> None:
    assert "secret" not in repr(Config.from_environment({"ASPEN_ENDPOINT_KEY": "secret"}))


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    names = ("CACHE", "STORE", "MODEL", "DEVICE", "DTYPE", "THREADS", "REINFORCE", "ENDPOINT_KEY")
    assert Config.from_environment({f"ASPEN_{name}": "" for name in names}) == Config.from_environment({})


@pytest.mark.parametrize("threads", ["0", "-1", "1.5", "many", " ", "\u00b2"])
def test_threads_must_be_a_positive_integer(threads: str) -> None:
    with pytest.raises(InvalidInput, match="ASPEN_THREADS"):
        Config.from_environment({"ASPEN_THREADS": threads})


def test_the_process_environment_is_read_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASPEN_MODEL", "a-folder")
    assert Config.from_environment().model == "a-folder"


def test_the_home_folder_is_written_as_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    config = Config.from_environment({"ASPEN_STORE": "~/m.db", "ASPEN_CACHE": "~/cache"})
    assert (config.store, config.cache_dir) == (Path("/home/ann/m.db"), Path("/home/ann/cache"))
    for name in ("ASPEN_STORE", "ASPEN_CACHE"):
        with pytest.raises(InvalidInput, match=name):
            Config.from_environment({name: "~nobody-of-this-name/m"})


def test_how_often_stored_keys_and_values_are_checked_is_a_setting() -> None:
    assert Config.from_environment({}).kv_check == 16
    assert [Config.from_environment({"ASPEN_KV_CHECK": n}).kv_check for n in ("0", "1", "")] == [0, 1, 16]
    for wrong in ("-1", "often", "0.5"):
        with pytest.raises(InvalidInput, match="ASPEN_KV_CHECK"):
            Config.from_environment({"ASPEN_KV_CHECK": wrong})


def test_the_folders_of_other_programs_are_those_that_they_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    home = Path("/home/ann")
    monkeypatch.setattr("sys.platform", "linux")
    found = ModelFolders.from_environment({})
    assert found.ollama == (
        home / ".ollama/models",
        Path("/usr/share/ollama/.ollama/models"),
        Path("/var/lib/ollama/.ollama/models"),
    )
    assert found.lm_studio == (home / ".lmstudio/models", home / ".cache/lm-studio/models")
    assert found.llama_cpp == (home / ".cache/llama.cpp",)
    assert found.hugging_face == (home / ".cache/huggingface/hub",)
    monkeypatch.setattr("sys.platform", "darwin")
    assert ModelFolders.from_environment({}).llama_cpp == (home / "Library/Caches/llama.cpp",)


def test_variables_of_other_programs_name_other_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    given = {"OLLAMA_MODELS": "~/o", "LLAMA_CACHE": "/l", "HF_HUB_CACHE": "/hub", "HF_HOME": "/hf"}
    found = ModelFolders.from_environment(given)
    assert (found.ollama, found.llama_cpp) == ((Path("/home/ann/o"),), (Path("/l"),))
    assert found.hugging_face == (Path("/hub"),)
    assert ModelFolders.from_environment({"HF_HOME": "/hf"}).hugging_face == (Path("/hf/hub"),)
    assert ModelFolders.from_environment({"XDG_CACHE_HOME": "/c"}).hugging_face == (
        Path("/c/huggingface/hub"),
    )
