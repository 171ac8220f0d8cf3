"""How notebooks come from their sources: the same bytes every time, gaps, badges, the set-up cell, stored outputs."""

import base64
import csv
import io
import json
import re
import shutil
import subprocess

import nbformat
import numpy as np
import pytest
import yaml
from PIL import Image

from notebooks import build, outputs, sources

ADDRESS = "https://github.com/someone/their-fork"
COMMITTED = {path.name: path.read_text(encoding="utf-8") for path in build.FOLDER.glob("*.ipynb")}
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
YOUR_TURN = """\
# %% [markdown]
# # A title

# %% [markdown]
# **Your turn.** Double it.

# %% tags=["your-turn"]
### BEGIN SOLUTION: the double
second = 2 * first
### END SOLUTION

# %%
your_turn.second(second)
"""


@pytest.fixture
def source(tmp_path):
    def write(text, name="04-x.py"):
        path = tmp_path / "src" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def cells(text):
    return ["".join(cell["source"]) for cell in json.loads(text)["cells"]]


def test_what_is_committed_is_what_the_sources_say():
    (address,) = {re.search(r"--depth 1 (\S+) ", text)[1] for text in COMMITTED.values()}
    built = {
        name: text for source in sources.every(build.FOLDER) for name, text in build.build(source, address).items()
    }
    stored = {name: outputs.without(text) for name, text in COMMITTED.items()}
    stale = sorted(name for name in stored.keys() | built.keys() if stored.get(name) != built.get(name))
    assert not stale, f"run `make notebooks`: {stale}"


@pytest.mark.parametrize("name", COMMITTED)
def test_committed_notebooks_are_valid_and_small(name):
    notebook = nbformat.reads(COMMITTED[name], as_version=4)
    nbformat.validate(notebook)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    assert len(COMMITTED[name].encode()) <= outputs.LARGEST


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


def test_a_tutorial_has_open_gaps_and_their_solutions_folded_in_the_text(source):
    ((name, text),) = build.build(source(YOUR_TURN), ADDRESS).items()
    _, _, task, gap, check = cells(text)
    assert name == "04-x.ipynb"
    assert gap == "# YOUR CODE HERE: the double\nsecond = ..."
    assert task.startswith("**Your turn.** Double it.")
    assert "<summary>Solution</summary>\n\n```python\nsecond = 2 * first\n```" in task
    assert sources.solved(source(YOUR_TURN)) == {gap: "second = 2 * first"}
    assert check == "your_turn.second(second)"


def test_badges_and_set_up_lead_to_the_address(source):
    plain = build.build(source("# %% [markdown]\n# # Title\n# Words.\n\n# %%\n1\n"), ADDRESS)["04-x.ipynb"]
    title, set_up, _ = cells(plain)
    assert "(https://colab.research.google.com/github/someone/their-fork/blob/main/notebooks/04-x.ipynb)" in title
    assert f"(https://kaggle.com/kernels/welcome?src={ADDRESS}/blob/main/notebooks/04-x.ipynb)" in title
    assert title.startswith("# Title\n\n[![")
    assert title.endswith("\nWords.")
    assert f"git clone --quiet --depth 1 {ADDRESS} " in set_up


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("git@github.com:someone/their-fork.git", ADDRESS),
        ("https://someone:a-token@github.com/someone/their-fork.git", ADDRESS),
        ("ssh://git@github.com/someone/their-fork", ADDRESS),
        ("/somewhere/on/a/disk", "https://github.com/OWNER/kit"),
        ("", "https://github.com/OWNER/kit"),
    ],
)
def test_the_address_is_the_remotes_where_pyproject_has_the_placeholder(remote, address, tmp_path):
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text('[project.urls]\nRepository = "https://github.com/OWNER/kit"\n', encoding="utf-8")
    if remote:
        for words in (["init", "--quiet"], ["remote", "add", "origin", remote]):
            subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    assert build.repository(pyproject) == address
    pyproject.write_text(f'[project.urls]\nRepository = "{ADDRESS}-2/"\n', encoding="utf-8")
    assert build.repository(pyproject) == f"{ADDRESS}-2"


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
        (YOUR_TURN.replace("# %% [markdown]\n# **Your turn.** Double it.", "# %%\n1"), "a text before it"),
    ],
)
def test_a_source_that_cannot_be_built_says_why(source, text, reason):
    with pytest.raises(ValueError, match=rf"04-x\.py: .*{reason}"):
        build.build(source(text), ADDRESS)


@pytest.mark.parametrize("path", sources.every(build.FOLDER), ids=lambda path: path.stem)
def test_every_gap_is_followed_by_its_check(path):
    code = [cell.text for cell in sources.cells(path) if cell.kind == "code"]
    gaps = [number for number, text in enumerate(code) if sources.GAP.search(text)]
    assert all(code[number + 1].startswith(("checks.", "your_turn.")) for number in gaps)


PLAIN = """\
# %% [markdown]
# # Title

# %%
import os
folder = os.getcwd()

# %%
# a comment
print(folder, os.environ.get("KAGGLE_API_TOKEN"), os.path.exists("../data/here"))

# %%
from IPython.display import Image
Image("noise.png")
"""


def ran(text, result="seen"):
    """The notebook with an output for every cell."""
    notebook = json.loads(text)
    for number, cell in enumerate(one for one in notebook["cells"] if one["cell_type"] == "code"):
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": [f"{result} {number}"]}]
        cell["execution_count"] = number + 1
    return outputs.dumped(notebook)


def printed(text):
    code = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    return [cell["outputs"][0]["text"][0] if cell["outputs"] else "" for cell in code]


@pytest.mark.parametrize(
    ("before", "after", "left"),
    [
        ("# # Title", "# # Another title", 4),
        ("# a comment", "# another comment, and a blank line\n", 4),
        ("print(folder,", "print( folder ,", 4),
        ('"KAGGLE_API_TOKEN"', '"HOME"', 2),
        ("folder = os.getcwd()", "folder = '.'", 1),
        ("import os", "!pip list", 1),
    ],
)
def test_outputs_stay_up_to_the_first_cell_whose_code_has_changed(source, before, after, left):
    stored = ran(build.build(source(PLAIN), ADDRESS)["04-x.ipynb"])
    built = build.build(source(PLAIN.replace(before, after)), "https://example.org/other")["04-x.ipynb"]
    kept = outputs.kept(built, stored)
    assert printed(kept) == ["seen 0", "seen 1", "seen 2", "seen 3"][:left] + [""] * (4 - left)
    assert outputs.without(kept) == built


def test_the_build_keeps_stored_outputs_and_execute_makes_new_ones(source, monkeypatch, capsys):
    folder = source(PLAIN).parents[1]
    source(PLAIN, "05-y.py")
    (folder / "06-gone.ipynb").write_text("{}", encoding="utf-8")
    monkeypatch.setattr(outputs, "executed", lambda text, name, root, **_: ran(text, f"{name} in {root.name}"))
    build.main([], folder)
    assert sorted(path.name for path in folder.glob("*.ipynb")) == ["04-x.ipynb", "05-y.ipynb"]
    build.main(["--execute", "04"], folder)
    build.main([], folder)
    expected = [f"04-x.ipynb in {folder.parent.name} {number}" for number in range(4)]
    assert printed((folder / "04-x.ipynb").read_text(encoding="utf-8")) == expected
    assert not any(printed((folder / "05-y.ipynb").read_text(encoding="utf-8")))
    with pytest.raises(SystemExit) as refused:
        build.main(["--execute", "07"], folder)
    assert refused.value.code == 2
    assert "07" in capsys.readouterr().err


def test_execute_runs_solutions_where_it_is_told_and_records_the_minutes(source, tmp_path, monkeypatch, capsys):
    folder = source(WITH_GAPS).parents[1]
    timings = tmp_path / "timings.csv"
    timings.write_text(
        "notebook,aim,two_cores,colab_t4,kaggle_t4\n03-w,5,4,,\n04-x-solution,15,,7,\n", encoding="utf-8"
    )
    ran_with = []
    monkeypatch.setattr(outputs, "executed", lambda text, name, root, **given: ran_with.append((name, given)) or text)
    monkeypatch.setattr(build.record, "__defaults__", (timings,))
    begun = iter([0.0, 600.0])
    monkeypatch.setattr(build.time, "monotonic", lambda: next(begun))
    weights = tmp_path / "vgg.h5"
    weights.touch()
    places = ["--data-dir", str(tmp_path), "--weights", str(weights)]
    build.main(["--execute", "04", "--record", "two_cores", *places], folder)
    assert ran_with == [("04-x-solution.ipynb", {"data": tmp_path, "weights": weights})]
    assert timings.read_text(encoding="utf-8").splitlines()[1:] == ["03-w,5,4,,", "04-x-solution,15,10,7,"]
    for wrong in (["--data-dir", str(tmp_path / "gone")], ["--record", "my_laptop"]):
        with pytest.raises(SystemExit) as refused:
            build.main(["--execute", "04", *wrong], folder)
        assert refused.value.code == 2
    monkeypatch.setenv("KIT_NOTEBOOKS", "short")
    with pytest.raises(SystemExit):
        build.main(["--execute", "04", "--record", "two_cores"], folder)
    with pytest.raises(ValueError, match="99-y"):
        build.record("99-y", "two_cores", 1, timings)


def test_every_notebook_that_runs_has_a_row_of_timings():
    with build.TIMINGS.open(encoding="utf-8") as file:
        rows = [row["notebook"] for row in csv.DictReader(file)]
    names = {name for source in sources.every(build.FOLDER) for name in sources.read(source)}
    assert rows == sorted(name for name in names if f"{name}-solution" not in names)


def test_make_workshop_opens_a_notebook_that_is_there():
    if not shutil.which("make"):
        pytest.skip("there is no make")
    command = ["make", "--dry-run", "--always-make", "workshop"]
    said = subprocess.run(command, cwd=build.FOLDER.parent, capture_output=True, text=True, check=True).stdout
    opened = re.search(r"-m jupyterlab (\S+)", said)
    assert (build.FOLDER.parent / opened[1]).exists()
    assert said.index("requirements.txt") < said.rindex("install") < opened.start()
    assert yaml.safe_load((build.FOLDER.parent / "environment.yml").read_text(encoding="utf-8"))["dependencies"]


def test_every_heading_begins_a_slide(source):
    more = "# # Title\n# words\n\n# %% [markdown]\n# ## Next\n\n# %%\n# 1"
    folder = source(PLAIN.replace("# # Title", more), "01-x.py").parents[1]
    build.main(["--slides", "01"], folder)
    html = (folder / "slides" / "01-x.html").read_text(encoding="utf-8")
    assert html.count("<section><section>") == 2


def test_an_executed_notebook_is_small_and_tells_nothing_of_the_machine(tmp_path, monkeypatch):
    root = tmp_path / "their-fork"
    for name in ("notebooks", "data/here", "runs"):
        (root / name).mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    Image.fromarray(noise).save(root / "notebooks" / "noise.png")
    monkeypatch.setenv("KAGGLE_API_TOKEN", "a-token")
    code = sources_of(PLAIN)[1:]
    code.append(
        'open("../runs", "w").close()\nprint(os.__file__)\nprint("1 of 2", end="\\r", flush=True)\nprint("2 of 2")'
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in code])
    weights = tmp_path / "mine.weights.h5"
    weights.touch()
    code.append('open("../data/written", "w").close()\nprint(sorted(os.listdir("../data")))')
    notebook.cells.append(nbformat.v4.new_code_cell(code[-1]))
    done = outputs.executed(nbformat.writes(notebook), "04-x.ipynb", root, largest=60_000, weights=weights)
    assert "['here', 'vgg16.weights.h5', 'written']" in done
    assert [path.name for path in (root / "data").iterdir()] == ["here"]
    assert len(done.encode()) <= 60_000
    first, second = (output for cell in json.loads(done)["cells"][1:3] for output in cell["outputs"])
    assert first["text"] == ["notebooks None True\n"]
    assert "".join(json.loads(done)["cells"][3]["outputs"][0]["text"]).splitlines()[1] == "2 of 2"
    shown = Image.open(io.BytesIO(base64.b64decode(second["data"]["image/png"])))
    assert (shown.width / shown.height, shown.mode) == (pytest.approx(4 / 3, abs=0.02), "P")
    assert all(place not in done for place in (str(tmp_path), "/tmp/", build.sys.prefix, build.sys.base_prefix))
    assert (root / "runs").is_dir()
    with pytest.raises(ValueError, match=r"04-x\.ipynb has [\d,]+ bytes"):
        outputs.fitted(done, "04-x.ipynb", largest=2_000)


def sources_of(text):
    return [part.split("\n", 1)[1].strip() for part in text.split("# %%")[1:]]
