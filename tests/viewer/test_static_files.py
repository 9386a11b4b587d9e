"""What is shipped of the page: no inline code, no other host, nothing that would read text as HTML."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "src/aspen/memory_viewer/static"
OWN = [
    path
    for path in STATIC.rglob("*")
    if path.suffix in {".js", ".css", ".html"} and "vendor" not in path.parts
]
ALL = [path for path in STATIC.rglob("*") if path.suffix in {".js", ".css", ".html", ".svg"}]
_NAMESPACES = re.compile(
    r"https?://www\.w3\.org/(1998/Math/MathML|1999/xhtml|1999/xlink|2000/svg|2000/xmlns|XML/1998/namespace)/?"
)


def name(path: Path) -> str:
    return path.relative_to(STATIC).as_posix()


def test_a_page_is_there() -> None:
    assert (STATIC / "index.html").is_file()
    assert len(OWN) > 30


@pytest.mark.parametrize("path", ALL, ids=name)
def test_nothing_is_fetched_from_another_host(path: Path) -> None:
    text = _NAMESPACES.sub("", path.read_text(encoding="utf-8"))
    assert re.findall(r"https?://[\w.]+|[\"'(]//[\w.]+\.\w", text) == []


@pytest.mark.parametrize("path", OWN, ids=name)
def test_text_is_never_read_as_html_or_code(path: Path) -> None:
    forbidden = (
        r"(inner|outer|insertAdjacent)HTML|document\.write|srcdoc|\beval\(|new Function|setTimeout\(\s*[\"'`]"
    )
    assert re.findall(forbidden, path.read_text(encoding="utf-8"), flags=re.IGNORECASE) == []


def test_the_page_has_no_inline_script_or_style() -> None:
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    assert (
        re.findall(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:", html, flags=re.IGNORECASE)
        == []
    )


@pytest.mark.parametrize("path", OWN, ids=name)
def test_files_have_one_subject(path: Path) -> None:
    """A style sheet may be long: it is a list."""
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= (900 if path.suffix == ".css" else 400)


@pytest.mark.parametrize("path", [path for path in OWN if path.suffix == ".js"], ids=name)
def test_lines_fit_a_screen(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [f"line {number}" for number, line in enumerate(lines, 1) if len(line) > 120] == []


def test_what_is_vendored_has_its_licence() -> None:
    vendor = STATIC / "vendor"
    licences = (vendor / "LICENCES.txt").read_text(encoding="utf-8")
    for path in vendor.iterdir():
        assert path.name == "LICENCES.txt" or re.search(rf"\bin .*{re.escape(path.name)}", licences), (
            path.name
        )


def test_the_page_names_files_that_exist() -> None:
    for path in OWN:
        text = path.read_text(encoding="utf-8")
        named = re.findall(r"[\"'](/static/[^\"']+)[\"']", text)
        imported = re.findall(r"(?:from|import)\(?\s*[\"'](\.[^\"']+)[\"']", text)
        for one in named:
            assert (STATIC / one.removeprefix("/static/")).is_file(), f"{name(path)}: {one}"
        for one in imported:
            assert (path.parent / one).resolve().is_file(), f"{name(path)}: {one}"
