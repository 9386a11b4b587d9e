"""The direction of imports, as pyproject.toml draws it."""

import subprocess
import sys
from pathlib import Path


def test_imports_point_one_way_as_pyproject_draws_them() -> None:
    """In a process of its own: import-linter switches the loggers of the one it runs in off."""
    root = Path(__file__).parents[2]
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    arguments = ["--config", str(root / "pyproject.toml"), "--no-cache"]
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=root, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout
