"""What a figure means nothing without: the machine, the versions, the command, the date."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

_PACKAGES = (
    "aspen-memory",
    "numpy",
    "torch",
    "transformers",
    "xllamacpp",
    "apsw",
    "sentence-transformers",
    "chromadb",
    "mem0ai",
)


def circumstances(*, title: str, command: Sequence[str]) -> dict[str, object]:
    """The head of a report."""
    return {
        "benchmark": title,
        "command": shlex.join(command),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
    }


def machine() -> dict[str, object]:
    """Processor, cores in use, memory (GiB), and how busy the machine is (load average over one minute)."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_at_end": round(os.getloadavg()[0], 2),
    }


def _cpu_model() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def versions() -> dict[str, str]:
    """Of Python and of the packages that decide the figures; those not installed are left out."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
