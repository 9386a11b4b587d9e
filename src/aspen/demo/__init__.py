"""The demo: a story in two processes on one store, in which everything but the person's words is computed."""

from pathlib import Path

from aspen.demo.playing import run_demo

CREATOR = Path(__file__).with_name("creator.jsonl")
"""The memories of an invented person, with relations between them: a file to import and try."""

__all__ = ["CREATOR", "run_demo"]
