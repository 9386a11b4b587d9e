"""Looks at everything Aspen stands on, and says what is wrong and which command puts it right."""

from __future__ import annotations

from aspen.doctor.examining import examine
from aspen.doctor.findings import Finding, Status

__all__ = ["Finding", "Status", "examine"]
