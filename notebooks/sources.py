"""Sources of notebooks: jupytext's percent format, with solutions between marks.

    ### BEGIN SOLUTION: what to do
    answer = 42
    ### END SOLUTION

A source whose solutions stand in cells tagged `your-turn` becomes one notebook. There each gap is open, and what stands
between the marks is folded under "Solution" in the text above it. Any other source with solutions becomes two: NAME, to
be filled in, and NAME-solution; cells tagged `exercise` or `solution` go to one of them only.
"""

import hashlib
import pathlib
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace

import jupytext

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
GAP = re.compile(rf"^([ \t]*){BEGIN}:?[ \t]*(.*)\n((?:.*\n)*?)[ \t]*{END}[ \t]*$", re.MULTILINE)
EXERCISE, SOLUTION, YOUR_TURN = "exercise", "solution", "your-turn"
FOLDED = "\n<details><summary>Solution</summary>\n\n```python\n{solution}\n```\n\n</details>"


@dataclass(frozen=True)
class Cell:
    """A cell of a source: `kind` is "markdown" or "code"."""

    kind: str
    text: str
    tags: tuple[str, ...] = ()

    def identity(self, used: set[str]) -> str:
        """Return an id that follows from the content, so that one new cell changes no other's; none of `used`."""
        first = hashlib.sha256(f"{self.kind} {self.text}".encode()).hexdigest()[:8]
        return next(one for number in range(len(used) + 1) if (one := f"{first}-{number}") not in used)


def every(folder: pathlib.Path) -> list[pathlib.Path]:
    """Return the sources of all notebooks of `folder`, in their order."""
    return sorted((folder / "src").glob("*.py"))


def read(source: pathlib.Path) -> dict[str, list[Cell]]:
    """Return the notebooks of one source by name, each as its cells without badges and set-up.

    Raises:
        ValueError: the source does not begin with a heading, a mark stands alone, or a cell to fill in has no text
            before it; names the file.
    """
    written = cells(source)
    if not any(GAP.search(cell.text) for cell in written):
        return {source.stem: written}
    if any(YOUR_TURN in cell.tags for cell in written):
        return {source.stem: _with_folded_solutions(source, written)}
    exercise = [replace(cell, text=GAP.sub(_gap, cell.text)) for cell in written if SOLUTION not in cell.tags]
    filled = [replace(cell, text=solution(cell.text)) for cell in written if EXERCISE not in cell.tags]
    title, _, rest = filled[0].text.partition("\n")
    filled[0] = replace(filled[0], text=f"{title} – solution\n{rest}")
    return {source.stem: exercise, f"{source.stem}-solution": filled}


def solved(source: pathlib.Path) -> dict[str, str]:
    """Return for each cell of `source` with a gap its text in the notebook, and the text that solves it."""
    gaps = [cell for cell in cells(source) if GAP.search(cell.text)]
    return {GAP.sub(_gap, cell.text): solution(cell.text) for cell in gaps}


def solution(text: str) -> str:
    """Return a cell's text with its solutions and without their marks."""
    return GAP.sub(lambda found: found[3].rstrip("\n"), text)


def cells(source: pathlib.Path) -> list[Cell]:
    """Return the cells of a source as they are written, marks and solutions included.

    Raises:
        ValueError: the source does not begin with a heading, or a mark stands alone; names the file.
    """
    notebook = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent")
    found = [Cell(cell.cell_type, cell.source, tuple(cell.metadata.get("tags", []))) for cell in notebook.cells]
    if not found or found[0].kind != "markdown" or not found[0].text.startswith("# "):
        raise ValueError(f"{source.name}: the first cell must be Markdown and begin with '# ' and a title.")
    rests = [GAP.sub("", cell.text) for cell in found]
    if any(mark in rest for rest in rests for mark in ("# BEGIN SOL", "# END SOL")):
        raise ValueError(f"{source.name}: a line {BEGIN!r} or {END!r} stands alone; they come in pairs.")
    return found


def _with_folded_solutions(source: pathlib.Path, written: Sequence[Cell]) -> list[Cell]:
    done: list[Cell] = []
    for cell in written:
        if GAP.search(cell.text):
            if YOUR_TURN not in cell.tags or not done or done[-1].kind != "markdown":
                raise ValueError(f"{source.name}: a gap needs a cell tagged {YOUR_TURN!r} and a text before it.")
            folded = FOLDED.format(solution=textwrap.dedent(solution(cell.text)).strip())
            done[-1] = replace(done[-1], text=done[-1].text.rstrip() + "\n" + folded)
        done.append(replace(cell, text=GAP.sub(_gap, cell.text)))
    return done


def _gap(found: re.Match) -> str:
    """Return what the notebook has for a solution: the words after the mark, and `name = ...` for what it defines.

    A statement that defines nothing becomes `...`; lines within a call or a list, which end in a comma, leave nothing.
    """
    indent, task, lines_of_solution = found.groups()
    lines = [f"# YOUR CODE HERE: {task}" if task else "# YOUR CODE HERE"]
    if not lines_of_solution.rstrip().endswith(","):
        names = re.findall(r"^(\w+(?:, \w+)*) = ", textwrap.dedent(lines_of_solution), re.MULTILINE)
        lines += [f"{name.replace(',', ' =')} = ..." for name in dict.fromkeys(names)] or ["..."]
    return textwrap.indent("\n".join(lines), indent)
