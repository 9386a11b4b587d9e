"""Text to token ids and back, and the model's chat template, such that no text can forge a control token."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from jinja2.exceptions import TemplateError

from aspen.errors import InvalidInput, ModelError, NoChatTemplate
from aspen.models.interface import ChatPrompt
from aspen.types import Message, Role, Segment, TokenIds

#: Put after the first character of a control token's string: breaks the token, and leaves the text readable.
#: The second one serves where a tokenizer's normaliser drops zero-width characters.
_BREAKERS = ("\u200b", " ")
#: Tokens that a tokenizer does not mark special, but that steer the model: <think>, <|python_tag|>, [INST].
_MARKUP = re.compile(r"[<\[{]\S*[>\]}]")
_PIPED = re.compile(r"<[|\uff5c].*[|\uff5c]>")  # DeepSeek writes the bar in full width

#: A template is a program that came with the model: these are the ways in which it fails.
_TEMPLATE_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    NameError,
    RuntimeError,  # RecursionError among them
    SyntaxError,
    TemplateError,
    TypeError,
    ValueError,
)
_LONGEST_REASON = 300  # characters of a template's own error that are passed on


@dataclass(frozen=True, slots=True)
class AddedToken:
    """A token that text is searched for before it is cut into the others. A special one steers the model."""

    id: int
    text: str
    special: bool


class Tokenizer(Protocol):
    """What `TextCodec` asks of a runtime's tokenizer. Safe to share between threads."""

    @property
    def template(self) -> str | None:
        """The chat template's source; None where the model brings none."""

    def added_tokens(self) -> Sequence[AddedToken]:
        """Every token that text is searched for; of two with the same text, the last one counts."""

    def encode(self, text: str) -> list[int]:
        """Token ids of a text. Added tokens are found in it, special ones too; none is put around it."""

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]] | None:
        """The ids that `encode` gives, and the characters (start, stop) of the text that each stands for.

        A token that holds part of a character counts as holding it whole. None where this cannot be told.
        """

    def decode(self, token_ids: Sequence[int], *, skip_special: bool) -> str:
        """Text of token ids, with or without special tokens; bytes that are no UTF-8 become U+FFFD."""

    def render(self, conversation: Sequence[dict[str, str]], *, reply: bool) -> str:
        """The template's text of messages {"role", "content"}; with `reply`, ready for the assistant to answer.

        Raises what the template raises.
        """

    def vocabulary(self) -> dict[str, int]:
        """Token string to id, added tokens included."""

    def token_bytes(self, *, size: int, silent: frozenset[int]) -> tuple[bytes, ...]:
        """What each of the ids 0..size-1 adds to a text; b"" for the `silent` ones and those that are not there.

        Raises ModelError where it cannot be told.
        """


class TextCodec:
    """A tokenizer with its chat template. Safe to share between threads."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.template = tokenizer.template
        added = tokenizer.added_tokens()
        self._special = frozenset(token.id for token in added if token.special)
        self.control = _control_tokens(added, template=self.template or "")
        # The token for unknown characters is marked special too, but ordinary text may need it.
        self._control_ids = frozenset(i for token, i in self.control.items() if "unk" not in token.lower())
        by_length = sorted(self.control, key=lambda token: (-len(token), token))
        # A tokenizer may lower the case before it looks for added tokens, so case is ignored here.
        self._pattern = re.compile("|".join(map(re.escape, by_length)), re.IGNORECASE) if by_length else None

    def tokenize(self, text: str) -> TokenIds:
        """int32 [T]; see `LanguageModel.tokenize`."""
        check_encodable(text)
        for breaker in _BREAKERS:
            ids = self._tokenizer.encode(self._defuse(text, breaker=breaker))
            if self._control_ids.isdisjoint(ids):
                return np.asarray(ids, dtype=np.int32)
        raise _forged("the text")

    def detokenize(self, token_ids: TokenIds, *, skip_special: bool = True) -> str:
        """See `LanguageModel.detokenize`."""
        return self._tokenizer.decode([int(token) for token in token_ids], skip_special=skip_special)

    def apply_chat_template(self, messages: Sequence[Message]) -> ChatPrompt:
        """See `LanguageModel.apply_chat_template`."""
        if not messages:
            raise InvalidInput("A conversation needs at least one message.")
        for message in messages:
            check_encodable(message.content)
        for breaker in _BREAKERS:
            contents = [self._defuse(message.content, breaker=breaker) for message in messages]
            text, places = self._render(messages, contents=contents)
            ids, spans = self._tokenize_rendered(text, places=places)
            if all(self._control_ids.isdisjoint(ids[start:stop]) for start, stop in spans):
                return ChatPrompt(
                    text=text,
                    token_ids=np.asarray(ids, dtype=np.int32),
                    spans=tuple(
                        Segment(name=message.role.value, start=start, stop=stop)
                        for message, (start, stop) in zip(messages, spans, strict=True)
                    ),
                )
        raise _forged("a message")

    def end_of_turn_ids(self) -> frozenset[int]:
        """The control token that the template writes right behind what the assistant said; empty if none."""
        if self.template is None:
            return frozenset()
        messages = (Message(Role.USER, "a"), Message(Role.ASSISTANT, "b"))
        sentinels = _sentinels(len(messages))
        try:
            text = self._render_template(messages, contents=sentinels, reply=False)
        except ModelError:  # a template with needs of its own; the tokenizer's eos remains
            return frozenset()
        rest = text.partition(sentinels[1])[2].lstrip()
        behind = [token for token in self.control if rest.startswith(token)]
        return frozenset({self.control[max(behind, key=len)]}) if behind else frozenset()

    def vocabulary(self) -> dict[str, int]:
        """Token string to id, added tokens included."""
        return self._tokenizer.vocabulary()

    def token_bytes(self, size: int) -> tuple[bytes, ...]:
        """Bytes of the ids 0..size-1; b"" for those that are dropped from text, and for control tokens."""
        return self._tokenizer.token_bytes(size=size, silent=self._special.union(self.control.values()))

    def probe(self, text: str) -> list[int]:
        """Plain token ids of a text, as the tokenizer gives them."""
        return self._tokenizer.encode(text)

    def _defuse(self, text: str, *, breaker: str) -> str:
        """The text with every control token's string broken up. Ordinary text comes back as it is."""
        if self._pattern is None:
            return text
        while True:
            broken = self._pattern.sub(lambda match: match[0][0] + breaker + match[0][1:], text)
            if broken == text:
                return text
            text = broken  # a shorter control token may have been inside the longer one

    def _render(
        self, messages: Sequence[Message], *, contents: list[str]
    ) -> tuple[str, list[tuple[int, int]]]:
        """The rendered conversation, and where each content lies in it (character start, stop)."""
        sentinels = _sentinels(len(messages))
        frame = self._render_template(messages, contents=sentinels)
        for message, sentinel in zip(messages, sentinels, strict=True):
            if frame.count(sentinel) != 1:
                raise ModelError(
                    f"The model's chat template uses a {message.role.value} message "
                    f"{frame.count(sentinel)} times instead of once.",
                    hint="Leave this message out, or put its text into the user's message.",
                    role=message.role.value,
                )
        # Templates may move messages (a system prompt into the last user turn), so go by place.
        order = sorted(range(len(messages)), key=lambda i: frame.index(sentinels[i]))
        bounds = [(frame.index(sentinels[i]), frame.index(sentinels[i]) + len(sentinels[i])) for i in order]
        cuts = [0, *(cut for bound in bounds for cut in bound), len(frame)]
        pieces = [frame[start:stop] for start, stop in list(pairwise(cuts))[::2]]
        ordered = [contents[i] for i in order]
        # What the template itself makes of the contents is what the model was trained on: take it where the
        # contents can be found in it (it may have stripped them). Else put the contents into the frame.
        rendered = self._render_template(messages, contents=contents)
        places = _locate(rendered, pieces=pieces, contents=ordered)
        if places is None:
            rendered, places = _join(pieces, contents=ordered)
        return rendered, [place for _, place in sorted(zip(order, places, strict=True))]

    def _render_template(
        self, messages: Sequence[Message], *, contents: Sequence[str], reply: bool = True
    ) -> str:
        if self.template is None:
            raise NoChatTemplate(
                "The model brings no chat template, so a conversation cannot be rendered for it.",
                hint="Take an instruction-tuned model (its name often ends in -Instruct or -it).",
            )
        conversation = [
            {"role": message.role.value, "content": content}
            for message, content in zip(messages, contents, strict=True)
        ]
        try:
            text = self._tokenizer.render(conversation, reply=reply)
            text.encode()  # a template may write half a character, which is no text
        except _TEMPLATE_ERRORS as error:
            raise _template_failed(error, roles=[message.role.value for message in messages]) from error
        return text

    def _tokenize_rendered(
        self, text: str, *, places: list[tuple[int, int]]
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """Token ids of the rendered text, and the token span (start, stop) of each place in it."""
        encoded = self._tokenizer.encode_with_offsets(text)
        if encoded is None:
            return self._tokenize_pieces(text, places=places)
        ids, offsets = encoded
        return ids, [_token_span(offsets, place=place) for place in places]

    def _tokenize_pieces(
        self, text: str, *, places: list[tuple[int, int]]
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """Where there are no offsets: each piece is tokenised by itself."""
        ids: list[int] = []
        spans = [(0, 0)] * len(places)
        at = 0
        for index in sorted(range(len(places)), key=lambda i: places[i]):
            start, stop = places[index]
            ids += self._tokenizer.encode(text[at:start])
            first = len(ids)
            ids += self._tokenizer.encode(text[start:stop])
            spans[index] = (first, len(ids))
            at = stop
        return ids + self._tokenizer.encode(text[at:]), spans


def _control_tokens(added: Sequence[AddedToken], *, template: str) -> dict[str, int]:
    """String to id of the tokens that steer the model instead of standing for text.

    Those marked special, those of the shape <|...|>, and markup that the template itself writes. Other added
    tokens stand for text (runs of blanks in GPT-NeoX, HTML tags in Gemma) and stay usable.
    """
    return {
        token.text: token.id
        for token in added
        if len(token.text) > 1
        and (
            token.special
            or _PIPED.fullmatch(token.text)
            or (_MARKUP.fullmatch(token.text) and token.text in template)
        )
    }


def _sentinels(count: int) -> list[str]:
    """Contents that no template trims, changes, or holds itself."""
    return [f"Qz{i}aspen{i}slot{i}zQ" for i in range(count)]


def _locate(rendered: str, *, pieces: list[str], contents: list[str]) -> list[tuple[int, int]] | None:
    """Where the contents lie in `rendered`, if it is pieces with the contents, maybe stripped, between."""
    if not rendered.startswith(pieces[0]):
        return None
    places = []
    at = len(pieces[0])
    for content, following in zip(contents, pieces[1:], strict=True):
        for variant in (content, content.rstrip(), content.lstrip(), content.strip()):
            if rendered.startswith(variant + following, at):
                places.append((at, at + len(variant)))
                at += len(variant) + len(following)
                break
        else:
            return None
    return places if at == len(rendered) else None


def _join(pieces: list[str], *, contents: list[str]) -> tuple[str, list[tuple[int, int]]]:
    text = pieces[0]
    places = []
    for content, following in zip(contents, pieces[1:], strict=True):
        places.append((len(text), len(text) + len(content)))
        text += content + following
    return text, places


def _token_span(offsets: list[tuple[int, int]], *, place: tuple[int, int]) -> tuple[int, int]:
    """Tokens that hold at least one character of the place. A token across its edge counts as inside."""
    start, stop = place
    inside = [i for i, (first, last) in enumerate(offsets) if first < stop and last > start and first < last]
    if inside:
        return inside[0], inside[-1] + 1
    behind = next((i for i, (first, _) in enumerate(offsets) if first >= start), len(offsets))
    return behind, behind


def check_encodable(text: str) -> None:
    """Raise InvalidInput where a text is no Unicode: half a character cannot be stored or told."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f"The text holds half a character (a lone surrogate) at position {error.start}.",
            hint="Decode the input as UTF-8 with errors='replace'.",
            position=error.start,
        ) from error


def _forged(where: str) -> ModelError:
    return ModelError(
        f"The tokenizer makes a control token out of plain text in {where}; it is not passed on.",
        hint="Remove strings such as <|im_start|> from it.",
    )


def _template_failed(error: Exception, *, roles: list[str]) -> ModelError:
    reason = str(error)[:_LONGEST_REASON]
    if type(error) is TemplateError:  # what raise_exception() raises; all others have names of their own
        return ModelError(
            f"The model's chat template refuses the roles {', '.join(roles)}: {reason}.",
            hint="Some templates take no system message, or want user and assistant to alternate.",
            roles=roles,
        )
    return ModelError(
        f"The model's chat template fails on the roles {', '.join(roles)}: {type(error).__name__}: {reason}.",
        hint="The template came with the model; take other roles, or another file of this model.",
        roles=roles,
    )
