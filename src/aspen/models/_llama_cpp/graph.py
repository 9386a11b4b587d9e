"""Where in llama.cpp's graph of a forward pass the tensors stand that Aspen reads.

The callback of a pass is asked about every node, a thousand a token, so it answers by place, not by name. Places are
learned once a model from names, operations and what each node is computed from; each kind of pass has its own.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aspen.errors import ModelError
from aspen.models._llama_cpp.c_api import FLOAT32, Tensor
from aspen.models._llama_cpp.library import Library
from aspen.types import FloatArray

_VIEWS = frozenset({"RESHAPE", "VIEW", "PERMUTE", "TRANSPOSE", "CONT"})
_QUERY, _MASK = 0, 3  # sources of an attention node


class Node(NamedTuple):
    """One node as the callback saw it: where it lies in memory, and what ggml says of it."""

    address: int
    name: str
    operation: str
    shape: tuple[int, ...]
    sources: tuple[int, ...]
    parameters: tuple[int, ...]


def describe(library: Library, address: int) -> Node:
    """A node of the graph that is being computed."""
    tensor = Tensor.from_address(address)
    return Node(
        address,
        library.ggml_get_name(address).decode(),
        library.ggml_op_desc(address).decode(),
        tuple(tensor.ne),
        tuple(int(source or 0) for source in tensor.src),
        tuple(tensor.op_params),
    )


@dataclass(frozen=True, slots=True)
class Attention:
    """What the attention of a block multiplies with and caps at, and which of the pass's masks it reads, from 0."""

    scale: float
    softcap: float | None
    mask: int


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """By number of the node, from 0; of each block where there are several.

    names are those of all nodes. residual[0] is the input of the first block, residual[k] what block k - 1 gives.
    `queries` and `keys` come before rotary embedding, the rotated ones are what attention takes in; both are the same
    node where nothing is rotated. lasting: those of `residual` that are still there when the rotated queries of the
    next block are, since a later node takes them in.
    """

    names: tuple[str, ...]
    head_dim: int
    residual: tuple[int, ...]
    lasting: frozenset[int]
    queries: tuple[int, ...]
    keys: tuple[int, ...]
    rotated_queries: tuple[int, ...]
    rotated_keys: tuple[int, ...]
    attention: tuple[Attention, ...]


def learn(nodes: Sequence[Node], *, n_layers: int, architecture: str) -> Places:
    """The places in a pass that ran these nodes. ModelError where the graph is not one that Aspen can read."""
    place = {node.address: i for i, node in enumerate(nodes)}
    named: dict[str, list[int]] = {}
    for i, node in enumerate(nodes):
        named.setdefault(node.name, []).append(i)

    def all_of(name: str) -> list[int]:
        if name not in named:
            raise _unreadable(architecture, f"its graph has no {name}")
        return named[name]

    def origin(i: int, *, until: str | None = None) -> int | None:
        """Back along the first source: past views, or up to the first node of the operation `until`."""
        while True:
            node = nodes[i]
            if node.operation == until or (until is None and node.operation not in _VIEWS):
                return i
            source = place.get(node.sources[0])
            if source is None or (until is not None and node.operation == "MUL_MAT"):
                return None
            i = source

    def before_rotation(i: int) -> int:
        rotation = origin(i, until="ROPE")
        if rotation is None:
            return i
        source = place.get(nodes[rotation].sources[0])
        if source is None:
            raise _unreadable(architecture, f"{nodes[i].name} is rotated from nowhere")
        return source

    attentions = [i for i, node in enumerate(nodes) if node.operation == "FLASH_ATTN_EXT"]
    if len(attentions) != n_layers:
        raise _unreadable(architecture, f"{len(attentions)} of its {n_layers} blocks have ordinary attention")
    queries, head_dims = [], set()
    for i in attentions:
        source = place.get(nodes[i].sources[_QUERY])
        found = origin(source) if source is not None else None
        if source is None or found is None:
            raise _unreadable(architecture, "its queries come from nowhere")
        queries.append(found)
        head_dims.add(nodes[source].shape[0])
    if len(head_dims) != 1:
        raise _unreadable(architecture, f"its heads are of different sizes, {sorted(head_dims)}")
    keys = []
    for block in range(n_layers):
        before = [i for i in all_of(f"Kcur-{block}") if i < attentions[block]]
        if not before:
            raise _unreadable(architecture, f"the keys of block {block} come too late")
        keys.append(before[-1])
    # The first norm of a block is before attention, or that of its queries; without weights it has another name.
    norm = (named.get("norm-0") or all_of("attn_norm-0"))[0]
    first = place.get(nodes[norm].sources[0])
    made = origin(first) if first is not None else None
    if made is not None and nodes[made].operation == "MUL_MAT":
        first = place.get(nodes[made].sources[1])
    if first is None:
        raise _unreadable(architecture, "its first block reads no embedding")
    residual = (first, *(all_of(f"l_out-{block}")[-1] for block in range(n_layers)))
    last_read = {source: i for i, node in enumerate(nodes) for source in node.sources}
    lasting = (i for i, query in zip(residual, queries, strict=False) if last_read[nodes[i].address] > query)
    masks = list(dict.fromkeys(nodes[i].sources[_MASK] for i in attentions))
    return Places(
        names=tuple(node.name for node in nodes),
        head_dim=head_dims.pop(),
        residual=residual,
        lasting=frozenset(lasting),
        queries=tuple(map(before_rotation, queries)),
        keys=tuple(map(before_rotation, keys)),
        rotated_queries=tuple(queries),
        rotated_keys=tuple(keys),
        attention=tuple(
            _attention(nodes[i], mask=masks.index(nodes[i].sources[_MASK]), architecture=architecture)
            for i in attentions
        ),
    )


def _attention(node: Node, *, mask: int, architecture: str) -> Attention:
    # ggml_flash_attn_ext: scale, slope of ALiBi, soft cap
    scale, slope, cap = (float(one) for one in np.array(node.parameters[:3], dtype=np.int32).view(np.float32))
    if slope:
        raise _unreadable(architecture, "it adds a position bias to its attention (ALiBi)")
    if not np.isfinite(scale) or scale <= 0:
        raise _unreadable(architecture, f"its attention is scaled by {scale}")
    return Attention(scale, cap or None, mask)


def strided(address: int, *, library: Library) -> FloatArray:
    """A copy of a float32 tensor of the graph that was just computed, its fastest dimension last."""
    tensor = Tensor.from_address(address)
    if tensor.type != FLOAT32:
        raise ModelError(f"{library.ggml_get_name(address).decode()} is not of type float32.")
    size = library.ggml_nbytes(address)
    raw = np.empty(size, dtype=np.uint8)
    library.ggml_backend_tensor_get(address, raw.ctypes.data, 0, size)
    view = np.lib.stride_tricks.as_strided(
        raw[: size - size % ctypes.sizeof(ctypes.c_float)].view(np.float32),
        shape=tuple(reversed(tensor.ne)),
        strides=tuple(reversed(tensor.nb)),
        writeable=False,
    )
    return np.ascontiguousarray(view)


def _unreadable(architecture: str, reason: str) -> ModelError:
    return ModelError(
        f"The activations of {architecture} cannot be read from llama.cpp: {reason}.",
        hint="Take its safetensors folder with transformers, or a model such as Llama, Qwen, Gemma or SmolLM.",
    )
