"""One turn of a conversation, answered once or with several seeds: recall, strategy, generation, and what is kept."""

from aspen.turns.sampled_turn import Sampled, alternative_id, alternative_to, answer_with_seeds
from aspen.turns.situations import KeptRecall, Turn, checked_turn, situation_of
from aspen.turns.turn import USER, Reply, answer, history_of

__all__ = [
    "USER",
    "KeptRecall",
    "Reply",
    "Sampled",
    "Turn",
    "alternative_id",
    "alternative_to",
    "answer",
    "answer_with_seeds",
    "checked_turn",
    "history_of",
    "situation_of",
]
