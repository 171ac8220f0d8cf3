"""python -m kit: the commands, in order of use; `python -m kit <command>` runs one."""

import ast
import importlib
import pathlib
import sys

import kit
from kit.command_line import DONE, command
from kit.errors import UserError
from kit.suggestions import nearest

ORDER = (
    *("new", "download", "train", "remote", "runs", "evaluate", "predict", "ensemble", "submit", "demo"),
    *("export", "benchmark", "zoo"),
)
"""The commands as one comes to use them."""

HERE = pathlib.Path(__file__).parent


@command
def main(argv: list[str] | None = None) -> int:
    """Run the command that the first argument names; without one list all of them."""
    verb, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    known = {verb: path for verb in ORDER if (path := _file(verb)).exists()}
    if verb in ("--help", "-h"):
        print("commands, in order of use:")
        for name, path in known.items():
            print(f"  python -m kit.{name:<12}{_summary(path)}")
        print("\nEach shows its flags with --help.")
        return DONE
    if verb == "--version":
        print(f"kit {kit.__version__}")
        return DONE
    if verb not in known:
        raise UserError(f"there is no command {verb!r}.{nearest(verb, known) or ' `python -m kit` lists them.'}")
    module = importlib.import_module(f"kit.{verb}.__main__" if _file(verb).parent != HERE else f"kit.{verb}")
    return module.main(rest)


def _file(verb: str) -> pathlib.Path:
    return HERE / verb / "__main__.py" if (HERE / verb).is_dir() else HERE / f"{verb}.py"


def _summary(path: pathlib.Path) -> str:
    """Return the first sentence of a command's module, without importing what it needs."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.split("\n")[0].partition(": ")[2]


if __name__ == "__main__":
    raise SystemExit(main())
