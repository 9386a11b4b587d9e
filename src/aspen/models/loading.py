"""Which runtime runs a model, and loading it there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from aspen.config import ModelFolders
from aspen.errors import InvalidInput
from aspen.models import _llama_cpp, _transformers
from aspen.models.bundled import NAME, find_source, prepare_bundled
from aspen.models.folders import is_file
from aspen.models.interface import LanguageModel
from aspen.models.ollama import PREFIX, ollama_path

LLAMA_CPP, TRANSFORMERS = "llama.cpp", "transformers"
RUNTIMES = (LLAMA_CPP, TRANSFORMERS)
_BUNDLED = "bundled"


def runtime_of(spec: str, *, runtime: str | None = None) -> str:
    """The runtime that runs the model that `spec` names: `runtime` where given, else by what it is.

    The bundled model, .gguf files and those of Ollama run in llama.cpp, folders and names of a hub in transformers.
    Raises InvalidInput where the runtime given does not exist, or cannot run such a model.
    """
    if runtime is not None and runtime not in RUNTIMES:
        raise InvalidInput(f"{runtime!r} is no runtime.", hint=f"Take one of {', '.join(RUNTIMES)}.")
    if runtime == TRANSFORMERS or spec == _BUNDLED:
        return runtime or LLAMA_CPP
    names_file = spec.startswith(PREFIX) or spec.endswith(".gguf") or is_file(_path(spec))
    if runtime == LLAMA_CPP and not names_file:
        raise InvalidInput(
            f"llama.cpp runs .gguf files, and {spec!r} is none.",
            hint="Name a .gguf file; a list tells which are on this machine (`aspen models`).",
        )
    return LLAMA_CPP if names_file else TRANSFORMERS


def gguf_path(spec: str) -> Path:
    """The .gguf file that `spec` names, for a model that llama.cpp runs; it need not be there.

    Raises MissingDependency where the bundled model is not installed, and as `ollama_path` does.
    """
    if spec == _BUNDLED:
        return find_source()
    if spec.startswith(PREFIX):
        return ollama_path(spec, folders=ModelFolders.from_environment().ollama)
    return _path(spec)


def local_path(spec: str) -> Path | None:
    """The folder or file that `spec` names, for a model that transformers runs; None for one of a hub.

    Needs neither torch nor the network. Raises ModelNotFound where it can be neither.
    """
    return _transformers.local_path(spec)


def load_model(
    spec: str,
    *,
    cache_dir: Path,
    runtime: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    threads: int | None = None,
    llama_library: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> LanguageModel:
    """Load the model that `spec` names: "bundled", a .gguf file, "ollama:NAME", a folder, or a Hugging Face hub id.

    Parameters
    ----------
    cache_dir:
        Where the bundled model is unpacked for transformers, and hashes of weights are kept.
    runtime:
        "llama.cpp" or "transformers"; see `runtime_of` for what is taken where None.
    device, dtype:
        See `aspen.models._transformers.load`. llama.cpp runs on the CPU and as the file is quantised.
    threads:
        Of the CPU; by default one for each core.
    llama_library:
        The shared object of llama.cpp; that of the package xllamacpp where None.
    progress:
        Gets a sentence at each slow step of unpacking the bundled model.
    """
    if runtime_of(spec, runtime=runtime) == LLAMA_CPP:
        if dtype is not None or (device or "cpu") != "cpu":
            raise InvalidInput(
                f"llama.cpp runs {spec!r} on the CPU and in the file's own precision, not on {device or 'cpu'} "
                f"in {dtype or 'another one'}.",
                hint="Leave device and dtype out, or take the runtime transformers (ASPEN_RUNTIME=transformers).",
            )
        return _llama_cpp.load(
            gguf_path(spec),
            threads=threads,
            cache_dir=cache_dir,
            library=llama_library,
            name=NAME if spec == _BUNDLED else None,
        )
    if spec.startswith(PREFIX):
        spec = str(gguf_path(spec))
    if spec != _BUNDLED:
        return _transformers.load(spec, device=device, dtype=dtype, threads=threads, cache_dir=cache_dir)
    _transformers.check_installed()  # before the person waits for something that is then of no use
    bundled = prepare_bundled(cache_dir, convert=_transformers.convert_gguf, progress=progress)
    return _transformers.load(
        str(bundled.folder),
        device=device,
        dtype=dtype,
        threads=threads,
        cache_dir=cache_dir,
        name=bundled.name,
        weights_hash=lambda: bundled.source_sha256,
        quantisation=bundled.quantisation,
    )


def _path(spec: str) -> Path:
    try:
        return Path(spec).expanduser()
    except RuntimeError as error:  # a home folder of nobody
        raise InvalidInput(f"{spec!r} cannot be used as a path: {error}.") from error
