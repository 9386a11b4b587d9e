"""Calibrates the bundled model anew, in each runtime or in those named, and puts the results into the package.

    python tools/ship_calibration.py [llama.cpp] [transformers]

To be run when the calibration text or the recipe of keys changes; a test holds the shipped files against the text.
"""

from __future__ import annotations

import sys
from pathlib import Path

import aspen.activation_db
from aspen.activation_db import recipe_for
from aspen.activation_db.calibration import calibrate, file_name
from aspen.config import Config
from aspen.models import RUNTIMES, load_model


def main() -> None:
    """Write the files, and delete what they take the place of."""
    folder = Path(aspen.activation_db.__file__).parent / "data"
    for runtime in sys.argv[1:] or RUNTIMES:
        cache_dir = Config.from_environment().cache_dir
        model = load_model("bundled", cache_dir=cache_dir, runtime=runtime, device="cpu", progress=print)
        recipe = recipe_for(model.info)
        body = calibrate(model, recipe=recipe).to_bytes()
        for old in folder.glob(f"{model.fingerprint.model_id}-*.safetensors"):
            old.unlink()
        path = folder / file_name(model, recipe=recipe)
        path.write_bytes(body)
        print(f"{path}: {len(body):,} bytes")


if __name__ == "__main__":
    main()
