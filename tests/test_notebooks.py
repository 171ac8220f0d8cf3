"""The notebooks as a participant runs them, in their short form: every cell, and every command in them, succeeds."""

import re

import nbformat
import notebook_stage
import pytest

from notebooks import build, sources

SOURCES = sources.every(build.FOLDER)
TUTORIALS = [source for source in SOURCES if any(sources.YOUR_TURN in cell.tags for cell in sources.cells(source))]


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(source, marks=pytest.mark.slow if source.stem.startswith("05") else (), id=source.stem)
        for source in TUTORIALS
    ],
)
def test_a_tutorial_runs_with_open_gaps_and_its_solutions_pass_their_checks(source, tmp_path):
    folder = notebook_stage.stage(tmp_path)
    notebook = notebook_stage.read(folder / f"{source.stem}.ipynb")
    solutions, answered = sources.solved(source), 0
    client = notebook_stage.client(notebook, folder)
    with client.setup_kernel(env=notebook_stage.environment()):
        code = [(number, cell) for number, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
        for place, (number, cell) in enumerate(code):
            client.execute_cell(cell, number)
            if cell.source in solutions:
                check_number, check = code[place + 1]
                client.execute_cell(check, check_number)
                assert "○" in notebook_stage.text_of(check), cell.source
                still_open = list(check.outputs)
                client.execute_cell(nbformat.v4.new_code_cell(solutions[cell.source]), number)
                client.execute_cell(check, check_number)
                assert notebook_stage.text_of(check).startswith("✓"), cell.source
                check.outputs = still_open  # what the stored notebook shows
                answered += 1
    assert answered == len(solutions)
    assert not notebook_stage.trouble(notebook)
    assert notebook_stage.figures(notebook)
    notebook_stage.shows_what_the_stored_notebook_shows(notebook, folder / f"{source.stem}.ipynb")


@pytest.mark.slow  # test_notebooks_exercise runs the same cells with an account
def test_the_exercise_goes_on_to_its_certificate_without_an_account(tmp_path):
    folder = notebook_stage.stage(tmp_path)
    name = "04-kaggle-exercise-solution.ipynb"
    done = notebook_stage.execute(notebook_stage.read(folder / name), folder)
    assert not notebook_stage.trouble(done)
    assert notebook_stage.figures(done)
    assert len(re.findall(r"^✓ practice board: ", notebook_stage.printed(done), re.MULTILINE)) == 2
    assert (tmp_path / "submissions" / "certificate.png").exists()
    notebook_stage.shows_what_the_stored_notebook_shows(done, folder / name)


@pytest.mark.parametrize("source", TUTORIALS, ids=lambda source: source.stem)
def test_a_tutorial_has_something_to_do_with_hints_and_solutions(source):
    (cells,) = sources.read(source).values()
    texts = [cell.text for cell in cells if cell.kind == "markdown"]
    tasks = [text for text in texts if "<summary>Solution</summary>" in text]
    assert 2 <= len(tasks) <= 6
    assert all("**Your turn" in text or "**Your bet" in text for text in tasks)
    assert all("<summary>Hint</summary>" in text for text in tasks if "**Your bet" not in text)
    assert any("**Your bet" in text for text in tasks)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_every_notebook_ends_with_a_quiz_whose_answers_are_explained(source):
    for cells in sources.read(source).values():
        _, heading, quiz = "\n".join(cell.text for cell in cells).rpartition(" Quiz\n")
        assert heading
        asked = re.findall(r"^\*\*\d\.\*\* .*?^<details><summary>Answer</summary>$", quiz, re.MULTILINE | re.DOTALL)
        assert len(asked) >= 4


@pytest.mark.parametrize("source", SOURCES[:3], ids=lambda source: source.stem)
def test_tutorials_train_with_keras_and_not_with_the_kit(source):
    (cells,) = sources.read(source).values()
    code = "\n".join(cell.text for cell in cells if cell.kind == "code")
    assert "kit.training" not in code
    assert "kit.zoo.build" not in code
    assert all(call in code for call in (".compile(", ".fit(", ".predict(", "keras.Input("))
    assert "kit.fit(" in cells[-1].text + cells[-2].text
