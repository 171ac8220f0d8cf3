"""What every command shares: its flags and `--help`, its exit status, and how it ends when something goes wrong."""

import argparse
import codecs
import contextlib
import errno
import functools
import logging
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, TextIO

import kit
from kit import interrupts
from kit.errors import Failure, UserError, kind_of, printable
from kit.suggestions import nearest

DONE, FAILED, WRONG_INPUT = 0, 1, 2

LONGEST_REASON = 100  # characters; HDF5 puts pages of its own state there

_REMEDIES = {
    (errno.ENOSPC, getattr(errno, "EDQUOT", None)): "free some space, or choose a folder on another disk",
    (errno.EROFS, errno.EACCES, errno.EPERM): "choose a folder and files of your own",
    (errno.EFBIG,): "the disk or the account limits the size of files",
    (errno.EMFILE, errno.ENFILE): "raise the limit of open files (ulimit -n)",
    (errno.EIO,): "the disk may be damaged",
}
_ASCII = str.maketrans({"±": "+/-", "×": "x", "…": "...", "–": "-", "—": "-", "·": "*", "→": "->", "−": "-", "≤": "<=",
                        "≥": ">=", "’": "'", "‘": "'", "“": '"', "”": '"', "█": "#", "─": "-", "│": "|"})  # fmt: skip


class Parser(argparse.ArgumentParser):
    """A command's flags.

    `--help` shows the defaults and ends with examples; wrong flags are a `UserError` that names the nearest right one.
    Flags are grouped with `add_argument_group`; no flag may be abbreviated, so that new ones break nobody's script.

        parser = Parser("kit.train", "Train a network.", [("python -m kit.train --epochs 2", "a quick try")])
        parser.add_argument_group("data").add_argument("--limit", type=int, metavar="N", help="train on N images")

    Args:
        module: what stands after `python -m`.
        description: what the command does.
        examples: commands that work when pasted, and what each of them does.
        epilog: what stands before the examples; indented lines keep their line breaks.
    """

    def __init__(self, module: str, description: str, examples: Iterable[tuple[str, str]] = (), epilog: str = ""):
        lines = [f"  {command}\n      {effect}" for command, effect in examples]
        parts = [epilog, "\n".join(["examples:", *lines])] if lines else [epilog]
        super().__init__(
            prog=f"python -m {module}",
            description=description,
            epilog="\n\n".join(part for part in parts if part),
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        self.add_argument("--version", action="version", version=f"kit {kit.__version__}")

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse the flags.

        Raises:
            UserError: one is unknown, lacks its value, or has one that it cannot take.
        """
        texts = [str(text) for text in (sys.argv[1:] if args is None else args)]
        # First of all: argparse would rather say that something is missing, because it was misspelt.
        for text in texts[: texts.index("--") if "--" in texts else None]:
            self._check_flag(text.partition("=")[0])
        return super().parse_args(texts, namespace)

    def _check_flag(self, text: str) -> None:
        known = self._option_string_actions
        if len(text) < 2 or text[0] != "-" or text in known or " " in text or re.fullmatch(r"-[\d.].*", text):
            return
        near = nearest(text, known) or nearest(f"-{text}", known)
        self.error(f"there is no flag {text}.{near or f' {self.prog} --help lists them.'}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        choices = [str(choice) for choice in action.choices or ()]
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(
                action, f"{value!r} is not one of {', '.join(choices)}.{nearest(value, choices)}"
            )

    def error(self, message: str) -> NoReturn:
        """Raise what argparse finds wrong as a `UserError`."""
        text = message.removeprefix("argument ")
        text = re.sub(r"invalid int value: (.*)", r"\1 is not a whole number.", text)
        text = re.sub(r"invalid float value: (.*)", r"\1 is not a number.", text)
        if text.startswith(("the following arguments are required", "unrecognized arguments")):
            text = f"{text}; see {self.prog} --help."
        raise UserError(text)


class _Formatter(argparse.HelpFormatter):
    """Defaults behind what has one; paragraphs are wrapped, indented lines stay as they are."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        shown = action.option_strings and action.default not in (None, False, "", argparse.SUPPRESS)
        if shown and "default" not in text and not isinstance(action, argparse._HelpAction | argparse._VersionAction):
            text += " (default: %(default)s)"
        return text

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        parts = []
        for part in text.split("\n"):
            parts.append(part if part.startswith(" ") else super()._fill_text(part, width, indent))
        return "\n".join(parts)


def command(main: Callable[..., int]) -> Callable[..., int]:
    """Wrap a command's `main(argv=None) -> int` so that it keeps the exit-status contract.

    A `UserError` and a file or folder that cannot be used become one line on stderr and status 2. A `Failure`, a full
    disk and too little memory become one line and status 1. Ctrl-C ends with status 1, and so does `| head`, without a
    word. Any other exception is a mistake of the kit's: it keeps its traceback, which Python itself ends with status 1.

    Whatever is printed can be printed: characters that the terminal lacks are written in others.
    """

    @functools.wraps(main)
    def guarded(argv: list[str] | None = None) -> int:
        interrupts.set_working(True)
        open_streams()
        logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of its cache folder and its fonts
        try:
            _check_current_folder()
            status = main(argv)
        except SystemExit as end:  # --help and --version
            status = end.code if isinstance(end.code, int) else DONE if end.code is None else FAILED
        except UserError as error:
            status = _end(f"error: {printable(error)}", WRONG_INPUT)
        except Failure as failure:
            status = _end(f"failed: {printable(failure)}", FAILED)
        except interrupts.NobodyReads:  # `… | head` has seen enough
            status = FAILED
        except KeyboardInterrupt:
            status = _end("stopped.", FAILED)
        except MemoryError as error:
            detail = f" ({printable(error)})" if str(error) else ""
            status = _end(f"failed: not enough memory{detail}; try a smaller --batch-size, or --limit.", FAILED)
        except BrokenPipeError:
            status = FAILED
        except OSError as error:
            if error.errno is None:
                raise
            wrong = kind_of(error) is UserError
            line = f"{'error' if wrong else 'failed'}: {printable(explanation(error))}"
            status = _end(line, WRONG_INPUT if wrong else FAILED)
        finally:
            interrupts.set_working(False)
            flushed = _flush()
        return status if flushed else status or FAILED

    return guarded


def _check_current_folder() -> None:
    try:
        os.getcwd()
    except OSError as error:
        raise UserError(f"the current folder is gone ({error.strerror}); change to another one.") from None


def explanation(error: OSError) -> str:
    """Say in one line which file the operating system refused, why, and what to do."""
    path = error.filename2 or error.filename
    path = path.decode(errors="backslashreplace") if isinstance(path, bytes) else path
    usual = os.strerror(error.errno or 0)
    reason = error.strerror if error.strerror and len(error.strerror) < LONGEST_REASON else usual
    what = f"{path}: {reason}" if path not in (None, "") else reason
    remedy = next((text for numbers, text in _REMEDIES.items() if error.errno in numbers), "")
    return f"{what}; {remedy}." if remedy and reason == usual else f"{what.rstrip('.')}."


def _end(line: str, status: int) -> int:
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)
    return status


def open_streams() -> None:
    """Let stdin, stdout and stderr be something that can be read and written, whatever the process was started with.

    A closed one (`>&-`) becomes the null device: else the next file that is opened gets its number, and what some
    library prints lands in that file. What a stream's encoding lacks is written in other characters.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:
            _fill_descriptor(number)
            setattr(sys, name, stream := open(os.devnull, "w" if number else "r", encoding="utf-8"))  # noqa: SIM115
        if number and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_OTHER_CHARACTERS)


def _fill_descriptor(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)


def _flush() -> bool:
    """Write what is still buffered while a failure can be handled; Python would complain of it as it ends."""
    complete = True
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError) as error:
            complete = False
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if isinstance(error, OSError) and not isinstance(error, BrokenPipeError) and stream is sys.stdout:
                _end(f"failed: the output cannot be written: {explanation(error)}", FAILED)
    return complete


def _in_other_characters(error: UnicodeError) -> tuple[str, int]:
    """Write `±` as `+/-` and `é` as `e` where the terminal has neither; what has no likeness becomes `?`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    plain = unicodedata.normalize("NFKD", text.translate(_ASCII)).encode("ascii", "ignore").decode("ascii")
    return plain or "?" * len(text), error.end


_OTHER_CHARACTERS = "kit.other_characters"
codecs.register_error(_OTHER_CHARACTERS, _in_other_characters)
