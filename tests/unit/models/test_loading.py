"""Loading: folders that work, and every way in which it fails, said clearly."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub.utils import logging as hub_logging
from safetensors.torch import load_file, save_file
from tests.tiny_models import tiny_tokenizer, tiny_transformer
from transformers import BertConfig, T5Config
from transformers.utils import logging

from aspen.errors import InvalidInput, MissingDependency, ModelError, ModelNotFound
from aspen.models import _transformers, load_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny"
    tiny_transformer("llama").save_pretrained(path)
    tiny_tokenizer().save_pretrained(path)
    return path


def test_a_folder_is_loaded_and_gives_the_same_numbers(folder: Path, tmp_path: Path, capfd: Any) -> None:
    threads = torch.get_num_threads()
    verbosity = logging.get_verbosity()
    model = load_model(str(folder), cache_dir=tmp_path, device="cpu", threads=1)
    torch.set_num_threads(threads)
    assert capfd.readouterr() == ("", "")
    assert logging.get_verbosity() == verbosity
    ids = np.arange(20, 30, dtype=np.int32)
    with torch.inference_mode():
        plain = tiny_transformer("llama")(torch.arange(20, 30)[None], output_hidden_states=True)
    assert np.array_equal(model.capture([ids], layers=[2])[0][0], plain.hidden_states[2][0].numpy())
    assert model.info.name == str(folder)
    fingerprint = model.fingerprint
    assert fingerprint.quantisation == "none"
    assert len(fingerprint.weights) == 64
    assert (tmp_path / "weight-hashes.json").is_file()
    assert (
        load_model(str(folder), cache_dir=tmp_path, device="cpu").fingerprint.model_id == fingerprint.model_id
    )


def test_dtype_and_threads_are_taken_and_recorded(folder: Path) -> None:
    threads = torch.get_num_threads()
    model = _transformers.load(str(folder), device="cpu", dtype="bfloat16", threads=1)
    assert (model.fingerprint.dtype, model.fingerprint.threads) == ("bfloat16", 1)
    torch.set_num_threads(threads)
    states = model.capture([np.arange(5, dtype=np.int32)], layers=[0, 4])[0]
    assert states.dtype == np.float32
    assert model.start_session().prefill(np.arange(5, dtype=np.int32)).dtype == np.float32
    with model.recording() as recording:
        model.start_session().prefill(np.arange(5, dtype=np.int32))
    assert recording.hidden_states().dtype == recording.attention_inputs(1).keys.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("/nowhere/at/all", "no model at"),
        ("./nowhere", "no model at"),
        ("missing.gguf", "no file at"),
        ("~/nowhere-at-all", "no model at"),
        ("nowhere/", "no model at"),
        ("owner/name/", "no model at"),
        ("a/b/c", "no model at"),
        ("nope", "There is no model 'nope'"),
        ("x" * 300, "There can be no model at 'xxx"),
        ("", "config.json"),
    ],
)
def test_missing_paths_are_told(name: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=says):
        load_model(name or str(tmp_path), cache_dir=tmp_path)


@pytest.mark.parametrize("name", ["nope", "./nope", "~/nope", "nope/", "nope.gguf", "models/nope.gguf"])
def test_a_mistyped_name_is_told_without_torch_and_without_the_network(name: str, tmp_path: Path) -> None:
    code = (
        "import json, sys\nsys.modules.update(dict.fromkeys(('torch', 'transformers', 'huggingface_hub', '_socket')))\n"
        "from pathlib import Path\nfrom aspen.models import load_model\nfrom aspen.errors import ModelNotFound\n"
        f"try: load_model({name!r}, cache_dir=Path('.'), runtime='transformers')\n"
        "except ModelNotFound as error: print(json.dumps([error.message, error.hint]))"
    )
    message, hint = in_a_new_process(code, HF_HUB_CACHE=str(tmp_path))
    assert message.startswith("There is no model ")
    assert name.removeprefix("./").removeprefix("~").removesuffix("/") in message
    assert "what is on this machine (`aspen models`)" in hint
    assert ("owner/name" in hint) == (name == "nope")


def test_a_file_that_is_no_gguf_is_told(tmp_path: Path) -> None:
    file = tmp_path / "model.txt"
    file.write_text("x")
    with pytest.raises(ModelNotFound, match="does not begin with GGUF"):
        load_model(str(file), cache_dir=tmp_path)
    broken = tmp_path / "model.gguf"
    broken.write_bytes(b"not a gguf file at all, not by any means")
    with pytest.raises(ModelNotFound, match="does not begin with GGUF"):
        load_model(str(broken), cache_dir=tmp_path)


def test_a_hub_id_that_is_not_cached_is_told_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelNotFound, match="aspen-tests/no-such-model") as caught:
        load_model("aspen-tests/no-such-model", cache_dir=tmp_path)
    assert "Offline" in caught.value.hint


def test_a_hub_that_cannot_be_reached_is_told_once_and_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    hub: Any = importlib.import_module("huggingface_hub.utils")
    asked = []

    def unreachable(*_: Any, **__: Any) -> None:
        asked.append(1)
        raise hub.httpx.ConnectError("[Errno -2] Name or service not known")

    monkeypatch.setattr(hub.get_session(), "request", unreachable)
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("it was tried again"))
    before = hub_logging.get_verbosity()
    with pytest.raises(ModelNotFound, match="could not be asked for it over the network") as caught:
        load_model("aspen-tests/no-such-model", cache_dir=tmp_path)
    assert "'aspen-tests/no-such-model'" in caught.value.message
    assert caught.value.message.endswith(": [Errno -2] Name or service not known.")
    assert "the connection" in caught.value.hint
    assert capfd.readouterr() == ("", "")
    assert len(asked) == 1
    assert hub_logging.get_verbosity() == before


@pytest.mark.parametrize(
    "config",
    [
        T5Config(architectures=["T5ForConditionalGeneration"]),
        BertConfig(architectures=["BertForMaskedLM"]),
        BertConfig(),
    ],
)
def test_models_that_are_not_decoders_are_told(config: Any, tmp_path: Path) -> None:
    config.save_pretrained(tmp_path)
    with pytest.raises(ModelNotFound, match="not a decoder-only"):
        load_model(str(tmp_path), cache_dir=tmp_path)


def test_unreadable_configs_are_told(tmp_path: Path) -> None:
    for text in ("{", '{"model_type": "no-such-type"}', "{}"):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ModelNotFound, match="No model could be found"):
            load_model(str(tmp_path), cache_dir=tmp_path)


def test_missing_weights_are_told(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ModelNotFound, match="could not be loaded"):
        load_model(str(tmp_path), cache_dir=tmp_path)
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelNotFound, match=r"lacks 1 of the model's weights"):
        load_model(str(tmp_path), cache_dir=tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(ModelNotFound, match="could not be loaded"):
        load_model(str(tmp_path), cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"device": "toaster"}, InvalidInput),
        ({"device": "meta"}, InvalidInput),
        ({"dtype": "int4"}, InvalidInput),
        ({"threads": 0}, InvalidInput),
        ({"device": "cuda:99"}, ModelError),
    ],
)
def test_impossible_options_are_refused(folder: Path, options: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        _transformers.load(str(folder), **options)


def in_a_new_process(code: str, **environment: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return json.loads(done.stdout)


def test_a_hub_id_that_was_downloaded_before_is_loaded_offline(folder: Path, tmp_path: Path) -> None:
    repository = tmp_path / "models--me--tiny"
    shutil.copytree(folder, repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    code = (
        "import json; from aspen.models._transformers import load; m = load('me/tiny', device='cpu', threads=1);"
        "print(json.dumps([m.info.name, m.fingerprint.weights]))"
    )
    name, weights = in_a_new_process(code, HF_HUB_CACHE=str(tmp_path), HF_HUB_OFFLINE="1")
    assert name == "me/tiny"
    repository.rename(tmp_path / "models--old")  # as the models of the hub that have no owner
    old = code.replace("me/tiny", "old")
    assert in_a_new_process(old, HF_HUB_CACHE=str(tmp_path), HF_HUB_OFFLINE="1") == ["old", weights]
    assert weights == _transformers.load(str(folder), device="cpu").fingerprint.weights


def test_importing_the_package_imports_no_torch() -> None:
    code = "import json, sys, aspen.models; print(json.dumps(['torch' in sys.modules, 'transformers' in sys.modules]))"
    assert in_a_new_process(code) == [False, False]


@pytest.mark.parametrize(
    ("spec", "options"), [("x/y", ""), ("bundled", ", runtime='transformers', progress=sys.exit")]
)
def test_without_torch_the_hint_installs_it(spec: str, options: str, tmp_path: Path) -> None:
    code = (
        "import json, sys\nsys.modules['torch'] = None\nfrom pathlib import Path\nfrom aspen.models import load_model\n"
        "from aspen.errors import MissingDependency\n"
        f"try: load_model({spec!r}, cache_dir=Path({str(tmp_path)!r}){options})\n"
        "except MissingDependency as error: print(json.dumps(error.diagnostics()))"
    )
    said = in_a_new_process(code)
    assert said["details"] == {"package": "torch"}
    assert "pip install 'aspen-memory[transformers]'" in said["hint"]
    assert issubclass(MissingDependency, Exception)
