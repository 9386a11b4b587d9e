"""Fingerprints: what they are made of, and how two of them differ."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path

import pytest
from tests.tiny_models import tiny_model, tiny_tokenizer

from aspen.errors import InvalidInput, ModelError
from aspen.models import fingerprint as fp


def test_a_single_file_is_its_own_hash(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"weights")
    assert fp.weights_sha256([file]) == hashlib.sha256(b"weights").hexdigest()


def test_the_config_counts_but_not_who_wrote_it(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"weights")
    one = fp.weights_sha256([file], config='{"rope_theta": 1, "transformers_version": "5.0"}')
    assert one == fp.weights_sha256([file], config='{"transformers_version": "5.1", "rope_theta": 1}')
    assert one != fp.weights_sha256([file], config='{"rope_theta": 2, "transformers_version": "5.0"}')


def test_hashes_are_kept_until_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, cache = tmp_path / "model.gguf", tmp_path / "cache"
    file.write_bytes(b"one")
    first = fp.weights_sha256([file], cache_dir=cache)
    monkeypatch.setattr(fp, "file_sha256", lambda path: pytest.fail("read again"))
    assert fp.weights_sha256([file], cache_dir=cache) == first
    monkeypatch.undo()
    file.write_bytes(b"two")
    os.utime(file, ns=(0, 1))
    assert fp.weights_sha256([file], cache_dir=cache) == hashlib.sha256(b"two").hexdigest()


def test_a_damaged_sidecar_is_no_trouble(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"one")
    for damage in ("{", "[]", json.dumps({str(file.resolve()): {"size": 3}})):
        (tmp_path / "weight-hashes.json").write_text(damage)
        assert fp.weights_sha256([file], cache_dir=tmp_path) == hashlib.sha256(b"one").hexdigest()


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"one")
    cache = file / "cache"  # below a file there is no folder
    assert fp.weights_sha256([file], cache_dir=cache) == hashlib.sha256(b"one").hexdigest()
    said = caplog.messages[-1]
    assert said.startswith(f"The folder {cache} cannot be written (Not a directory): ")
    assert "ASPEN_CACHE" in said
    assert ".part" not in said


def test_no_weights_no_hash() -> None:
    with pytest.raises(ModelError):
        fp.weights_sha256([])


def test_the_tokenizer_is_known_by_what_it_does() -> None:
    same, other = tiny_tokenizer(), tiny_tokenizer()
    other.add_tokens(["<more>"])
    probe = same(fp.PROBE_TEXT)["input_ids"]
    digest = fp.tokenizer_sha256(same.get_vocab(), probe_ids=probe)
    assert digest == fp.tokenizer_sha256(tiny_tokenizer().get_vocab(), probe_ids=probe)
    assert digest != fp.tokenizer_sha256(other.get_vocab(), probe_ids=probe)
    assert digest != fp.tokenizer_sha256(same.get_vocab(), probe_ids=probe[1:])


def test_a_missing_template_has_no_hash() -> None:
    assert fp.template_sha256(None) == ""
    assert fp.template_sha256("x") == hashlib.sha256(b"x").hexdigest()


def test_differences_are_named_in_a_fixed_order() -> None:
    was = tiny_model().fingerprint
    now = dataclasses.replace(
        was, threads=was.threads + 1, weights="other", libraries={**was.libraries, "torch": "9", "new": "1"}
    )
    assert fp.differences(was, was) == []
    assert [field for field, *_ in fp.differences(was, now)] == [
        "weights", "threads", "libraries.new", "libraries.torch",
    ]  # fmt: skip
    assert fp.differences(was, now)[0] == ("weights", was.weights, "other")
    assert ("libraries.new", "absent", "1") in fp.differences(was, now)


def test_plain_data_and_back() -> None:
    fingerprint = tiny_model().fingerprint
    assert fp.from_dict(json.loads(json.dumps(fp.to_dict(fingerprint)))) == fingerprint


@pytest.mark.parametrize(
    "change", [{"weights": None}, {"threads": "2"}, {"libraries": {"torch": 2}}, {"libraries": []}]
)
def test_what_is_no_fingerprint_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(change))):
        fp.from_dict({**fp.to_dict(tiny_model().fingerprint), **change})


def test_a_model_tells_all_that_decides_its_numbers() -> None:
    fingerprint = tiny_model("gemma2").fingerprint
    assert fingerprint.architecture == "Gemma2ForCausalLM"
    assert fingerprint.attention == "eager"  # sdpa has no soft cap
    assert tiny_model().fingerprint.attention == "sdpa"
    assert fingerprint.dtype == "float32"
    assert fingerprint.device.startswith("cpu ")
    assert set(fingerprint.libraries) == {"numpy", "tokenizers", "torch", "transformers"}
