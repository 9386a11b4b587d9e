"""Finding and loading a transformers model; every way in which that fails, said clearly."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.utils import logging as hub_logging
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig, PreTrainedModel
from transformers import modeling_gguf_pytorch_utils as gguf_utils
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import cached_file, logging

from aspen.errors import InvalidInput, MissingDependency, ModelError, ModelNotFound
from aspen.models._transformers.model import TransformersModel
from aspen.models.fingerprint import weights_sha256

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_INSTALL_GGUF = "pip install 'aspen-memory[transformers]' gguf accelerate"
#: Checked in this order: transformers takes safetensors where a folder holds both.
_WEIGHT_PATTERNS = ("model*.safetensors", "*.safetensors", "pytorch_model*.bin")
#: Their configurations have `is_decoder`, off as for BERT, but they decode all the same.
_ALWAYS_DECODE = frozenset({"gpt_neox", "gpt_neox_japanese"})


def load(
    name_or_path: str,
    *,
    path: Path | None,
    device: str | None,
    dtype: str | None,
    threads: int | None,
    cache_dir: Path | None,
    name: str | None,
    weights_hash: Callable[[], str] | None,
    quantisation: str | None,
) -> TransformersModel:
    """See `aspen.models._transformers.load`; `path` is what `local_path` makes of the name."""
    if threads is not None and threads < 1:
        raise InvalidInput(f"threads must be at least 1, not {threads}.")
    place = _device(device)
    number = _dtype(dtype, device=place)
    # Only after everything that could be wrong was looked at: this setting is the whole process's.
    if threads is not None:
        torch.set_num_threads(threads)
    with _quiet():
        if path is not None and path.suffix == ".gguf":
            hf, tokenizer = _load_gguf(path, dtype=number)
            files, config = [path], ""
            quantisation = quantisation or gguf_quantisation(path)
        else:
            source = str(path) if path is not None else name_or_path
            files, config = [], None
            if path is None:
                _ask_hub(source)
            hf, tokenizer = _load_plain(source, dtype=number)
    hf = _to_device(hf, place)

    def hashed() -> str:
        found = files or _weight_files(name_or_path, path=path)
        text = config if config is not None else (found[0].parent / "config.json").read_text(encoding="utf-8")
        return weights_sha256(found, config=text, cache_dir=cache_dir)

    return TransformersModel(
        hf,
        tokenizer=tokenizer,
        name=name or (path.stem if files and path else name_or_path),
        weights_hash=weights_hash or hashed,
        quantisation=quantisation or _quantisation_of(hf),
    )


def convert_gguf(source: Path, target: Path) -> str:
    """See `aspen.models._transformers.convert_gguf`."""
    with _quiet():
        hf, tokenizer = _load_gguf(source, dtype=torch.float32)
        # Its weights are plain numbers now; left in place, the entry would have them unpacked once more.
        if hasattr(hf.config, "quantization_config"):
            del hf.config.quantization_config
        hf.save_pretrained(target)
        tokenizer.save_pretrained(target)
    return gguf_quantisation(source)


def gguf_quantisation(path: Path) -> str:
    """Name of a GGUF file's quantisation, such as "Q4_1"; "GGUF" where the file does not say."""
    from gguf import GGUFReader, LlamaFileType  # noqa: PLC0415 - needed for GGUF files only

    field = GGUFReader(path).get_field("general.file_type")
    if field is None:
        return "GGUF"
    try:
        return str(LlamaFileType(int(field.contents())).name).removeprefix("MOSTLY_")
    except ValueError:
        return "GGUF"


def _ask_hub(hub_id: str) -> None:
    """Raise ModelNotFound where a model is not on this machine and the hub cannot be reached.

    One short question: from_pretrained would ask six times, for half a minute. Whatever the hub answers, it tells.
    """
    try:
        if try_to_load_from_cache(hub_id, "config.json") is None:
            get_hf_file_metadata(hf_hub_url(hub_id, "config.json"))
    except (OSError, ValueError):  # an answer of the hub, being offline on purpose, a name that cannot be
        return
    except Exception as error:  # of the HTTP library; which one that is depends on huggingface_hub's version
        raise ModelNotFound(
            f"There is no model {hub_id!r} on this machine, and the Hugging Face hub could not be asked for it over "
            f"the network: {_first_line(error)}.",
            hint="Check the name and the connection, or take a model of this machine (`aspen models`).",
        ) from error


def _load_plain(source: str, *, dtype: torch.dtype | str) -> tuple[PreTrainedModel, Any]:
    try:
        config = AutoConfig.from_pretrained(source)
    except (OSError, ValueError, KeyError) as error:
        raise ModelNotFound(
            f"No model could be found as {source!r}: {_first_line(error)}",
            hint="Check the name. Offline, only models that were downloaded before can be loaded.",
        ) from error
    _check_decoder_only(config, source=source)
    try:
        hf, report = AutoModelForCausalLM.from_pretrained(
            source, config=config, dtype=dtype, output_loading_info=True
        )
        tokenizer = AutoTokenizer.from_pretrained(source)
    except ImportError as error:  # a quantisation or a tokenizer that needs one more package
        raise MissingDependency(
            f"Loading {source!r} needs one more package.", hint=_first_line(error)
        ) from error
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelNotFound(
            f"The model {source!r} could not be loaded: {_first_line(error)}",
            hint="The folder may be incomplete: download or convert it again.",
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelNotFound(
            f"{source!r} lacks {len(missing)} of the model's weights, such as {missing[0]}.",
            hint="Download or convert it again.",
            missing=missing,
        )
    return hf, tokenizer


def _load_gguf(path: Path, *, dtype: torch.dtype | str) -> tuple[PreTrainedModel, Any]:
    folder, file = str(path.parent), path.name
    try:
        # transformers leaves GGUF weights packed by default: slower, and such a model cannot be saved.
        hf = AutoModelForCausalLM.from_pretrained(
            folder, gguf_file=file, dtype=dtype, quantization_config=GgufConfig(dequantize=True)
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
    except ImportError as error:
        raise MissingDependency(
            f"Loading {path.name} needs the packages gguf and accelerate.",
            hint=f"Install them with: {_INSTALL_GGUF}",
        ) from error
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelNotFound(
            f"{path} could not be read as a GGUF model: {_first_line(error)}",
            hint="Not every architecture can be read from GGUF; take its safetensors folder instead.",
        ) from error
    _check_decoder_only(hf.config, source=str(path))
    return hf, tokenizer


def _check_decoder_only(config: Any, *, source: str) -> None:
    architectures = list(getattr(config, "architectures", None) or ())
    known = set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values())
    known_type = config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    if (
        config.is_encoder_decoder
        or not known_type
        or (architectures and known.isdisjoint(architectures))
        or (getattr(config, "is_decoder", None) is False and config.model_type not in _ALWAYS_DECODE)
    ):
        what = ", ".join(architectures) or config.model_type
        raise ModelNotFound(
            f"{source!r} is not a decoder-only language model ({what}).",
            hint="Aspen runs causal language models, such as Llama, Qwen, Mistral, Gemma or SmolLM.",
            architectures=architectures,
        )


def _device(device: str | None) -> torch.device:
    if device is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise InvalidInput(f"{device!r} is not a device.", hint="Take cpu, cuda, cuda:1 or mps.") from error
    if place.type not in ("cpu", "cuda", "mps"):
        raise InvalidInput(f"Aspen does not run on {device!r}.", hint="Take cpu, cuda, cuda:1 or mps.")
    present = {
        "cpu": lambda: True,
        "cuda": lambda: (place.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available,
    }
    if not present[place.type]():
        raise ModelError(f"The device {device!r} is not there.", hint="Take cpu, or leave the device out.")
    return place


def _dtype(dtype: str | None, *, device: torch.device) -> torch.dtype | str:
    if dtype is None:
        return torch.float32 if device.type == "cpu" else "auto"
    if dtype not in _DTYPES:
        raise InvalidInput(f"{dtype!r} is not a dtype Aspen runs.", hint=f"Take one of {', '.join(_DTYPES)}.")
    return _DTYPES[dtype]


def _to_device(hf: PreTrainedModel, device: torch.device) -> PreTrainedModel:
    if hf.device == device:
        return hf
    try:
        moved: PreTrainedModel = hf.to(device)
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"The model does not fit the memory of {device}.",
            hint="Take a smaller one, bfloat16, or the cpu.",
        ) from error
    return moved


def _weight_files(name_or_path: str, *, path: Path | None) -> list[Path]:
    folder = path
    if folder is None:
        config = cached_file(name_or_path, "config.json", local_files_only=True)
        folder = Path(str(config)).parent
    for pattern in _WEIGHT_PATTERNS:
        if files := sorted(folder.glob(pattern)):
            return files
    return []


def _quantisation_of(hf: PreTrainedModel) -> str:
    settings = getattr(hf.config, "quantization_config", None)
    if settings is None:
        return "none"
    method = settings.get("quant_method") if isinstance(settings, dict) else settings.quant_method
    return str(getattr(method, "value", method))


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and no chatter from transformers and the hub; the settings found are put back."""
    bars, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    hub_verbosity = hub_logging.get_verbosity()
    gguf_bar = gguf_utils.tqdm  # this one does not listen to transformers' setting
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    # Its lines on each retry; the error tells what came of them.
    hub_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    gguf_utils.tqdm = lambda items, **options: items
    try:
        yield
    finally:
        gguf_utils.tqdm = gguf_bar
        logging.set_verbosity(verbosity)
        hub_logging.set_verbosity(hub_verbosity)
        if bars:
            logging.enable_progress_bar()
