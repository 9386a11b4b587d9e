"""The program in processes of its own, forked from one that has imported what takes seconds to import.

A command of the documentation needs about seven seconds, five of them to import torch and transformers. Here they are
imported once: the standard library's fork server (`multiprocessing`, "Contexts and start methods") does it when the
first command runs, and forks a fresh process for each. What starts threads or loads a model comes after the fork.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    ["aspen.cli._program", "aspen.models._transformers", "transformers.models.llama.modeling_llama"]
)


def run_aspen(
    arguments: Sequence[str], *, environment: Mapping[str, str], stdin: str = "", timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    """`aspen ARGUMENTS` in this working folder, as `subprocess.run` would run it. TimeoutExpired after `timeout` s."""
    with tempfile.TemporaryDirectory(prefix="aspen-command-") as name:
        streams = [Path(name) / stream for stream in ("stdin", "stdout", "stderr")]
        streams[0].write_text(stdin, encoding="utf-8")
        process = _context.Process(
            target=_run, args=(list(arguments), dict(environment), Path.cwd(), streams)
        )
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(["aspen", *arguments], timeout)
        out, err = (path.read_text(encoding="utf-8") for path in streams[1:])
        return subprocess.CompletedProcess(["aspen", *arguments], process.exitcode, out, err)


def _run(arguments: list[str], environment: dict[str, str], folder: Path, streams: list[Path]) -> NoReturn:
    for number, path in enumerate(streams):
        os.dup2(os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT), number)
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - they live as long as the process
        for number, mode in enumerate("rww")
    )
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["aspen", *arguments]
    from aspen.cli.main import main  # noqa: PLC0415 - in the process that was forked

    sys.exit(main())
