"""The front door: one object that remembers, recalls, relates, chats, answers and replays."""

from __future__ import annotations

from aspen.front_door.amending import Amending
from aspen.front_door.asking import Asking
from aspen.front_door.browsing import Browsing
from aspen.front_door.replaying import Replaying


class Aspen(Asking, Replaying, Amending, Browsing):
    """A store of memories, and the model that remembers.

    ::

        with Aspen.open("memory.db") as aspen:
            aspen.remember("My sister Mara moved to Lisbon.", speaker="Ann")
            print(aspen.recall("Who lives in Portugal?").hits[0].memory.text)

    Make one with `Aspen.open`. Threads may share it; the model serves them one after the other.
    """
