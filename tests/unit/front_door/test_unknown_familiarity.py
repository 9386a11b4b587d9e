from tests.front_door import Open

from aspen import MemoryItem
from aspen.turns.unknown_familiarity import FEWEST, unknown_familiarity


def test_a_small_store_is_not_measured_and_a_large_one_once(open_aspen: Open, location: str) -> None:
    aspen = open_aspen(location)
    aspen.remember_many([MemoryItem(f"Note {n}: the boiler in room {n} was checked.") for n in range(FEWEST)])
    assert unknown_familiarity(aspen.engine, memories=FEWEST - 1) is None
    measured = unknown_familiarity(aspen.engine, memories=FEWEST)
    assert measured is not None
    assert 0 <= measured <= 1
    kept = aspen.repository.revision()
    assert unknown_familiarity(aspen.engine, memories=FEWEST + 1) == measured
    assert aspen.repository.revision() == kept
    aspen.remember("What else?")
    aspen.forget(aspen.repository.list(limit=1)[0].id)  # what was measured goes with the memory
    assert unknown_familiarity(aspen.engine, memories=FEWEST) == measured
