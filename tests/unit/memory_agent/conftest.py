from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.unit.memory_agent.agent_worlds import World

from aspen import Config


@pytest.fixture
def world(config: Config) -> Iterator[World]:
    world = World.open(config)
    yield world
    world.aspen.close()
