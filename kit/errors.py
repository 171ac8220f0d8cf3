"""The two exceptions that a user is meant to read, and what they share."""


class Readable(Exception):
    """An exception whose text is all that a person needs; notebooks show it without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class UserError(Readable):
    """What the user gave is wrong: a flag, a file, a credential.

    Its text is one line that names the thing (file, row, column, flag) and the next step. Commands print it on
    stderr without a traceback and exit with status 2.
    """


class Failure(Readable):
    """It failed, and nothing that the user gave is to blame: the network, Kaggle, a full disk.

    Its text is one line that says what happened, what is safe, and the next step. Commands print it on stderr
    without a traceback and exit with status 1.
    """
