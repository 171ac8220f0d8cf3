"""From a competition's files to its `competition.yaml` and a first recipe: what can be found out, and what is asked."""

from kit.onboarding.proposal import Proposal, loaded, write
from kit.onboarding.survey import survey

__all__ = ["Proposal", "loaded", "survey", "write"]
