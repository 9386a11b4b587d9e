"""Calibrates the bundled model anew and puts the result into the package.

    python tools/ship_calibration.py

To be run when the calibration text or the recipe of keys changes; a test holds the shipped file against the text.
"""

from __future__ import annotations

from pathlib import Path

import aspen.activation_db
from aspen.activation_db import recipe_for
from aspen.activation_db.calibration import calibrate, file_name
from aspen.config import Config
from aspen.models import load_model


def main() -> None:
    """Write the file, and delete those of older recipes or texts."""
    model = load_model("bundled", cache_dir=Config.from_environment().cache_dir, device="cpu", progress=print)
    recipe = recipe_for(model.info)
    folder = Path(aspen.activation_db.__file__).parent / "data"
    body = calibrate(model, recipe=recipe).to_bytes()
    for old in folder.glob("*.safetensors"):
        old.unlink()
    path = folder / file_name(model, recipe=recipe)
    path.write_bytes(body)
    print(f"{path}: {len(body):,} bytes")


if __name__ == "__main__":
    main()
