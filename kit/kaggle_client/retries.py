"""How long to wait for Kaggle, and how often to try again."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

CHANCE = random.SystemRandom()  # of its own, so that a seeded training draws the same numbers with or without Kaggle


@dataclass(frozen=True)
class Retries:
    """Pauses and limits, all in seconds.

    Attributes:
        pauses: between one attempt and the next; as many more attempts as there are pauses.
        unreachable: how many of these pauses are spent on a host that cannot be reached at all.
        connect, read: how long to wait for a connection, and for the next bytes on one.
        longest: the longest pause that Kaggle may ask for and get; what it asks beyond ends the attempts.
        looks: pauses before each look whether a submission whose answer was lost has arrived.
        polls: pauses between looks for the score; the last one repeats.
        score: how long to look for the score in all.
    """

    pauses: tuple[float, ...] = (1, 2, 4, 8, 16)
    unreachable: int = 2
    connect: float = 15
    read: float = 60
    longest: float = 120
    looks: tuple[float, ...] = (1, 3, 6, 12)
    polls: tuple[float, ...] = (2, 3, 5, 8, 13, 20)
    score: float = 900

    def pause(self, attempt: int) -> float:
        """Return the pause after attempt number `attempt`, counted from 0, half of it up to chance.

        Many people in one room lose the network together; chance keeps them from coming back together.
        """
        return self.pauses[attempt] * CHANCE.uniform(0.5, 1)

    def between_polls(self) -> Iterator[float]:
        """Yield the pauses between looks for the score until `score` is spent."""
        spent = 0.0
        while spent < self.score:
            for pause in self.polls if not spent else self.polls[-1:]:
                yield pause
                spent += pause


RETRIES = Retries()
