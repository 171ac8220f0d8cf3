"""The notebooks as a participant runs them, in their short form: every cell, and every command in them, succeeds."""

import nbclient.exceptions
import notebook_stage
import pytest

from notebooks import build

BUILT = sorted(name for source in build.sources() for name in build.build(source, build.repository()))
EXERCISES = [name for name in BUILT if name.replace(".ipynb", "-solution.ipynb") in BUILT]


@pytest.mark.parametrize("name", [name for name in BUILT if name not in EXERCISES])
def test_the_notebook_runs_from_its_first_cell_to_its_last(name, tmp_path):
    folder = notebook_stage.stage(tmp_path)
    done = notebook_stage.execute(notebook_stage.read(folder / name), folder)
    assert not notebook_stage.trouble(done)
    assert notebook_stage.figures(done)


@pytest.mark.parametrize("name", EXERCISES)
def test_the_exercise_stops_at_its_first_check_with_what_is_missing(name, tmp_path):
    folder = notebook_stage.stage(tmp_path)
    exercise = notebook_stage.read(folder / name)
    with pytest.raises(nbclient.exceptions.CellExecutionError) as stopped:
        notebook_stage.execute(exercise, folder)
    code = [cell for cell in exercise.cells if cell.cell_type == "code"]
    first = next(cell for cell in code if cell.source.startswith("checks."))
    (error,) = [output for output in first.outputs if output.output_type == "error"]
    assert stopped.value.ename == error.ename == "StillMissing"
    assert error.traceback == [error.evalue]
    assert all(cell.execution_count is None for cell in code[code.index(first) + 1 :])
