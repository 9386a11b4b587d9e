"""The demo: a story in two processes on one store, in which everything but the person's words is computed."""

from aspen.demo.playing import run_demo

__all__ = ["run_demo"]
