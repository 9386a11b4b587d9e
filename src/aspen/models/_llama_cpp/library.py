"""Opening the shared object of llama.cpp, and checking before use that it is laid out as `c_api` declares.

It is that of the wheel `xllamacpp`, which is opened as a library and never imported as a module, or any libllama that
ASPEN_LLAMA_LIBRARY names.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import threading
from collections.abc import Iterator
from ctypes import Structure, c_float, c_void_p
from pathlib import Path
from typing import Any

from aspen.errors import ModelError
from aspen.models._llama_cpp.c_api import (
    CONTEXT_DEFAULTS,
    FLOAT16,
    FUNCTIONS,
    MODEL_DEFAULTS,
    Batch,
    ContextParams,
    InitParams,
    LogCallback,
    ModelParams,
    Tensor,
)
from aspen.models._llama_cpp.shared_object import INSTALL, TESTED, in_wheel, open_shared_object
from aspen.models._llama_cpp.signals import DeferredSignals

_lock = threading.Lock()
_loaded: dict[Path, Library] = {}


class Library:
    """An opened library. Its functions are attributes with their C names, their types declared.

    `version` is what the library calls itself; `process` the number of the process that loaded a model with it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.process: int | None = None
        self._said = threading.local()  # .lines: where this thread listens
        self._library = open_shared_object(path)
        for name, (result, arguments) in FUNCTIONS.items():
            try:
                function = getattr(self._library, name)
            except AttributeError as error:
                raise _unlike(path, f"it has no function {name}") from error
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)
        self.version = str(self.llama_version().decode())
        self._check_struct("llama_model_default_params", ModelParams, MODEL_DEFAULTS)
        self._check_struct("llama_context_default_params", ContextParams, CONTEXT_DEFAULTS)
        self._check_batch()
        self._check_tensor()
        # Kept, for the library goes on calling it: so only now that nothing is refused any more.
        self._listener = LogCallback(self._hear)
        self.llama_log_set(self._listener, None)
        with DeferredSignals():
            self.llama_backend_init()
            if (
                not self.ggml_backend_reg_count()
            ):  # as in llama.cpp's releases, where they are files beside it
                self.ggml_backend_load_all_from_path(os.fsencode(path.parent))

    @contextlib.contextmanager
    def listening(self) -> Iterator[list[str]]:
        """What the library says to this thread meanwhile, from warnings on, a line at a time."""
        lines: list[str] = []
        self._said.lines = lines
        try:
            yield lines
        finally:
            del self._said.lines

    def check_process(self) -> None:
        """Raise ModelError in a process that was forked off one that had loaded a model.

        The threads that a pass runs on are not there, and libgomp, which has started them, waits for them for ever.
        """
        if self.process not in (None, os.getpid()):
            raise ModelError(
                "llama.cpp had a model loaded before this process was forked off, and cannot run here.",
                hint="Start processes by spawn or forkserver, and load the model in them.",
            )

    def __getattr__(self, name: str) -> Any:  # what setattr made, for the type checker
        raise AttributeError(name)

    def _check_struct(self, defaults: str, struct: type[Structure], expected: dict[str, Any]) -> None:
        """Raise ModelError unless what the function `defaults` gives is as large as `struct` and reads as expected."""
        function = self._library[defaults]  # another one than getattr gives, with types of its own
        size = _bytes_returned(function)
        if size is not None and _aligned(size) != ctypes.sizeof(struct):
            raise _unlike(
                self.path,
                f"{defaults} gives {size} bytes in version {self.version}, where {ctypes.sizeof(struct)} are expected",
            )
        function.restype = _roomy(struct)
        given = function()
        for name, *_ in struct._fields_:
            value = getattr(given, name) or 0
            if value != expected.get(name, 0):
                raise _unlike(
                    self.path,
                    f"{name} of {defaults} reads {value!r} in version {self.version}, where "
                    f"{expected.get(name, 0)!r} is expected: the struct is laid out otherwise",
                )

    def _check_batch(self) -> None:
        """Raise ModelError unless a batch of tokens that is made has what it should."""
        make, free = self._library["llama_batch_init"], self._library["llama_batch_free"]
        make.restype = _roomy(Batch)
        free.argtypes, free.restype = [make.restype], None
        batch = make(2, 0, 1)  # tokens, no embeddings, sequences
        found = [bool(getattr(batch, name)) for name, _ in Batch._fields_]
        free(batch)
        if found != [name not in ("n_tokens", "embd") for name, _ in Batch._fields_]:
            raise _unlike(self.path, "llama_batch is laid out otherwise")

    def _check_tensor(self) -> None:
        """Raise ModelError unless a tensor and its type read as they were made."""
        room = self.ggml_init(InitParams(mem_size=_ROOM_FOR_TENSORS, no_alloc=True))
        try:
            source = self.ggml_new_tensor_2d(room, FLOAT16, 3, 5)
            scaled = Tensor.from_address(self.ggml_scale(room, source, 0.5))
            read = (scaled.type, *scaled.ne, *scaled.nb, scaled.src[0], any(scaled.src[1:]))
            factor = c_float.from_buffer(scaled, Tensor.op_params.offset).value
        finally:
            self.ggml_free(room)
        if (*read, factor) != (FLOAT16, 3, 5, 1, 1, 2, 6, 30, 30, source, False, 0.5):
            raise _unlike(self.path, "ggml_tensor is laid out otherwise")
        half = self.ggml_get_type_traits(FLOAT16).contents
        if (half.type_name, half.blck_size, half.type_size) != (b"f16", 1, 2):
            raise _unlike(self.path, "ggml_type_traits is laid out otherwise")

    def _hear(self, level: int, text: bytes | None, _: Any) -> None:
        lines: list[str] | None = getattr(self._said, "lines", None)
        if lines is not None and text and level >= _WARNING:
            lines.append(text.decode(errors="replace").rstrip())


_WARNING = 3  # ggml_log_level; 4 is an error
_ROOM = 1024  # bytes for a struct that has become larger: it would be written over what lies behind
_ROOM_FOR_TENSORS = 1 << 14  # bytes; one takes some 400


def _roomy(struct: type[Structure]) -> type[Structure]:
    return type("Roomy", (struct,), {"_fields_": [("rest", ctypes.c_char * _ROOM)]})


def _bytes_returned(function: Any) -> int | None:
    """Size of the large struct that a C function without arguments returns; None where that cannot be seen.

    Between processors the way differs; on x86-64 the caller passes the address as an argument.
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        return None
    fill = ctypes.CFUNCTYPE(None, c_void_p)(ctypes.cast(function, c_void_p).value or 0)
    written = 0
    for pattern in (b"\xa5", b"\x5a"):
        room = ctypes.create_string_buffer(pattern * _ROOM, _ROOM)
        fill(ctypes.addressof(room))
        written = max(written, len(room.raw.rstrip(pattern)))
    return written


def _aligned(size: int) -> int:
    """To the next multiple of a pointer's size."""
    return -(-size // ctypes.sizeof(c_void_p)) * ctypes.sizeof(c_void_p)


def open_library(path: Path | None = None) -> Library:
    """The library at `path`, or that of the installed wheel; opened once a process.

    Raises MissingDependency where there is none, ModelError where it is not the one that the structs here are of.
    """
    found = Path(path).expanduser().resolve() if path is not None else in_wheel()
    with _lock:
        if found not in _loaded:
            _loaded[found] = Library(found)
        return _loaded[found]


def _unlike(path: Path, reason: str) -> ModelError:
    return ModelError(
        f"The llama.cpp in {path} is not one that Aspen knows: {reason}. It is tested with {TESTED}.",
        hint=f"Install that one with: {INSTALL}",
    )
