"""From a competition's files to its `competition.yaml` and a first recipe: what can be found out, and what is asked."""

from kit.onboarding.proposal import Proposal, loaded, place_for, write
from kit.onboarding.survey import survey

__all__ = ["Proposal", "loaded", "place_for", "survey", "write"]
