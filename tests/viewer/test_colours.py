"""The colours of the style sheet, computed: contrast, and memory types that colour-blind eyes tell apart."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

TOKENS = Path(__file__).parents[2] / "src/aspen/memory_viewer/static/css/tokens.css"
TYPES = ("self", "belief", "pattern", "episodic", "semantic")
LEAST_CONTRAST_OF_TEXT, LEAST_CONTRAST_OF_MARKS = 4.5, 3.0  # WCAG 2.2, 1.4.3 and 1.4.11
LEAST_DISTANCE = 0.08  # in OKLab; two colours 0.02 apart can just be told apart side by side

# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
EYES = {
    "most": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
# Ottosson 2020, OKLab.
TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def themes() -> dict[str, dict[str, str]]:
    text = TOKENS.read_text(encoding="utf-8")
    light, dark = re.findall(r"^:root(?:\[[^]]*\])? \{(.*?)\n\}", text, flags=re.DOTALL | re.MULTILINE)
    found = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in (light, dark)]
    return {"light": found[0], "dark": found[1]}


THEMES = themes()


def linear(colour: str) -> NDArray[np.float64]:
    values = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def seen(colour: str, eyes: NDArray[np.float64]) -> NDArray[np.float64]:
    light = np.clip(eyes @ linear(colour), 0, 1)
    lab: NDArray[np.float64] = TO_LAB @ np.cbrt(TO_CONES @ light)
    return lab


@pytest.mark.parametrize("theme", THEMES)
def test_words_stand_out(theme: str) -> None:
    colours = THEMES[theme]
    for word, ground in itertools.product(
        ("ink", "ink-soft", "bad", "good"), ("ground", "surface", "sunken")
    ):
        assert contrast(colours[word], colours[ground]) >= LEAST_CONTRAST_OF_TEXT, (word, ground)
    assert contrast(colours["on-accent"], colours["accent"]) >= LEAST_CONTRAST_OF_TEXT
    assert contrast(colours["ink"], colours["notice"]) >= LEAST_CONTRAST_OF_TEXT


@pytest.mark.parametrize("theme", THEMES)
def test_marks_borders_and_bars_stand_out(theme: str) -> None:
    colours = THEMES[theme]
    marks = [f"type-{kind}" for kind in TYPES] + ["edge", "focus", "bar"]
    for mark, ground in itertools.product(marks, ("ground", "surface")):
        assert contrast(colours[mark], colours[ground]) >= LEAST_CONTRAST_OF_MARKS, (mark, ground)


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("theme", THEMES)
def test_types_are_told_apart(theme: str, eyes: str) -> None:
    shown = {kind: seen(THEMES[theme][f"type-{kind}"], EYES[eyes]) for kind in TYPES}
    for one, other in itertools.combinations(TYPES, 2):
        assert np.linalg.norm(shown[one] - shown[other]) >= LEAST_DISTANCE, (one, other)
