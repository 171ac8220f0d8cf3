"""The first cell of every notebook: on Colab and Kaggle it fetches the kit, and says in a line where it cannot."""

import shutil
import subprocess

import nbclient.exceptions
import nbformat
import notebook_stage
import pytest

from notebooks import build

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="the cell fetches with git")


def notebook(repository: str) -> nbformat.NotebookNode:
    """The set-up cell twice, as a person runs it again, and what it has led to."""
    set_up = build.set_up(repository)
    asked = "import kit\nprint(pathlib.Path(kit.__file__).parent, pathlib.Path.cwd(), sep='|')"
    again = '!python -c "import kit; print(kit.__file__)"'
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in (set_up, set_up, asked, again)])


def test_the_kit_is_fetched_once_and_used(tmp_path):
    origin, empty = tmp_path / "their-fork", tmp_path / "content"
    origin.mkdir()
    empty.mkdir()
    notebook_stage.stage(origin)
    who = ["-c", "user.name=someone", "-c", "user.email=someone@example.org"]
    for words in (["init", "--quiet"], ["add", "."], [*who, "commit", "--quiet", "--message", "everything"]):
        subprocess.run(["git", *words], cwd=origin, check=True, capture_output=True)
    done = notebook_stage.execute(notebook(origin.as_uri()), empty)
    home = empty / "their-fork"
    assert f"{home / 'kit'}|{home}" in notebook_stage.printed(done)
    assert str(home / "kit" / "__init__.py") in notebook_stage.printed(done)
    assert not notebook_stage.trouble(done)


def test_without_internet_the_cell_says_what_to_switch_on(tmp_path):
    tried = notebook((tmp_path / "nothing" / "there").as_uri())
    with pytest.raises(nbclient.exceptions.CellExecutionError) as stopped:
        notebook_stage.execute(tried, tmp_path)
    assert stopped.value.ename == "SystemExit"
    assert "switch Internet on" in stopped.value.evalue


def test_a_notebook_without_an_address_says_what_to_do(tmp_path):
    with pytest.raises(nbclient.exceptions.CellExecutionError) as stopped:
        notebook_stage.execute(notebook("https://github.com/OWNER/kaggle-submission-kit"), tmp_path)
    assert stopped.value.ename == "SystemExit"
    assert "make notebooks" in stopped.value.evalue
    assert not list(tmp_path.iterdir())
