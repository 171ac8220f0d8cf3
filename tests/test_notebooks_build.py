"""How notebooks come from their sources: the same bytes every time, gaps in the exercise, badges, the set-up cell."""

import json

import nbformat
import pytest

from notebooks import build

ADDRESS = "https://github.com/someone/their-fork"
NOTEBOOKS = {name: text for source in build.sources() for name, text in build.build(source, build.repository()).items()}
WITH_GAPS = """\
# %% [markdown]
# # A title
#
# An introduction.

# %%
first = 1
### BEGIN SOLUTION: the double of first
second = 2 * first
third = [
    second,
]
fourth, fifth = third, 2
### END SOLUTION

# %%
checks.second(second)

# %%
network = build(
    first,
    ### BEGIN SOLUTION: a layer
    layer="dense",
    ### END SOLUTION
)

# %% [markdown] tags=["exercise"]
# Only to be filled in.

# %% [markdown] tags=["solution"]
# Only solved.

# %%
# !python -m kit
"""


@pytest.fixture
def source(tmp_path):
    def write(text, name="04-x.py"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def cells(text):
    return ["".join(cell["source"]) for cell in json.loads(text)["cells"]]


def test_what_is_committed_is_what_the_sources_say():
    committed = {path.name: path.read_text(encoding="utf-8") for path in build.FOLDER.glob("*.ipynb")}
    stale = sorted(name for name in committed.keys() | NOTEBOOKS.keys() if committed.get(name) != NOTEBOOKS.get(name))
    assert not stale, f"run `make notebooks`: {stale}"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebooks_are_valid_and_without_outputs(name):
    notebook = nbformat.reads(NOTEBOOKS[name], as_version=4)
    nbformat.validate(notebook)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    assert all(cell.outputs == [] and cell.execution_count is None for cell in notebook.cells if "outputs" in cell)


def test_exercise_and_solution_come_from_one_source(source):
    built = build.build(source(WITH_GAPS), ADDRESS)
    exercise, solution = cells(built["04-x.ipynb"]), cells(built["04-x-solution.ipynb"])
    assert (
        exercise[2]
        == "first = 1\n# YOUR CODE HERE: the double of first\nsecond = ...\nthird = ...\nfourth = fifth = ..."
    )
    assert solution[2] == "first = 1\nsecond = 2 * first\nthird = [\n    second,\n]\nfourth, fifth = third, 2"
    assert exercise[4] == "network = build(\n    first,\n    # YOUR CODE HERE: a layer\n)"
    assert solution[4] == 'network = build(\n    first,\n    layer="dense",\n)'
    assert (exercise[5], solution[5]) == ("Only to be filled in.", "Only solved.")
    assert exercise[3] == solution[3] == "checks.second(second)"
    assert exercise[-1] == solution[-1] == "!python -m kit"
    assert solution[0].startswith("# A title – solution\n")


def test_badges_and_set_up_lead_to_the_address(source):
    plain = build.build(source("# %% [markdown]\n# # Title\n# Words.\n\n# %%\n1\n"), ADDRESS)["04-x.ipynb"]
    title, set_up, _ = cells(plain)
    assert "(https://colab.research.google.com/github/someone/their-fork/blob/main/notebooks/04-x.ipynb)" in title
    assert f"(https://kaggle.com/kernels/welcome?src={ADDRESS}/blob/main/notebooks/04-x.ipynb)" in title
    assert title.startswith("# Title\n\n[![")
    assert title.endswith("\nWords.")
    assert f"git clone --quiet --depth 1 {ADDRESS} " in set_up


def test_a_new_cell_changes_no_other_cells_identity(source):
    before = json.loads(build.build(source(WITH_GAPS), ADDRESS)["04-x.ipynb"])["cells"]
    more = WITH_GAPS.replace("# %%\nfirst", "# %%\nzeroth = 0\n\n# %%\nfirst")
    after = json.loads(build.build(source(more), ADDRESS)["04-x.ipynb"])["cells"]
    assert len(after) == len(before) + 1
    assert {cell["id"] for cell in before} < {cell["id"] for cell in after}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("# %%\n1\n", "first cell"),
        ("# %% [markdown]\n# Words.\n", "first cell"),
        (WITH_GAPS.replace("### END SOLUTION", "", 1), "come in pairs"),
        (WITH_GAPS.replace("### BEGIN SOLUTION: a layer", ""), "come in pairs"),
    ],
)
def test_a_source_that_cannot_be_built_says_why(source, text, reason):
    with pytest.raises(ValueError, match=rf"04-x\.py: .*{reason}"):
        build.build(source(text), ADDRESS)


@pytest.mark.parametrize("path", build.sources(), ids=lambda path: path.stem)
def test_every_gap_is_followed_by_its_check(path):
    code = [cell.source for cell in build.jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent").cells
            if cell.cell_type == "code"]  # fmt: skip
    gaps = [number for number, text in enumerate(code) if build.GAP.search(text)]
    assert all(code[number + 1].startswith("checks.") for number in gaps)
