"""Measuring recall: data sets with known evidence, systems that search them, figures with intervals.

Everything goes the way a user's own data goes: what is remembered comes in by `Aspen.remember_many`, and questions
are put to `Aspen.recall`. Other systems stand beside Aspen behind one Protocol (`interface.System`).
"""

from aspen.benchmarks.interface import Dataset, Question, System

__all__ = ["Dataset", "Question", "System"]
