"""python -m kit: the commands, a line each."""

import ast
import pathlib


def main() -> int:
    """Print every `python -m kit.<verb>` with the first sentence of its module."""
    here = pathlib.Path(__file__).parent
    for path in sorted([*here.glob("*.py"), *here.glob("*/__main__.py")]):
        words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        call, colon, what = words.split("\n")[0].partition(": ")
        if colon and call.startswith("python -m kit."):
            print(f"{call:<24}  {what}")
    print("\n--help after any of them shows its flags.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
