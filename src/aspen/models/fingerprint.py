"""What a model is, as hashes: weights, tokenizer, chat template; and how two fingerprints differ.

Nothing here needs a tensor library: weights are hashed as the files they lie in.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aspen.errors import InvalidInput, ModelError
from aspen.files import write_atomically
from aspen.types import Fingerprint

_log = logging.getLogger(__name__)

_SIDECAR = "weight-hashes.json"
_BLOCK = 1 << 20  # bytes read at a time

#: Keys of a config.json that say who wrote it, not what the model computes.
_VOLATILE_KEYS = ("transformers_version", "_name_or_path", "_model_name_or_path", "torch_dtype", "dtype")

#: Cut by a tokenizer, this text shows how it splits words, digits, white space, case, code and other scripts.
PROBE_TEXT = (
    "The quick brown fox's 1234567 jumps,  over\tlazy\n\ndogs!  def f(x):\n    return x**2 # ok\n"
    "naïve Ünïcode — «quotes» … 3.14 e-mail@x.org 日本語テスト Привет мир مرحبا 🙂👩‍👩‍👧 ﬁne ½\r\n"
)

#: Order in which differences are named: what changes the numbers most comes first.
_FIELDS = (
    "weights",
    "tokenizer",
    "chat_template",
    "architecture",
    "runtime",
    "dtype",
    "quantisation",
    "attention",
    "device",
    "threads",
)


def text_sha256(text: str) -> str:
    """SHA-256 of a text's UTF-8 bytes, in hex."""
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def tokenizer_sha256(vocabulary: Mapping[str, int], *, probe_ids: Sequence[int]) -> str:
    """Hash of a tokenizer by what it does: its vocabulary, and the ids it gives to `PROBE_TEXT`.

    Its files are not hashed: library versions write the same tokenizer differently, and a store's keys must
    outlive an upgrade.
    """
    entries = sorted(vocabulary.items(), key=lambda entry: (entry[1], entry[0]))
    return text_sha256(json.dumps([entries, [int(i) for i in probe_ids]], ensure_ascii=True))


def template_sha256(template: str | None) -> str:
    """Hash of a chat template; empty where the model brings none."""
    return text_sha256(template) if template else ""


def weights_sha256(files: Sequence[Path], *, config: str = "", cache_dir: Path | None = None) -> str:
    """Hash of a model's weights: the file's own SHA-256 for one file without a config.

    `config` is the text of config.json, which decides the forward pass as much as the weights do; keys that
    only say who wrote it are left out. With `cache_dir`, hashes are kept in a sidecar there, keyed by path,
    size and modification time, so that gigabytes are read once.
    """
    if not files:
        raise ModelError(
            "The weights cannot be hashed: no weight files were found.",
            hint="Name a folder that holds *.safetensors, a hub id, or a .gguf file.",
        )
    hashes = [_cached_file_sha256(path, cache_dir=cache_dir) for path in sorted(files)]
    if len(hashes) == 1 and not config:
        return hashes[0]
    return text_sha256("\n".join([*hashes, _stable_config(config)]))


def _stable_config(text: str) -> str:
    if not text:
        return ""
    config = json.loads(text)
    for key in _VOLATILE_KEYS:
        config.pop(key, None)
    return json.dumps(config, sort_keys=True)


def _cached_file_sha256(path: Path, *, cache_dir: Path | None) -> str:
    real = path.resolve()
    if cache_dir is None:
        return file_sha256(real)
    state = real.stat()
    sidecar = cache_dir / _SIDECAR
    known = _read_sidecar(sidecar)
    entry = known.get(str(real))
    if (
        isinstance(entry, dict)
        and isinstance(entry.get("sha256"), str)
        and (entry.get("size"), entry.get("mtime_ns")) == (state.st_size, state.st_mtime_ns)
    ):
        return str(entry["sha256"])
    digest = file_sha256(real)
    # Two writers at once lose one entry at most, and that one is only hashed again.
    known = _read_sidecar(sidecar)
    known[str(real)] = {"size": state.st_size, "mtime_ns": state.st_mtime_ns, "sha256": digest}
    try:
        write_json_atomically(sidecar, data=known)
    except OSError as error:
        _log.warning(
            "The folder %s cannot be written (%s): hashes of weights are not kept and are computed again each time. "
            "ASPEN_CACHE names another folder.",
            cache_dir,
            error.strerror or error,
        )
    return digest


def _read_sidecar(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        _log.warning("The weight hashes in %s cannot be read and are computed again: %s", path, error)
        return {}
    return data if isinstance(data, dict) else {}


def write_json_atomically(path: Path, *, data: Mapping[str, Any]) -> None:
    """Write JSON to `path`, whole or not at all; its folder is made where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(path) as aside:
        aside.write_text(json.dumps(data, indent=1, sort_keys=True), encoding="utf-8")


def differences(was: Fingerprint, now: Fingerprint) -> list[tuple[str, str, str]]:
    """Fields in which two fingerprints differ, as (field, was, is), in a fixed order.

    Libraries are named one by one ("libraries.torch"); a library that one side lacks reads "absent".
    """
    found = [
        (field, str(getattr(was, field)), str(getattr(now, field)))
        for field in _FIELDS
        if getattr(was, field) != getattr(now, field)
    ]
    for name in sorted({*was.libraries, *now.libraries}):
        before, after = was.libraries.get(name, "absent"), now.libraries.get(name, "absent")
        if before != after:
            found.append((f"libraries.{name}", before, after))
    return found


def to_dict(fingerprint: Fingerprint) -> dict[str, Any]:
    """The fingerprint as plain data, ready for JSON."""
    data = asdict(fingerprint)
    data["libraries"] = dict(fingerprint.libraries)
    return data


def from_dict(data: Mapping[str, Any]) -> Fingerprint:
    """The inverse of `to_dict`. Raises InvalidInput where a field is missing or of the wrong type."""
    types = {field: int if field == "threads" else str for field in _FIELDS}
    wrong = [field for field, kind in types.items() if not isinstance(data.get(field), kind)]
    given = data.get("libraries")
    libraries = dict(given) if isinstance(given, Mapping) else {}
    if not isinstance(given, Mapping) or not all(isinstance(e, str) for pair in given.items() for e in pair):
        wrong.append("libraries")
    if wrong:
        raise InvalidInput(
            f"This is not a fingerprint: {', '.join(wrong)} missing or of the wrong type.", fields=wrong
        )
    return Fingerprint(libraries=libraries, **{field: data[field] for field in _FIELDS})
