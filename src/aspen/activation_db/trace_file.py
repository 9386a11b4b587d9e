"""The file of a trace: see `aspen.activation_db.container` for its layout."""

from __future__ import annotations

from aspen.activation_db.container import Container
from aspen.errors import TraceCorrupt, TraceVersionError

FORMAT_VERSION = 2
MAX_BYTES = 4 * 2**30
"""Largest body that is unpacked unless the caller asks for more, in bytes."""

TRACE_FILE = Container(
    noun="trace",
    magic=b"ASPNTRCE",
    version=FORMAT_VERSION,
    readable=(1, 2),
    damaged=TraceCorrupt,
    foreign=TraceVersionError,
    remedy="Restore it from a backup; what it held cannot be rebuilt.",
    upgrade="Read it with the version of Aspen that wrote it, or a later one.",
)
