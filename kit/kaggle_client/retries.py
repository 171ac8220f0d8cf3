"""How long to wait for Kaggle, and how often to try again."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

JITTER = random.SystemRandom()  # of its own, so that a seeded training draws the same numbers with or without Kaggle


@dataclass(frozen=True)
class Retries:
    """Pauses and limits, all in seconds.

    Attributes:
        pauses: between one attempt and the next; there are as many new attempts as pauses.
        unreachable: how many of these pauses are spent on a host that cannot be reached, or that answers too slowly.
        connect, read: how long to wait for a connection, and for the next bytes on one.
        call: how long a call may take in all, even if bytes keep dripping in; of a download: how long without progress.
        longest: the longest pause that Kaggle may ask for and get; what it asks beyond ends the attempts.
        checks: pauses before each search of Kaggle's list for a submission whose answer was lost; together they are how
            long the list may lag behind without a submission being sent twice.
        settled: how old a submission must be before its absence from Kaggle's list is final.
        polls: pauses between requests for the score; the last one repeats.
        score: how long to wait for the score in all.
    """

    pauses: tuple[float, ...] = (1, 2, 4, 8, 16)
    unreachable: int = 2
    connect: float = 15
    read: float = 60
    call: float = 120
    longest: float = 120
    checks: tuple[float, ...] = (1, 2, 4, 8, 15, 30, 60)
    settled: float = 600
    polls: tuple[float, ...] = (2, 3, 5, 8, 13, 20)
    score: float = 900

    def pause(self, attempt: int) -> float:
        """Return the pause after attempt number `attempt`, counted from 0, half of it random.

        Many people in one room lose the network together; randomness keeps them from coming back together.
        """
        return self.pauses[attempt] * JITTER.uniform(0.5, 1)

    def between_polls(self) -> Iterator[float]:
        """Yield the pauses between requests for the score, without end."""
        return itertools.chain(self.polls, itertools.repeat(self.polls[-1]))


RETRIES = Retries()
