"""Whether pictures can be drawn: matplotlib comes with an extra, and is slow to import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aspen.errors import InvalidInput, MissingDependency

_ENDINGS = (".png", ".svg", ".pdf")


def check_plotting(path: Path, *, option: str = "--plot") -> None:
    """MissingDependency or InvalidInput where nothing can be drawn to `path`: said before the work.

    `option` is how a person asked for it.
    """
    if path.suffix.lower() not in _ENDINGS:
        raise InvalidInput(f"{path} is no picture.", hint=f"It has to end in {', '.join(_ENDINGS)}.")
    if not path.parent.is_dir():
        raise InvalidInput(f"{path} cannot be written: there is no folder {path.parent}.", path=str(path))
    require_matplotlib(otherwise=f"leave {option} out").use("Agg")


def require_matplotlib(*, otherwise: str) -> Any:
    """The package matplotlib; MissingDependency where it is not installed, which says what to do `otherwise`."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise MissingDependency(
            "matplotlib, which draws the plot, is not installed.",
            hint=f'pip install "aspen-memory[benchmark]", or {otherwise}.',
        ) from error
    return mpl


def open_pyplot(path: Path) -> Any:
    """matplotlib's interface for drawing to a file; see `check_plotting`."""
    check_plotting(path)
    from matplotlib import pyplot  # noqa: PLC0415 - an extra, and slow to import

    return pyplot
