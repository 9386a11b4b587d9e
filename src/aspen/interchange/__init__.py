"""Memories in and out of files: reading what other programs wrote, and Aspen's own export."""

from aspen.interchange.exporting import ExportReport, export_memories
from aspen.interchange.formats import Format, detect_format
from aspen.interchange.importing import ImportProgress, ImportReport, import_file
from aspen.interchange.records import Problem

__all__ = [
    "ExportReport",
    "Format",
    "ImportProgress",
    "ImportReport",
    "Problem",
    "detect_format",
    "export_memories",
    "import_file",
]
