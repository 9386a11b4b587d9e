"""What most unit tests share: one cache folder, so that each fake model is calibrated once in a run."""

from pathlib import Path

import pytest

from aspen.activation_db import Calibration, load_calibration, recipe_for
from aspen.config import Config
from aspen.testing.fake_model import FakeModel


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def config(cache_dir: Path) -> Config:
    return Config(cache_dir=cache_dir, store=cache_dir / "never-used.db")


@pytest.fixture(scope="session")
def calibration(cache_dir: Path) -> Calibration:
    """Of `FakeModel()`."""
    model = FakeModel()
    return load_calibration(model, recipe=recipe_for(model.info), cache_dir=cache_dir)
