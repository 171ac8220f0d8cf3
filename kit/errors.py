"""The two exceptions that a user is meant to read, and how their texts are made safe to show."""

import errno
import re

_PLACE = frozenset((
    errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG,
    errno.ELOOP, errno.EINVAL, errno.ENXIO,
))  # fmt: skip
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def printable(text: object) -> str:
    """Return `text` as one line that is safe to print, wherever it comes from.

    Line breaks and tabs become spaces. Other control characters, invisible characters and those that reverse the
    direction of writing are escaped, so that a file's name cannot move the cursor or hide what follows it.
    """
    return _UNSAFE.sub(_escaped, " ".join(re.split(r"[\t\n\v\f\r]+", str(text))))


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode("ascii")


class Readable(Exception):
    """An exception whose text is all that a person needs; notebooks show it without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [printable(self)]


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


def kind_of(error: OSError) -> type[UserError] | type[Failure]:
    """Return what an error of the operating system is to a person.

    A `UserError` is a place that cannot be used: read-only, missing, somebody else's, a folder where a file belongs.
    All else is a `Failure`: a full or broken disk, too many open files, the network.
    """
    return UserError if error.errno in _PLACE else Failure
