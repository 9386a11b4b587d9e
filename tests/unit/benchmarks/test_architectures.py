"""`aspen bench` runs whole with models of other architectures than the bundled one's (llama), named by their path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.tiny_models import LAYERS, WIDTH, tiny_tokenizer, tiny_transformer

from aspen.cli.main import main


@pytest.mark.parametrize(
    ("architecture", "name"),
    [("gpt_neox", "GPTNeoXForCausalLM"), ("gemma2", "Gemma2ForCausalLM")],
)
def test_recall_with_a_model_of_another_architecture(
    architecture: str,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ASPEN_CACHE", str(tmp_path / "cache"))
    folder, out = tmp_path / architecture, tmp_path / "recall.json"
    model = tiny_transformer(architecture)
    model.config.max_position_embeddings = 2048  # a token is a letter here: the calibration text is long
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)

    limits = ("--limit-conversations", "1", "--limit-questions", "3")
    code = main(["bench", "recall", "--model", str(folder), *limits, "-s", "product", "--json", str(out)])

    assert code == 0, capsys.readouterr().err
    report = json.loads(out.read_text())
    assert (report["architecture"], report["layers"], report["width"]) == (name, LAYERS, WIDTH)
    assert report["model"]
    systems = report["systems"]
    assert list(systems) == ["bm25", "bm25_spreading", "activation", "hybrid", "aspen"]
    for figures in systems.values():
        assert 0 <= figures["recall@5"] <= figures["recall@10"] <= figures["recall@25"] <= 100
    # Random weights know nothing, but they rank: key and heads take part in what the words alone would say.
    timings = {"write_ms", "query_ms"}
    found = {name: {key: systems[name][key] for key in systems[name].keys() - timings} for name in systems}
    assert found["activation"] != found["bm25"]
    assert found["hybrid"] != found["bm25"]
