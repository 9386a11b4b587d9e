"""The character store in each of the repositories."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.acceptance.creator import fill

from aspen import Aspen
from aspen.config import Config
from aspen.errors import MissingDependency
from aspen.models import LanguageModel, bundled, load_model


@pytest.fixture(scope="session")
def model() -> LanguageModel:
    try:
        bundled.find_source()
    except MissingDependency as error:
        pytest.skip(str(error))
    return load_model("bundled", cache_dir=Config.from_environment().cache_dir, device="cpu", threads=1)


@pytest.fixture(scope="session", params=["memory", "sqlite"])
def creator(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, model: LanguageModel
) -> Iterator[Aspen]:
    file = tmp_path_factory.mktemp("creator") / "creator.db"
    with Aspen.open({"memory": ":memory:", "sqlite": str(file)}[request.param], model=model) as aspen:
        fill(aspen)
        yield aspen
