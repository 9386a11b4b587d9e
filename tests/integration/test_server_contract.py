"""Whatever fits the OpenAPI, or does not, is answered as it says: no mistake of the server, no answer of another shape.

A modest number of cases runs with `make test-all`; `ASPEN_CONTRACT_EXAMPLES=100` makes more than 5,000 of them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aspen import Aspen, Config
from aspen.server.running import running
from aspen.server.settings import ServerSettings
from aspen.testing.fake_model import FakeModel

pytestmark = [pytest.mark.slow, pytest.mark.long]

EXAMPLES = int(os.environ.get("ASPEN_CONTRACT_EXAMPLES", "3"))
"""Of each operation and phase."""
MANY = 100
"""With so many of them there are more than 5,000 cases."""
CONFIG = Path(__file__).with_name("schemathesis.toml")


def filled(aspen: Aspen) -> None:
    """A little of everything that can be asked for."""
    texts = ["My sister Mara moved to Lisbon.", "Mara likes the sea.", "Our cat is called Biscuit."]
    first, second, _ = aspen.remember_many([{"text": text, "conversation": "facts"} for text in texts])
    aspen.relate(first.id, second.id, "supports")
    aspen.chat("Where is Mara?", conversation="talk")
    aspen.recall("Where is Mara?", rerank=True)  # learns how, which takes longer than a request may


def test_the_server_keeps_what_its_openapi_promises(tmp_path: Path) -> None:
    config = Config(cache_dir=tmp_path, store=tmp_path / "never-used.db")
    model = FakeModel(say=lambda prompt: "Well.", context_length=2048)
    settings = ServerSettings(port=0, rate=1e6, burst=10**6, request_seconds=600)
    began = time.monotonic()
    with Aspen.open(tmp_path / "store.db", model=model, config=config) as aspen:
        filled(aspen)
        with running(aspen, settings=settings) as address:
            url = f"{address.url}api/v1/openapi.json"
            arguments = ["--config-file", str(CONFIG), "run", url, "--max-examples", str(EXAMPLES)]
            done = subprocess.run(
                [
                    sys.executable,
                    "-c",
                    "from schemathesis.cli import schemathesis; schemathesis()",
                    *arguments,
                ],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=3 * 3600,
                check=False,
            )
        assert aspen.repository.check() == []
    report = done.stdout[-20_000:]
    assert done.returncode == 0, report
    counted = re.search(r"(\d[\d,]*) generated", report)
    assert counted is not None, report
    cases = int(counted[1].replace(",", ""))
    print(f"{cases:,} cases in {time.monotonic() - began:.0f} s")  # -s shows it
    assert cases >= (5_000 if EXAMPLES >= MANY else 1_000), report
