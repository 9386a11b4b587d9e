"""Terms in FTS5: they come back as they were, in order, and damage to its own tables is found."""

import re
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aspen.repository import InMemoryRepository, Repository, SQLiteRepository
from aspen.resonance_search.keyword import analyse
from aspen.testing.repository_builders import STAMP, new_memory

ODD = [
    "NEAR",
    "AND",
    "OR",
    "the",
    "_",
    "__",
    "\u00e9",
    "e\u0301",
    "\u0130",
    "\u1e9e",
    "\u03a3",
    "\u212a",
    "\ufb01",
    "9",
    " ",
    '"',
    "*",
    "-",
]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Repository, Repository]]:
    """The oracle and SQLite, kept over the examples of a test: opening a store takes longer than an example."""
    with (
        InMemoryRepository() as oracle,
        SQLiteRepository(tmp_path_factory.mktemp("keywords") / "store.db") as store,
    ):
        for repository in (oracle, store):
            repository.set_stamp(STAMP)
        yield oracle, store


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text() | st.lists(st.sampled_from(ODD)).map("".join), min_size=1, max_size=3))
def test_the_terms_of_any_text_come_back(stores: tuple[Repository, Repository], texts: list[str]) -> None:
    analysed = [analyse(text) for text in texts]
    sought = sorted({term for terms in analysed for term in terms})
    found = []
    for repository in stores:
        added = repository.add([new_memory(str(n), terms=terms) for n, terms in enumerate(analysed)])
        place = {memory.seq: number for number, memory in enumerate(added)}
        found.append(
            [
                (term, place[seq], position)
                for term, postings in zip(sought, repository.postings(sought), strict=True)
                for seq, position in zip(postings.seqs.tolist(), postings.positions.tolist(), strict=True)
            ]
        )
        repository.forget([memory.id for memory in added])
    expected = {
        (term, number, position)
        for number, terms in enumerate(analysed)
        for position, term in enumerate(terms)
    }
    assert set(found[0]) == expected
    assert found[0] == found[1]


def test_every_character_of_a_word_stays_what_it_is(tmp_path: Path) -> None:
    """Each of them as a word and inside one: FTS5 reads what `analyse` wrote, in its order."""
    words = re.findall(r"\w", "".join(map(chr, range(sys.maxunicode + 1))))
    terms = analyse(" ".join(f"{word} x{word}x" for word in words))
    assert len(terms) > 250_000
    with SQLiteRepository(tmp_path / "store.db") as store:
        store.set_stamp(STAMP)
        store.add([new_memory("a", terms=terms)])
        assert store.check() == []
    with closing(apsw.Connection(str(tmp_path / "store.db"))) as connection:
        rows = connection.execute('SELECT term, "offset" FROM keyword_posting').fetchall()
    assert {place: term for term, place in rows} == dict(enumerate(terms))


def filled(path: Path) -> Path:
    with SQLiteRepository(path) as store:
        store.set_stamp(STAMP)
        store.add([new_memory(f"m{n}", terms=("x", f"word{n}")) for n in range(50)])
    return path


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE keyword_content SET c0 = 'another' WHERE id = 7",
        "UPDATE keyword_data SET block = substr(block, 1, length(block) - 1) || x'ff' WHERE id > 10",
        "UPDATE keyword_data SET block = zeroblob(length(block)) WHERE id > 10",
        "DELETE FROM keyword_data WHERE id > 10",
        "DELETE FROM keyword_docsize WHERE id = 7",
        "DELETE FROM keyword_content WHERE id = 7",
    ],
)
def test_damage_to_the_tables_of_the_index_is_found(tmp_path: Path, damage: str) -> None:
    path = filled(tmp_path / "store.db")
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(damage).fetchall()
        assert connection.changes() > 0
    with SQLiteRepository(path) as store:
        assert any("fts5" in sentence.lower() for sentence in store.check())


def test_all_tables_of_the_index_count_as_keywords(tmp_path: Path) -> None:
    path = filled(tmp_path / "store.db")
    with closing(apsw.Connection(str(path))) as connection:
        pages = connection.execute("SELECT name, pgsize FROM dbstat WHERE name GLOB '*keyword*'").fetchall()
    with SQLiteRepository(path) as store:
        assert store.stats().bytes["keywords"] == sum(int(str(size)) for _, size in pages) > 0


def test_the_index_overwrites_what_it_deletes(tmp_path: Path) -> None:
    path = filled(tmp_path / "store.db")
    with closing(apsw.Connection(str(path))) as connection:
        options = connection.execute("SELECT k, v FROM keyword_config").fetchall()
    assert ("secure-delete", 1) in options
