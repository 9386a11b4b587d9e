"""The memory stream of a generative agent as a typed graph, and a question about him on the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from aspen.cli.main import main
from aspen.models import LanguageModel

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

KLAUS = Path(
    os.environ.get("ASPEN_SMALLVILLE")
    or Path(__file__).parents[2].parent / "shared" / "data" / "smallville_klaus"
)


@pytest.mark.skipif(not KLAUS.is_dir(), reason="ASPEN_SMALLVILLE names no memory stream")
def test_what_he_thinks_of_somebody_comes_with_the_paths_to_it(
    model: LanguageModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ["--store", str(tmp_path / "klaus.db")]
    assert main(["import", str(KLAUS), *store], model=model) == 0
    question = ["ask", "What does Klaus think of Maria Lopez?", "--seed", "1", "--max-tokens", "40", *store]
    capsys.readouterr()
    assert main([*question, "--json"], model=model) == 0
    answer = json.loads(capsys.readouterr().out)
    beliefs = [one for one in answer["memories"] if one["memory"]["type"] == "belief"]
    assert any("crush on Maria" in one["memory"]["text"] for one in beliefs)
    for one in beliefs:
        assert one["activation"] > 0
        assert {kind for path in one["paths"] for kind in path["relations"]} <= {"example_of", "derived_from"}
        assert any(path["memories"][-1] == one["memory"]["id"] for path in one["paths"])
    assert main(question, model=model) == 0
    assert "--example_of-->" in capsys.readouterr().out
