from pathlib import Path

from click.testing import CliRunner
from importlinter.cli import lint_imports_command


def test_imports_point_one_way_as_pyproject_draws_them() -> None:
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    result = CliRunner().invoke(lint_imports_command, ["--config", str(pyproject), "--no-cache"])
    assert result.exit_code == 0, result.output
    assert "0 broken" in result.output
