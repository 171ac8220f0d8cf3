"""The life of a run: locked, begun, gone on with, complete; and which run a name means."""

import os
import pathlib
import subprocess
import sys
import textwrap

import pytest
from made_runs import COMPETITION, IMAGES, begun, config, metrics, write

from kit import loaders, runs, tracking
from kit.errors import Failure, UserError
from kit.tracking import EnsembleConfig


@pytest.fixture
def run(workplace):
    return tracking.place(COMPETITION, "mine")


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    ("kind", "fields", "command"),
    [
        ("network", {}, "kit.train --resume --competition digit-recognizer --name mine"),
        ("tta", {"parent": "two words"}, "kit.predict 'digit-recognizer/two words' --tta"),
        (
            "ensemble",
            {"method": "weighted", "members": ["a", "b"], "options": {"geometric": True, "weights": [2.0, 1.0]}},
            "kit.ensemble digit-recognizer/a digit-recognizer/b --method weighted --geometric --weights 2.0,1.0 "
            "--name mine",
        ),
        (
            "ensemble",
            {"method": "hill-climb", "members": ["a", "b"], "options": {"seed": 3}, "seed": 3},
            "kit.ensemble digit-recognizer/a digit-recognizer/b --method hill-climb --seed 3 --name mine",
        ),
        (
            "ensemble",
            {"method": "snapshot", "members": ["a b snapshot 1", "a b snapshot 2"], "options": {"geometric": False}},
            "kit.ensemble 'digit-recognizer/a b' --method snapshot --name mine",
        ),
    ],
)
def test_what_was_begun_is_gone_on_with_by_the_command_that_made_it(workplace, kind, fields, command):
    made = EnsembleConfig(**fields) if kind == "ensemble" else None
    asked = config().model_copy(update={"kind": kind, "ensemble": made, "parent": fields.get("parent")})
    unfinished = begun("mine", asked)
    assert unfinished.resume_command == f"python -m {command}"
    with pytest.raises(UserError) as error:
        unfinished.metrics()
    assert unfinished.resume_command in str(error.value)


def test_the_states_of_a_run(run):
    assert run.state == "absent"
    with run.begin(config()) as same:
        assert same == run
        assert run.state == "begun"
        with pytest.raises(UserError, match=r"--resume --competition digit-recognizer --name mine"):
            run.metrics()
        write(run)
        assert run.state == "trained"
    assert run.state == "complete"
    assert run.config() == config()
    assert run.metrics() == metrics()
    assert list(run.history.columns) == list(tracking.history.COLUMNS)
    assert run.images() == len(run.oof()) == IMAGES
    assert not run.working.exists()
    assert tracking.every(COMPETITION) == [run]


def test_what_is_written_is_read_back_though_some_of_it_is_none(run):
    with run.begin(config()):
        write(run)
        run.write_metrics(metrics(validation_accuracy=None, validation_log_loss=None, validation_images=0))
    assert run.metrics().validation_accuracy is None
    assert run.metrics().standard_error is None


HOLDER = """
    from test_tracking import *
    run = tracking.place(COMPETITION, "mine")
    with run.begin(config(seed=1), "resume"):
        print("begun", flush=True)
        input()
        write(run)
    print("done", flush=True)
"""


def python(code):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, pathlib.Path(__file__).resolve().parents[:2]))},
    )


def test_a_refused_second_training_writes_nothing_in_the_first_ones_run(run):
    with python(HOLDER) as holder:
        assert holder.stdout.readline() == "begun\n"
        before = contents(run.folder)
        for existing in ("refuse", "resume", "restart"):
            with pytest.raises(UserError, match="another process"), run.begin(config(seed=2), existing):
                pytest.fail("two processes write one run")
            assert contents(run.folder) == before
        with run.begin(config(seed=2), unique=True) as other:
            assert other.name == "mine-2"
            write(other)
        link = run.folder.with_name("link")
        link.symlink_to(run.folder.name)
        with pytest.raises(UserError, match="another process"), tracking.Run(link).begin(config(seed=2), "restart"):
            pytest.fail("a link gives two processes one run")
        assert contents(run.folder) == before
        print(file=holder.stdin, flush=True)
        assert holder.stdout.readline() == "done\n"
    assert run.state == "complete"
    assert run.config().recipe.seed == 1
    assert other.config().recipe.seed == 2


def test_the_lock_outlives_figures_and_csv(run):
    with run.begin(config()):
        for step in (lambda: None, lambda: write(run), lambda: run.write_figure("x", Figure())):
            step()
            with pytest.raises(UserError, match="another process"), run.locked():
                pytest.fail("the lock was let go")
    with run.locked():
        pass


class Figure:
    def savefig(self, path, **options):
        pathlib.Path(path).write_bytes(b"PNG")


def test_default_names_of_one_second_differ(run):
    names = []
    for _ in range(3):
        with run.begin(config(), unique=True) as one:
            names.append(one.name)
            write(one)
    assert names == ["mine", "mine-2", "mine-3"]


def test_a_run_that_exists_is_kept(run):
    with run.begin(config()):
        write(run)
    before = contents(run.folder)
    for existing in ("refuse", "resume", "restart"):
        with pytest.raises(UserError, match="exists already"), run.begin(config(), existing):
            pytest.fail("begun a second time")
    assert contents(run.folder) == before


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"fingerprint": "b"}, "images"), ({"epochs": 3}, "epochs"), ({"split_seed": 1}, "split_seed")],
)
def test_going_on_with_other_data_or_another_recipe_is_refused(run, changed, field):
    before = contents(begun(run.name).folder)
    with pytest.raises(UserError, match=field), run.begin(config(**changed), "resume"):
        pytest.fail("gone on with")
    assert contents(run.folder) == before
    with pytest.raises(UserError, match="--resume"), run.begin(config()):
        pytest.fail("begun anew without a word")
    with run.begin(config(), "resume"):
        write(run)
    assert run.state == "complete"


def test_an_exception_keeps_what_is_done_and_with_restart_leaves_nothing(run):

    def fail(existing):
        with run.begin(config(), existing):
            assert set(contents(run.folder)) == {pathlib.Path("config.yaml")}
            write(run)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail("refuse")
    assert run.state == "trained"
    with pytest.raises(ZeroDivisionError):
        fail("restart")
    assert not run.folder.exists()
    assert tracking.every() == []


def test_a_folder_that_is_not_a_run_is_left_alone(run):
    run.folder.mkdir(parents=True)
    (run.folder / "fold-0.keras").write_bytes(b"of a run whose config is lost")
    before = contents(run.folder)
    for existing in ("refuse", "resume", "restart"):
        with pytest.raises(UserError, match=r"no config\.yaml"), run.begin(config(), existing):
            pytest.fail("another run's pieces were taken")
    assert contents(run.folder) == before


KILLED = """
    import signal
    from test_tracking import *
    os.fsync = lambda handle: None  # the kernel outlives what is killed here

    def pieces(run, config):
        (run.working / "fold-0.npz").write_text(str(config.recipe.seed))
        run.write_figure("curves", Figure())
        write(run)

    def training(run, asked, existing):
        with run.begin(asked, existing):
            left = run.working / "fold-0.npz"
            assert not left.exists() or left.read_text() in ("", str(asked.recipe.seed)), "another recipe's piece"
            pieces(run, asked)

    def killed_at(point, run, asked, existing):
        "Whether a process died that may touch the run's folder `point` times."
        if pid := os.fork():
            return os.waitpid(pid, 0)[1] != 0
        touched = 0
        def count(event, arguments):
            nonlocal touched
            name = arguments[0] if arguments and isinstance(arguments[0], (str, os.PathLike)) else ""
            if event.split(".")[0] in ("open", "os", "shutil", "tempfile") and "runs/" in os.fspath(name):
                touched += 1
                if touched > point:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(count)
        try:
            training(run, asked, existing)
        except BaseException:
            os._exit(3)
        os._exit(0)

    old, new = config(seed=1), config(seed=2)
    for number in range(1000):
        run = tracking.place(COMPETITION, f"run-{number}")
        if number % 2:
            begun(run.name, config(seed=1))
            pieces(run, old)
        died = killed_at(number, run, new, "restart" if number % 2 else "resume")
        if run.state != "complete":
            try:
                training(run, new, "resume")
            except UserError as error:
                assert "begun otherwise" in str(error), error
                training(run, new, "restart")
        assert (run.state, run.config(), len(run.oof())) == ("complete", new, IMAGES)
        assert not list(run.folder.rglob(".*")), list(run.folder.rglob(".*"))
        if number % 2 and not died and number > 40:
            break
    print(number)  # the points at which it can die
"""


@pytest.mark.skipif(sys.platform == "win32", reason="os.fork")
def test_killed_at_any_point_a_run_can_be_gone_on_with_or_begun_anew(workplace):
    with python(KILLED) as process:
        output, _ = process.communicate()
    assert process.returncode == 0
    assert int(output) > 40


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../../x",
        "a/b",
        "a\\b",
        "/etc",
        "x\n",
        "\x1b[31mred",
        "a\0b",
        " x",
        "-x",
        ".x",
        "x.",
        "é" * 51,
        "x" * 256,
    ],
)
def test_names_that_cannot_be_a_folders_are_refused_everywhere(workplace, name):
    with pytest.raises(UserError) as error:
        tracking.place(COMPETITION, name)
    assert str(error.value).isprintable()
    with pytest.raises(UserError) as error:
        tracking.find(name)
    assert str(error.value).isprintable()
    assert not list(workplace.iterdir())


def test_a_run_is_found_by_name_by_folder_and_from_within(run, monkeypatch):
    with run.begin(config()):
        write(run)
    for reference in ("mine", f"{COMPETITION}/mine", "runs/digit-recognizer/mine/", f"{run.folder.resolve()}/../mine"):
        found = tracking.find(reference)
        assert (found.name, found.competition, found.config()) == ("mine", COMPETITION, run.config())
    monkeypatch.chdir(run.folder)
    assert (tracking.find(".").name, tracking.find(".").competition) == ("mine", COMPETITION)


def test_a_misspelt_run_names_its_neighbour(run):
    with run.begin(config()):
        write(run)
    with pytest.raises(UserError, match="mine"):
        tracking.find("mien")


def test_a_name_that_two_competitions_have_is_asked_for(run):
    for competition in (COMPETITION, "cifar-10"):
        with tracking.place(competition, "mine").begin(config()) as one:
            write(one)
    with pytest.raises(UserError, match="cifar-10"):
        tracking.find("mine")
    assert tracking.find("mine", "cifar-10").competition == "cifar-10"


def test_a_run_may_lie_elsewhere_behind_a_link(run, workplace):
    elsewhere = workplace / "disk" / "large"
    elsewhere.mkdir(parents=True)
    run.folder.parent.mkdir(parents=True)
    run.folder.symlink_to(elsewhere)
    begun(run.name, config(seed=1))
    with run.begin(config(seed=2), "restart"):
        write(run)
    assert (run.competition, run.name, run.state) == (COMPETITION, "mine", "complete")
    assert (elsewhere / "metrics.json").exists()
    assert tracking.every(COMPETITION) == [run]


def test_links_that_lead_nowhere_or_in_a_circle_are_said(run):
    run.folder.parent.mkdir(parents=True)
    for target in ("nowhere", run.folder.name):
        run.folder.symlink_to(target)
        assert run.state == "absent"
        assert tracking.every() == []
        with pytest.raises(UserError, match="mine"), run.begin(config()):
            pytest.fail("begun")
        run.folder.unlink()


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="/dev/full")
def test_a_full_disk_is_said_with_the_file(run, monkeypatch):
    def full(path, content):
        pathlib.Path("/dev/full").write_text(content)

    with run.begin(config()):
        write(run)
        with monkeypatch.context() as patched:
            patched.setattr(tracking.run.files, "write_text", full)
            with pytest.raises(Failure, match=r"metrics\.json"):
                run.write_metrics(metrics())
    assert run.metrics() == metrics()


def test_networks_are_counted_without_a_gap(run):
    with run.begin(config()):
        write(run)
    for fold in (0, 1, 10, "x", "²"):
        (run.folder / f"fold-{fold}.keras").touch()
    with pytest.raises(UserError, match=r"fold-2\.keras"):
        run.network_paths()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems may write the zeros out")
@pytest.mark.parametrize("name", ["config.yaml", "metrics.json", "history.csv", "oof.npy"])
def test_a_file_of_twenty_gigabytes_is_not_read(run, name):
    with run.begin(config()):
        write(run)
    os.truncate(run.folder / name, 20 << 30)
    read = {
        "config.yaml": run.config,
        "metrics.json": run.metrics,
        "history.csv": lambda: run.history,
        "oof.npy": run.oof,
    }
    with pytest.raises(UserError, match=name):
        read[name]()


@pytest.mark.parametrize("place", ["runs", "submissions", "submissions/digit-recognizer"])
def test_a_place_that_cannot_be_written_is_known_before_the_first_byte(run, place):
    """A file where a folder belongs stops root too."""
    path = pathlib.Path(place)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    before = {path for path in pathlib.Path().rglob("*") if ".locks" not in path.parts}
    for check in (run.check_writable, lambda: run.begin(config()).__enter__()):
        with pytest.raises(UserError, match=place):
            check()
    assert {path for path in pathlib.Path().rglob("*") if ".locks" not in path.parts} - before <= {
        pathlib.Path("runs/digit-recognizer"),
        pathlib.Path("runs"),
    }


@pytest.mark.parametrize("existing", ["refuse", "resume", "restart"])
def test_names_that_are_one_folder_on_other_disks_are_refused(run, existing):
    begun("mine")
    with pytest.raises(UserError, match="mine"), tracking.place(COMPETITION, "MINE").begin(config(), existing):
        pass
    with tracking.place(COMPETITION, "MINE").begin(config(), existing, unique=True) as other:
        assert other.name == "MINE-2"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of folders are Unicode")
def test_a_run_in_a_folder_whose_name_is_no_text_can_be_read_and_listed(workplace, monkeypatch):
    strange = os.fsdecode(os.fsencode(workplace) + b"/\xff")
    os.mkdir(strange)
    monkeypatch.chdir(strange)
    data = loaders.load(COMPETITION, "sample", limit=200).record()
    with tracking.place(COMPETITION, "mine").begin(config().model_copy(update={"data": data})) as run:
        write(run)
    assert run.config().data == data
    (run.folder.parent / "\udcfe").mkdir()
    (run.folder.parent / "\udcfe" / "config.yaml").touch()
    assert runs.main(["--csv", "runs.csv", "--html", "runs.html"]) == 0
