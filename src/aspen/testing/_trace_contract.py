"""The contract of stores: traces."""

# the name of a test says what must hold

from __future__ import annotations

from dataclasses import replace

import pytest

from aspen.errors import InvalidInput, NotFound
from aspen.repository import Repository
from aspen.testing.repository_builders import new_memory, new_trace


class TraceContract:
    """Tests of `TraceStore`."""

    def test_a_trace_is_stored_with_its_memories(self, store: Repository) -> None:
        trace = new_trace("t", b"\x00\xff" * 50_000, conversation="c")
        said, answered = store.add(
            [new_memory("q", trace_id="t"), new_memory("a", trace_id="t")], trace=trace
        )
        assert said.trace_id == answered.trace_id == "t"
        assert store.trace("t") == trace.body
        assert store.traces() == store.traces(conversation="c") == [trace.info]
        assert store.traces(conversation="another") == []
        later = store.add([new_memory("b", trace_id="t")])[0]
        assert later.trace_id == "t"

    def test_traces_are_listed_newest_first(self, store: Repository) -> None:
        for name in "xyz":
            store.add([new_memory(name, trace_id=name)], trace=new_trace(name, conversation="c"))
        assert [info.id for info in store.traces()] == ["z", "y", "x"]
        assert [info.id for info in store.traces(conversation="c", limit=2)] == ["z", "y"]

    def test_a_trace_goes_with_the_first_memory_that_refers_to_it(self, store: Repository) -> None:
        store.add([new_memory("q", trace_id="t"), new_memory("a", trace_id="t")], trace=new_trace("t"))
        assert store.forget(["q"]) == 1
        assert store.get(["a"])[0].trace_id is None
        assert store.traces() == []
        with pytest.raises(NotFound):
            store.trace("t")
        assert store.check() == []

    def test_a_trace_goes_with_a_memory_that_it_mentions(self, store: Repository) -> None:
        store.add([new_memory("note"), new_memory("other")])
        trace = new_trace("t", mentions=("note", "q", "note"))
        store.add([new_memory("q", trace_id="t")], trace=trace)
        store.add([new_memory("q2", trace_id="t2")], trace=new_trace("t2", mentions=("note",)))
        assert store.forget(["other"]) == 0
        assert store.forget(["note"]) == 2
        assert [memory.trace_id for memory in store.get(["q", "q2"])] == [None, None]
        assert store.check() == []

    def test_a_trace_tells_whose_text_stands_in_it(self, store: Repository) -> None:
        store.add([new_memory("note"), new_memory("other")])
        trace = new_trace("t", mentions=("q", "note"))
        store.add([new_memory("q", trace_id="t"), new_memory("a", trace_id="t")], trace=trace)
        store.add([new_memory("q2", trace_id="t2")], trace=new_trace("t2"))
        assert store.trace_memories("t") == ["note", "q", "a"]
        assert store.trace_memories("t2") == ["q2"]
        store.forget(["other"])
        assert store.trace_memories("t") == ["note", "q", "a"]
        store.forget(["note"])
        for name in ("t", "nowhere", "", "a\0b"):
            with pytest.raises(NotFound):
                store.trace_memories(name)

    def test_a_trace_that_no_new_memory_refers_to_is_not_stored(self, store: Repository) -> None:
        store.add([new_memory("a")])
        store.add([new_memory("a", trace_id="t")], trace=new_trace("t"))
        assert store.traces() == []
        store.add([new_memory("b", trace_id="t")], trace=new_trace("t", b"first"))
        store.add([new_memory("c", trace_id="t")], trace=new_trace("t", b"second"))
        assert store.trace("t") == b"first"

    def test_unknown_traces_and_mentions_are_refused(self, store: Repository) -> None:
        for name in ("nowhere", "a\x00", "\ud800"):
            with pytest.raises(NotFound):
                store.trace(name)
        with pytest.raises(NotFound):
            store.add([new_memory("a", trace_id="nowhere")])
        with pytest.raises(NotFound):
            store.add([new_memory("a", trace_id="t")], trace=new_trace("t", mentions=("nobody",)))
        with pytest.raises(InvalidInput):
            store.add([new_memory("a")], trace=new_trace("t"))
        trace = new_trace("t")
        with pytest.raises(InvalidInput):
            store.add([new_memory("a", trace_id="t")], trace=replace(trace, body=b"cut"))
        assert store.stats().memories == 0

    def test_traces_and_their_memories_are_found_by_seed(self, store: Repository) -> None:
        for name, seed in (("x", 7), ("y", 8), ("z", 7)):
            trace = new_trace(name, conversation=f"of {name}", seed=seed)
            store.add(
                [new_memory(f"{name}1", trace_id=name), new_memory(f"{name}2", trace_id=name)], trace=trace
            )
        store.add([new_memory("none")])
        assert [info.id for info in store.traces(seed=7)] == ["z", "x"]
        assert [info.id for info in store.traces(seed=7, limit=1)] == ["z"]
        assert [info.id for info in store.traces(seed=7, conversation="of x")] == ["x"]
        assert store.traces(seed=7, conversation="of y") == store.traces(seed=0) == []
        found = store.from_traces(["z", "nowhere", "x", "x", "a\x00"])
        assert [memory.id for memory in found] == ["x1", "x2", "z1", "z2"]
        assert [memory.trace_id for memory in found] == ["x", "x", "z", "z"]
        assert store.from_traces([]) == []
        for refused in (-1, 2**53, True):
            with pytest.raises(InvalidInput):
                store.traces(seed=refused)

    def test_a_trace_by_itself_goes_with_a_memory_that_it_mentions(self, store: Repository) -> None:
        store.add([new_memory("q", trace_id="t"), new_memory("other")], trace=new_trace("t"))
        before = store.revision()
        lone = new_trace("t-1", b"not chosen", conversation="c", seed=3, mentions=("q", "q"))
        store.add_trace(lone)
        assert store.revision() == before + 1
        store.add_trace(replace(lone, body=b"not chosen"))  # stored already
        assert store.revision() == before + 1
        assert store.trace("t-1") == b"not chosen"
        assert store.traces()[0] == lone.info
        assert store.from_traces(["t-1"]) == []
        assert store.check() == []
        assert store.forget(["other"]) == 0
        assert store.forget(["q"]) == 2
        assert store.traces() == []
        assert store.check() == []

    def test_a_trace_by_itself_has_to_mention_a_memory_that_is_there(self, store: Repository) -> None:
        before = store.revision()
        with pytest.raises(InvalidInput, match="mentions no memory"):
            store.add_trace(new_trace("t"))
        for mention in ("nobody", "\ud800"):
            with pytest.raises((NotFound, InvalidInput)):
                store.add_trace(new_trace("t", mentions=(mention,)))
        assert store.traces() == []
        assert store.revision() == before
