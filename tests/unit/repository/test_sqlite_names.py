"""Names in SQLite: no look-up reads or sorts more than it hands over needs."""

import re
from pathlib import Path

import pytest

from aspen.errors import StoreError
from aspen.repository import Mention, SQLiteRepository
from aspen.repository._sqlite._names import about, mentioning
from aspen.repository._sqlite._statements import queries
from aspen.testing.repository_builders import STAMP, mentions_of, new_memory

PRIMARY_KEY = "PRIMARY KEY"
INDEXES = {
    "mentions": {"mention_by_memory"},
    "mentioning": {PRIMARY_KEY},
    "mentioning_in_conversation": {PRIMARY_KEY, "memory_by_conversation"},
    "span_of_conversation": {"memory_by_conversation"},
    "about": {"memory_by_subject"},
    "about_in_conversation": {"memory_by_subject_within"},
    "head_keys": {"sqlite_autoindex_memory_head_key_1"},
    "traits_of_new_rows": {"memory_key_by_revision", PRIMARY_KEY},
}


@pytest.mark.parametrize("query", sorted(INDEXES))
def test_each_look_up_goes_over_an_index(tmp_path: Path, query: str) -> None:
    """A GROUP BY or ORDER BY that sorts would read all mentions of a name before it cuts."""
    with SQLiteRepository(tmp_path / "store.db") as store, store._pool.borrow() as session:
        statement = queries()[query]
        values = dict.fromkeys(re.findall(r":(\w+)", statement))
        plan = session.connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
    steps = "\n".join(str(detail) for *_, detail in plan)
    assert set(re.findall(rf"USING (?:(?:COVERING )?INDEX )?({PRIMARY_KEY}|\w+) \(", steps)) == INDEXES[query]
    assert re.findall(r"SCAN (?!json_each|CONSTANT)\w+", steps) == []
    assert ("name=? AND seq>? AND seq<?" in steps) == (query == "mentioning_in_conversation")
    assert ("TEMP B-TREE" in steps) == (query == "traits_of_new_rows")  # few rows, in the order of revisions


def test_a_name_in_every_memory_costs_no_more_than_what_is_handed_over(tmp_path: Path) -> None:
    """Counted in steps of SQLite's machine: 20 names that all of 1,000 memories have, cut at 11."""
    names = [f"name{number}" for number in range(20)]
    mentions = tuple(Mention(name, 0, 0) for name in names)
    memories = [
        new_memory(f"m{n}", mentions=mentions, subject="name0", conversation=f"c{n // 100}")
        for n in range(1000)
    ]
    steps = 0

    def count() -> bool:
        nonlocal steps
        steps += 10
        return False

    with SQLiteRepository(tmp_path / "store.db") as store:
        store.set_stamp(STAMP)
        store.add(memories)
        with store._pool.borrow() as session:
            session.connection.set_progress_handler(count, 10)
            for conversation in (None, "c0", "c9"):
                steps = 0
                found = mentioning(session, names, conversation=conversation, limit=11)
                assert len(found.seqs) == 20 * 11
                assert 1000 < steps < 50 * len(found.seqs)
                steps = 0
                assert (
                    len(about(session, ["name0"] * 20, conversation=conversation, limit=11).seqs) == 20 * 11
                )
                assert 1000 < steps < 50 * len(found.seqs)


def test_two_mentions_with_one_start_take_the_end_of_the_first(tmp_path: Path) -> None:
    """What is in the way of the table's key is left out; what its checks forbid is an error all the same."""
    path = tmp_path / "store.db"
    with SQLiteRepository(path) as store:
        store.set_stamp(STAMP)
        mentions = (Mention("b", 0, 2), Mention("a", 0, 1), Mention("a", 0, 2))
        (memory,) = store.add([new_memory("m", terms=("x", "y"), mentions=mentions)])
        own = [(memory.seq, Mention("a", 0, 1)), (memory.seq, Mention("b", 0, 2))]
        assert mentions_of(store.mentions([memory.seq])) == own
        with pytest.raises(StoreError, match="CHECK"), store._pool.borrow() as session, session.writing():
            session.run("add_mention", name="c", seq=memory.seq, start=2, stop=1)
        assert mentions_of(store.mentions([memory.seq])) == own
