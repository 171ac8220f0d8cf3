"""The exercises: every gap stops at its check, every solution goes on to its score; one with a stand-in for Kaggle."""

import io
import re
import zipfile

import bundles
import kaggle_stand_in
import nbclient.exceptions
import notebook_stage
import numpy as np
import pytest

from kit.competitions import digit_recognizer

TRAIN, TEST = 400, 60


@pytest.fixture
def kaggle():
    """A stand-in that serves some of the sample's digits in Kaggle's form, and scores what it is sent."""
    images, labels, _ = digit_recognizer.sample()
    pixels, truth = images.reshape(len(images), -1), labels[TRAIN : TRAIN + TEST]
    files = {
        "sample_submission.csv": bundles.table(["ImageId", "Label"], [(row, 0) for row in range(1, TEST + 1)]),
        "train.csv": bundles.table(["label", *bundles.PIXELS], np.column_stack([labels, pixels])[:TRAIN].tolist()),
        "test.csv": bundles.table(bundles.PIXELS, pixels[TRAIN : TRAIN + TEST].tolist()),
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)

    def score(csv: bytes) -> str:
        predicted = np.loadtxt(io.BytesIO(csv), delimiter=",", skiprows=1, dtype=int)[:, 1]
        return f"{np.mean(predicted == truth):.5f}"

    with kaggle_stand_in.KaggleStandIn() as server:
        server.bundles["digit-recognizer"], server.score, server.polls = content.getvalue(), score, 0
        yield server
    assert not server.escapes


def solve(exercise, solution, folder, **variables):
    """Run the solution; before each solved gap run the open one and its check, and return what these stop with."""
    assert len(exercise.cells) == len(solution.cells)
    client = notebook_stage.client(solution, folder)
    stopped = []
    with client.setup_kernel(env=notebook_stage.environment(**variables)):
        for number, (gap, solved) in enumerate(zip(exercise.cells, solution.cells, strict=True)):
            if number and gap.source != solved.source:
                client.execute_cell(gap, number)
                check = next(n for n, cell in enumerate(solution.cells) if n > number and "checks." in cell.source)
                with pytest.raises(nbclient.exceptions.CellExecutionError) as missing:
                    client.execute_cell(exercise.cells[check], check)
                (error,) = [output for output in exercise.cells[check].outputs if output.output_type == "error"]
                assert missing.value.ename == error.ename == "StillMissing"
                assert error.traceback == [error.evalue]
                stopped.append(missing.value.evalue)
            client.execute_cell(solved, number)
    assert not notebook_stage.trouble(solution)
    assert notebook_stage.figures(solution)
    return stopped


def both(folder, name):
    return [notebook_stage.read(folder / f"{name}{which}.ipynb") for which in ("", "-solution")]


def test_every_gap_stops_at_its_check_and_the_solution_reads_its_score(kaggle, tmp_path):
    folder = notebook_stage.stage(tmp_path)
    exercise, solution = both(folder, "04-kaggle-exercise")
    credentials = kaggle.environment(tmp_path / "home") | {"KAGGLE_API_TOKEN": kaggle_stand_in.TOKEN}
    assert len(solve(exercise, solution, folder, **credentials)) == 15
    said = notebook_stage.printed(solution)
    first, second = kaggle.submissions
    assert first["description"] == "two convolutions"
    assert second["description"] == "my own design"
    scores = [kaggle.score(kaggle.contents[one["ref"]]) for one in (first, second)]
    assert f"✓ public score {scores[0]}, " in said
    assert re.findall(r"public score: ([\d.]+), ", said) == scores
    assert re.search(rf"^ +1 +{max(scores)} ", said, re.MULTILINE)  # the list, best first


def test_the_exercise_on_photos_works_through_without_internet_and_account(tmp_path):
    folder = notebook_stage.stage(tmp_path)
    exercise, solution = both(folder, "06-cats-and-dogs")
    assert len(solve(exercise, solution, folder)) == 11
    said = notebook_stage.printed(solution)
    assert "RANDOM WEIGHTS" in said
    assert len(re.findall(r"^✓ practice board: ", said, re.MULTILINE)) == 1
    facts = (tmp_path / "configs" / "cats-and-dogs" / "competition.yaml").read_text(encoding="utf-8")
    assert "class_names: [cat, dog]" in facts
    assert {path.parent.name for path in (tmp_path / "runs").glob("*/*/metrics.json")} == {"frozen", "mine"}
    assert (tmp_path / "submissions" / "certificate-photos.png").exists()
    notebook_stage.shows_what_the_stored_notebook_shows(solution, folder / "06-cats-and-dogs-solution.ipynb")
