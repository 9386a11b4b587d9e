"""Options that commands share, and how a command gets its store."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from aspen.aspen import Aspen
from aspen.cli._screen import say
from aspen.config import Config, is_url
from aspen.errors import InvalidInput, StoreError, StoreNotWritable
from aspen.memory_injector import StrategyName
from aspen.models import LanguageModel
from aspen.types import MemoryType, TraceLevel


def _default_store() -> str:
    """Where the store lies that neither an option nor the environment names, short enough for a line of help."""
    path = Path(Config.from_environment({}).store)
    with contextlib.suppress(RuntimeError, ValueError):  # there is no home folder, or the path is outside
        return f"~/{path.relative_to(Path.home())}"
    return str(path)


StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="PATH",
        help=f"The store file, or a postgresql:// URL. Default: $ASPEN_STORE, or {_default_store()}.",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help='"bundled", a .gguf file, "ollama:NAME", a folder or a Hugging Face id. '
        'Default: $ASPEN_MODEL, or "bundled".',
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device", metavar="DEVICE", help="cpu, cuda, cuda:1 or mps. Default: the best that is there."
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document, and errors as JSON on stderr.")
]
ConversationOption = Annotated[
    str | None, typer.Option("--conversation", "-c", metavar="NAME", help="Only this conversation.")
]
SpeakerOption = Annotated[
    str | None, typer.Option("--speaker", metavar="NAME", help="Only what this speaker said.")
]
TalkOption = Annotated[
    str, typer.Option("--conversation", "-c", metavar="NAME", help="The conversation to go on with.")
]
StrategyOption = Annotated[
    StrategyName | None,
    typer.Option("--strategy", help="How memories are fed back. Default: $ASPEN_STRATEGY or note."),
]
NoMemoryOption = Annotated[bool, typer.Option("--no-memory", help="Answer without recalling anything.")]
MaxTokensOption = Annotated[int, typer.Option("--max-tokens", metavar="N", help="Most tokens of a reply.")]
NoteTokensOption = Annotated[
    int, typer.Option("--note-tokens", metavar="N", help="Most tokens that memories may take.")
]
TraceLevelOption = Annotated[
    TraceLevel, typer.Option("--trace-level", help="How much of the activations each trace keeps.")
]
SeedFilterOption = Annotated[
    int | None,
    typer.Option("--seed", metavar="N", help="Only what was generated with this seed of the sampler."),
]
LimitOption = Annotated[
    int, typer.Option("--limit", "-n", metavar="N", help="Most rows to show, up to 10,000.")
]


def settings_for(*, model: str | None = None, device: str | None = None) -> Config:
    """Settings from the environment, with what the options say."""
    config = Config.from_environment()
    return replace(config, model=model or config.model, device=device or config.device)


def given_model(context: typer.Context) -> LanguageModel | None:
    """The loaded model that the caller of `main` handed in, if any."""
    given: LanguageModel | None = context.find_root().obj
    return given


def open_aspen(
    context: typer.Context,
    *,
    store: str | None,
    model: str | None = None,
    device: str | None = None,
    create: bool = False,
    quiet: bool = False,
) -> Aspen:
    """Open the store that a command works on.

    Without `create` it has to be there: a command that only reads makes no store where a path was mistyped. The
    folder of the default store is made, for its owner only; other folders are not. `quiet` keeps notices off
    stderr.
    """
    config = settings_for(model=model, device=device)
    location = config.store if store is None else location_of(store)
    if isinstance(location, Path):  # a database says by itself whether it is there
        if create and store is None:
            _make_folder(location.parent)
        if not create and str(location) != ":memory:":
            _check_filled(location)
    return Aspen.open(location, model=given_model(context), config=config, notify=notices(quiet=quiet))


def location_of(store: str) -> Path | str:
    """What `--store` names: a path, or the URL of a database as it stands."""
    return store if is_url(store) else Path(store)


def notices(*, quiet: bool) -> Callable[[str], None]:
    """What to do with a sentence about something that takes long; with --json only errors go to stderr."""
    return (lambda message: None) if quiet else say


def _check_filled(path: Path) -> None:
    """StoreError where nothing is at `path`, or an empty file, of which opening would make a store."""
    if not exists(path):
        problem = f"There is no store at {path}."
    elif path.expanduser().is_file() and path.expanduser().stat().st_size == 0:
        problem = f"{path} is empty, not a store."
    else:
        return
    raise StoreError(
        problem,
        hint="`aspen remember`, `aspen chat` or `aspen import` make one; --store names another.",
        path=str(path),
    )


def exists(path: Path) -> bool:
    """Whether something is at `path`; InvalidInput where it can be no path."""
    try:
        return path.expanduser().exists()
    except (OSError, RuntimeError, ValueError) as error:  # too long; a home folder of nobody; a NUL
        raise InvalidInput(f"{path} cannot be used as a path: {error}.", path=str(path)) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreNotWritable(
            f"The folder {folder} for the store cannot be made: {error}.",
            hint="Name another store with --store or ASPEN_STORE.",
            path=str(folder),
        ) from error


def time_of(text: str | None, *, what: str) -> datetime | None:
    """The time that an option gives in ISO 8601; InvalidInput where it is none."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(
            f"{what} {text!r} is no date.", hint="Write it as in 2026-05-02T18:30:00+02:00 (ISO 8601)."
        ) from error


def from_stdin(text: str) -> str:
    """`text`, or all of standard input where it is "-"."""
    if text != "-":
        return text
    if sys.stdin.isatty():
        raise InvalidInput('"-" reads from standard input, which is this terminal.', hint="Pipe the text in.")
    return sys.stdin.read().removesuffix("\n")


def boosted(given: Sequence[str], *, onto: Mapping[str, float]) -> dict[MemoryType | str, float]:
    """The boosts `onto` by type of memory, with those that --boost gives in their place."""
    boosts: dict[MemoryType | str, float] = dict(onto)
    for text in given:
        kind, _, factor = text.partition("=")
        try:
            boosts[kind] = float(factor)
        except ValueError as error:
            raise InvalidInput(f"--boost {text!r} is no factor.", hint="Write it as in belief=2.") from error
    return boosts
