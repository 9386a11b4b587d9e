"""Recording a session: hooks on the blocks and a tap on attention, there only while it is open."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

from aspen.errors import InvalidInput, ModelError
from aspen.models.interface import AttentionInputs, ModelInfo
from aspen.types import FloatArray, TokenIds

_TAP = "aspen_tap_"
#: Recorders by the modules of their models, so that models in other threads are left alone.
_RECORDERS: dict[nn.Module, Recorder] = {}


def hidden_argument(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """The residual stream [B, T, D] among a block's arguments: the first one, by place or by name."""
    return args[0] if args else kwargs["hidden_states"]


def hidden_result(output: Any) -> Tensor:
    """The residual stream [B, T, D] in a block's result, which in some architectures is a tuple."""
    return output[0] if isinstance(output, tuple) else output


class Recorder:
    """Keeps what one session feeds: the residual stream of every layer, and what enters attention.

    Implements `RawRecording`. Between `begin` and `end` lies one forward pass; `drop` forgets a failed one.
    What is kept lies in main memory, but for the last keys of each layer, which the KV cache holds anyway;
    these follow when the recording is closed.
    """

    def __init__(self, hf: PreTrainedModel, *, blocks: Sequence[nn.Module]) -> None:
        self._hf = hf
        self._blocks = blocks
        self.is_open = False
        self._handles: list[Any] = []
        self._stock_attention: str | None = None
        self._length = 0
        self._rewinds = 0
        self._step_ids: Tensor | None = None  # set during a forward pass of the recorded session
        self._step_hidden: Tensor | None = None
        self._step_attention: dict[int, tuple[Tensor, Tensor]] = {}
        self._ids: list[Tensor] = []
        self._ran: list[Tensor] = []  # per step bool [n]
        self._hidden: list[Tensor] = []  # per step [L + 1, n, D]
        self._queries: dict[int, list[Tensor]] = {}  # per layer and step [H, n, head_dim]
        self._keys: dict[int, _Keys] = {}
        self._facts: dict[int, tuple[float, float | None, int | None]] = {}  # scale, softcap, window
        self._refused: dict[int, str] = {}

    def open(self) -> None:
        """Set the hooks and the tap."""
        self.is_open = True
        for layer, block in enumerate(self._blocks):
            self._handles.append(block.register_forward_pre_hook(self._on_block(layer), with_kwargs=True))
        self._handles.append(self._blocks[-1].register_forward_hook(self._on_last_block))
        stock = str(self._hf.config._attn_implementation)
        # Architectures that do not call the attention interface give hidden states only.
        if stock in _TAPS and self._hf._can_set_attn_implementation():
            _register(stock)
            self._stock_attention = stock
            _RECORDERS.update((m, self) for m in self._hf.modules() if hasattr(m, "layer_idx"))
            self._hf.set_attn_implementation(_TAP + stock)

    def close(self) -> None:
        """Take hooks and tap away; the recording stays readable."""
        self.is_open = False
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        if self._stock_attention is not None:
            self._hf.set_attn_implementation(self._stock_attention)
            for module in self._hf.modules():  # not over the dictionary: other threads may change it
                _RECORDERS.pop(module, None)
        for keys in self._keys.values():
            keys.to_main_memory()

    def begin(self, token_ids: Tensor) -> None:
        """A forward pass over `token_ids` [1, n] of the recorded session starts."""
        self._step_ids = token_ids
        self._step_hidden = None
        self._step_attention.clear()

    def drop(self) -> None:
        """The forward pass failed: nothing of it is kept."""
        self._step_ids = self._step_hidden = None
        self._step_attention.clear()

    def end(self) -> None:
        """The forward pass is done: keep it."""
        if self._step_ids is None or self._step_hidden is None:
            raise ModelError(f"{type(self._hf).__name__} ran without passing through its blocks.")
        count = self._step_ids.shape[1]
        self._length += count
        self._ids.append(self._step_ids[0].cpu())
        self._ran.append(torch.ones(count, dtype=torch.bool))
        self._hidden.append(self._step_hidden.cpu())
        layers = sorted(self._step_attention)
        queries = _to_main_memory([self._step_attention[layer][0][0] for layer in layers])
        for layer, query in zip(layers, queries, strict=True):
            self._queries.setdefault(layer, []).append(query)
            keys = self._keys.setdefault(layer, _Keys())
            keys.add(self._step_attention[layer][1][0], count=count, total=self._length)
        self.drop()

    def put(self, token_ids: Tensor, keys: Sequence[Tensor], *, info: ModelInfo) -> None:
        """Tokens [n] came into the cache without running; `keys` [H_kv, t, head_dim] of each block, theirs last."""
        count = len(token_ids)
        self._length += count
        self._ids.append(token_ids.cpu())
        self._ran.append(torch.zeros(count, dtype=torch.bool))
        self._hidden.append(torch.zeros((info.n_layers + 1, count, info.width), dtype=self._hf.dtype))
        for layer, key in enumerate(keys):
            queries = torch.zeros((info.n_heads, count, key.shape[-1]), dtype=key.dtype)
            self._queries.setdefault(layer, []).append(queries)
            self._keys.setdefault(layer, _Keys()).add(key, count=count, total=self._length)

    def rewind(self, length: int) -> None:
        """Forget the tokens from `length` on."""
        self._length = length
        self._rewinds += 1
        self._ids = _cut(self._ids, length, dim=0)
        self._ran = _cut(self._ran, length, dim=0)
        self._hidden = _cut(self._hidden, length, dim=1)
        for layer, queries in self._queries.items():
            self._queries[layer] = _cut(queries, length, dim=1)
        for keys in self._keys.values():
            keys.rewind(length)

    def rewinds(self) -> int:
        """See `RawRecording.rewinds`."""
        return self._rewinds

    def ran(self) -> NDArray[np.bool_]:
        """bool [T]; see `RawRecording.ran`."""
        self._require_something()
        return np.concatenate([step.numpy() for step in self._ran])

    def token_ids(self) -> TokenIds:
        """int32 [T]"""
        self._require_something()
        return np.concatenate([step.numpy() for step in self._ids]).astype(np.int32)

    def hidden_states(self) -> FloatArray:
        """float32 [L + 1, T, D]; put together anew at each call."""
        self._require_something()
        return np.concatenate([step.to(torch.float32).numpy() for step in self._hidden], axis=1)

    def attention_inputs(self, layer: int) -> AttentionInputs:
        """See `RawRecording`. Raises ModelError where the architecture's attention cannot be expressed so."""
        self._require_something()
        if not 0 <= layer < len(self._blocks):
            raise InvalidInput(f"Attention layers are 0 to {len(self._blocks) - 1}, not {layer}.")
        if layer in self._refused or layer not in self._facts:
            reason = self._refused.get(layer, "it computes attention in a way of its own")
            raise ModelError(
                f"The attention of layer {layer} of {type(self._hf).__name__} was not recorded: {reason}.",
                hint="Its hidden states were; use those.",
                layer=layer,
            )
        scale, softcap, window = self._facts[layer]
        return AttentionInputs(
            queries=torch.cat(self._queries[layer], dim=1).to(torch.float32).numpy(),
            keys=self._keys[layer].joined().to(torch.float32).numpy(),
            scale=scale,
            softcap=softcap,
            window=window,
        )

    def _require_something(self) -> None:
        if not self._ids:
            raise InvalidInput(
                "Nothing was recorded.", hint="Start the session inside the recording, then feed it tokens."
            )

    def _on_block(self, layer: int) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._keep_hidden(layer, hidden_argument(args, kwargs))

        return hook

    def _on_last_block(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        self._keep_hidden(len(self._blocks), hidden_result(output))

    def _keep_hidden(self, layer: int, hidden: Tensor) -> None:
        if self._step_ids is None:
            return
        if self._step_hidden is None:
            self._step_hidden = hidden.new_empty((len(self._blocks) + 1, *hidden.shape[1:]))
        # Copied at once: a block may go on to write into its input.
        self._step_hidden[layer].copy_(hidden[0])

    def see_attention(self, module: nn.Module, query: Tensor, key: Tensor, extras: dict[str, Any]) -> None:
        """What enters attention: query [1, H, n, head_dim], key [1, H_kv, visible, head_dim]."""
        if self._step_ids is None:
            return
        layer = int(module.layer_idx)
        self._step_attention[layer] = (query, key)
        if layer in self._facts or layer in self._refused:
            return
        scale = extras.get("scaling")
        softcap = extras.get("softcap")
        window = self._window(layer, extras.get("sliding_window"))
        if extras.get("s_aux") is not None:
            self._refused[layer] = "it uses learned attention sinks"
        elif extras.get("position_bias") is not None:
            self._refused[layer] = "it adds a learned position bias"
        if layer not in self._refused:
            self._facts[layer] = (
                float(scale) if scale is not None else float(query.shape[-1]) ** -0.5,
                float(softcap) if softcap else None,
                window,
            )

    def _window(self, layer: int, passed: Any) -> int | None:
        config = self._hf.config.get_text_config(decoder=True)
        kinds = getattr(config, "layer_types", None)
        kind = kinds[layer] if kinds is not None else None
        if kind not in (None, "full_attention", "sliding_attention"):
            self._refused[layer] = f"it is of the kind {kind}"
            return None
        if kind == "full_attention":
            return None
        window = passed if passed is not None or kind is None else config.sliding_window
        return int(window) if window is not None else None


class _Keys:
    """All keys of one layer. A full cache hands over all of them at every step: the last ones are enough.

    Once a windowed cache has begun to forget, the new keys of each step are kept instead.
    """

    def __init__(self) -> None:
        self._whole: Tensor | None = None  # [H_kv, t, head_dim]
        self._tail: list[Tensor] = []  # [H_kv, n, head_dim] each

    def add(self, keys: Tensor, *, count: int, total: int) -> None:
        """`keys` [H_kv, visible, head_dim], of which the last `count` are new; `total` keys exist by now."""
        if keys.shape[1] == total:
            self._whole = keys
        else:
            self._tail.append(keys[:, -count:].cpu().clone())

    def rewind(self, length: int) -> None:
        whole = 0
        if self._whole is not None:
            self._whole = self._whole[:, :length]
            whole = self._whole.shape[1]
        self._tail = _cut(self._tail, length - whole, dim=1)

    def to_main_memory(self) -> None:
        if self._whole is not None:
            self._whole = self._whole.cpu()

    def joined(self) -> Tensor:
        """[H_kv, T, head_dim]"""
        parts = self._tail if self._whole is None else [self._whole.cpu(), *self._tail]
        return torch.cat(parts, dim=1)


def _cut(steps: list[Tensor], length: int, *, dim: int) -> list[Tensor]:
    """The first `length` entries, along `dim`, of tensors that follow each other."""
    kept = []
    for step in steps:
        if length <= 0:
            break
        kept.append(step.narrow(dim, 0, min(length, step.shape[dim])))
        length -= step.shape[dim]
    return kept


def _to_main_memory(tensors: list[Tensor]) -> list[Tensor]:
    """Copies in main memory; one transfer where the shapes agree."""
    if len({tensor.shape for tensor in tensors}) == 1:
        return list(torch.stack(tensors).cpu())
    return [tensor.clone().cpu() for tensor in tensors]


def _stock_sdpa(module: nn.Module) -> Callable[..., Any]:
    return AttentionInterface()["sdpa"]  # type: ignore[no-any-return]


def _stock_eager(module: nn.Module) -> Callable[..., Any]:
    # Each architecture has an eager function of its own (soft caps, sinks), under this name in its module.
    return sys.modules[type(module).__module__].eager_attention_forward  # type: ignore[no-any-return]


_TAPS: dict[str, Callable[[nn.Module], Callable[..., Any]]] = {"sdpa": _stock_sdpa, "eager": _stock_eager}


def _register(stock: str) -> None:
    """Make known to transformers an attention function that looks, then calls the stock one."""
    name = _TAP + stock
    if name in AttentionInterface():
        return
    find = _TAPS[stock]

    def attention(module: nn.Module, query: Tensor, key: Tensor, *args: Any, **kwargs: Any) -> Any:
        recorder = _RECORDERS.get(module)
        if recorder is not None:
            recorder.see_attention(module, query, key, kwargs)
        return find(module)(module, query, key, *args, **kwargs)

    AttentionInterface.register(name, attention)
    AttentionMaskInterface.register(name, AttentionMaskInterface()[stock])
