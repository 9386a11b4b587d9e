"""What llama.cpp calls back while a pass runs: which tensors are wanted, and where they go."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from itertools import chain, repeat
from typing import Any

from aspen.errors import ModelError
from aspen.models._llama_cpp.graph import Node, describe
from aspen.models._llama_cpp.library import Library
from aspen.models._llama_cpp.signals import DeferredSignals

Take = Callable[[int], None]
"""Gets the address of a watched tensor, as long as it holds what was just computed."""


_LATER = None  # False to C: the tensor is handed on with the next one
_NOTHING, _ALL = repeat(False), repeat(True)  # noqa: FBT003


class Watch:
    """The callback of one context. Nothing may be raised into C: an exception ends the pass, and `end` raises it; so
    does Ctrl-C.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._error: BaseException | None = None
        self._signals: DeferredSignals | None = None
        self._answers: Iterator[bool | None] = _NOTHING
        self._takes: Iterator[Take] = iter(())
        self._left = 0
        self._last = ""
        self._stop = False
        self._listed: list[Node] | None = None
        self._kept: list[int] = []  # tensors to be handed on with the next one

    def begin(
        self,
        take: Mapping[int, Take],
        *,
        names: tuple[str, ...] = (),
        lasting: Collection[int] = (),
        stop: bool = False,
        signals: DeferredSignals | None = None,
    ) -> None:
        """A pass begins in whose graph, of nodes of these names, the tensors at these places, in rising order, are
        handed on. Those in `lasting`, never the last, are so together with the next one: each time that a pass is
        interrupted costs it some 20 microseconds. With `stop` it ends after the last of them. Once `signals` has an
        interrupt it ends at the next one.
        """
        self._reset()  # the pass before may have ended in an exception
        self._signals = signals
        if take:
            self._answers = chain(_answers(tuple(take), frozenset(lasting), len(names)), _NOTHING)
            self._takes = iter(take.values())
            self._left = len(take)
            self._last = names[max(take)]
            self._stop = stop

    def begin_listing(self) -> None:
        """A pass begins whose nodes are described, and `end` returns them."""
        self._reset()
        self._listed = []

    def end(self) -> list[Node]:
        """The pass is over. Raises what was raised on the way, and ModelError where the graph was another one.

        Nothing where Ctrl-C ended it: that is raised behind the pass.
        """
        error, left, listed, interrupted = self._error, self._left, self._listed, self._interrupted
        self._reset()
        if error is not None:
            raise error
        if left and not interrupted:
            raise _another_graph(f"{left} tensors that were to be read did not occur in it")
        return listed or []

    def _reset(self) -> None:
        self._error = None
        self._signals = None
        self._answers = _NOTHING
        self._takes = iter(())
        self._left = 0
        self._last = ""
        self._stop = False
        self._listed = None
        self._kept.clear()

    def __call__(self, tensor: int, ask: bool, _: Any) -> bool:  # noqa: FBT001 - C's signature
        try:
            if ask:  # of each of a thousand nodes, for each token: as little as can be
                if self._listed is not None:
                    self._listed.append(describe(self._library, tensor))
                    return False
                answer = next(self._answers)
                if answer is _LATER:
                    self._kept.append(tensor)
                    return False
                return answer
            return self._error is None and not self._interrupted and self._takes_on(tensor)
        except BaseException as error:  # noqa: BLE001 - raised by `end`
            self._error = error
            self._answers = _ALL  # to be called with the data of the next node, where False ends the pass
            return ask

    def aborts(self, _: Any) -> bool:
        """The other callback of a context: whether the pass is to end before its next node."""
        try:
            return self._interrupted
        except BaseException as error:  # noqa: BLE001 - raised by `end`
            self._error = error
            return True

    @property
    def _interrupted(self) -> bool:
        return self._signals is not None and self._signals.interrupted

    def _takes_on(self, tensor: int) -> bool:
        """Hand a tensor on, behind those that were kept for it; whether the pass goes on behind it."""
        for address in (*self._kept, tensor):
            next(self._takes)(address)
            self._left -= 1
        self._kept.clear()
        if not self._left and (name := self._library.ggml_get_name(tensor).decode()) != self._last:
            # All would be read one place too late had a callback not come about, for want of stack say.
            raise _another_graph(f"it has {name} where {self._last} was to be read")
        return not self._stop or self._left > 0


def _another_graph(reason: str) -> ModelError:
    return ModelError(
        f"llama.cpp's pass was not the one that was learned: {reason}.", hint="Load the model again."
    )


@lru_cache(maxsize=64)
def _answers(places: tuple[int, ...], lasting: frozenset[int], nodes: int) -> tuple[bool | None, ...]:
    """For each node in turn whether its data is wanted, or _LATER."""
    wanted = set(places)
    later = wanted & lasting
    return tuple(_LATER if i in later else i in wanted for i in range(nodes))
