"""From a search's rows, and from activation by number, to memories that explain why they came; what replaced them."""

from aspen.hits.activated import spread_of
from aspen.hits.explained import explanation_of
from aspen.hits.searched import hits_of, paths_of
from aspen.hits.standing import Standing, standings
from aspen.hits.superseded import newest_versions

__all__ = ["Standing", "explanation_of", "hits_of", "newest_versions", "paths_of", "spread_of", "standings"]
