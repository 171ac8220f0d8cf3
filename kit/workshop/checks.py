"""The exercise's checks: after each gap one of them says in one message what is still missing, and stops there."""

from kit.errors import Readable


class StillMissing(Readable):
    """A gap of the exercise is not filled, or filled wrongly; the text says what to do next."""
