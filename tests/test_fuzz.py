"""Whatever a run's files, a recipe or a plan hold: a value, or one line that says what is wrong, and soon.

`pytest -m slow tests/test_fuzz.py` tries many more.
"""

import contextlib
import functools
import io
import json
import os
import pathlib
import shutil
import sys
import time
from unittest import mock

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_runs import COMPETITION, IMAGES, config, history, made, probabilities

from kit import competitions, evaluate, loaders, predict, recipes, runs, tracking, yaml_files
from kit.comparison import overview
from kit.ensemble import __main__ as ensemble
from kit.errors import UserError
from kit.evaluation import report
from kit.recipes import Recipe, plan
from kit.remote import following, record
from kit.tracking import arrays

SECONDS = 2.0  # a reader takes milliseconds; the machine may be busy
LONGEST = 2000  # characters of an error, folder included

few = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
many = settings(few, max_examples=3000)


# --- what can happen to a file

HUGE = [10**400, -(10**30), 2**63, 1e308, float("inf"), float("nan"), int("9" * 4000), 0.1, -1, 0, 1.5]
NASTY = st.one_of(
    st.sampled_from(HUGE),
    st.none(),
    st.booleans(),
    st.text(max_size=20),
    st.sampled_from(["../../x", "\x1b[31m", "a" * 5000, "\0", "1e3", "true", "\ud800", "nan", "*", "<b>", "a\nb"]),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
    st.just([[[[[[[[]]]]]]]]),
)


@st.composite
def changed_bytes(draw, content):
    """Content with flipped, lost, doubled or foreign bytes."""
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(content)))
        kind = draw(st.sampled_from(["flip", "cut", "insert", "lose", "double", "empty"]))
        if kind == "flip" and at < len(content):
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del content[at:]
        elif kind == "insert":
            content[at:at] = draw(st.binary(min_size=1, max_size=9))
        elif kind == "lose":
            del content[at : at + draw(st.integers(1, 40))]
        elif kind == "double":
            content[at:at] = content[at : at + draw(st.integers(1, 40))]
        else:
            content.clear()
    return bytes(content)


@st.composite
def changed_value(draw, value):
    """A tree of dicts and lists in which one value is another, or gone."""
    if isinstance(value, dict) and value and draw(st.integers(0, 9)):
        name = draw(st.sampled_from(sorted(value)))
        kind = draw(st.sampled_from(["deep", "deep", "deep", "gone", "renamed"]))
        rest = {key: one for key, one in value.items() if key != name}
        if kind == "gone":
            return rest
        if kind == "renamed":
            return {**rest, draw(st.sampled_from(["self", "", "model_config", "__class__", "x" * 300])): value[name]}
        return {**rest, name: draw(changed_value(value[name]))}
    return draw(NASTY)


ARRAYS = st.one_of(
    st.builds(
        lambda shape, dtype, value: np.full(shape, value).astype(dtype),
        st.lists(st.integers(0, 12), max_size=4).map(tuple),
        st.sampled_from(["f2", "f4", ">f4", "f8", "i4", "u1", "?", "c8", "U3", "M8[s]", "f4,i4"]),
        st.sampled_from([0, 1, 0.1]),
    ),
    st.sampled_from([np.nan, np.inf, -1.0, 3.0, 1e30]).map(lambda value: np.full((IMAGES, 10), value, np.float32)),
    st.integers(0, 30).map(lambda n: np.full((n, 10), 0.1, np.float32)),
)


def in_npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def header(text):
    text = text.encode("latin-1", "replace") + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


HEADERS = st.sampled_from([
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 10), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-20, -10), }",
    "{'descr': '<f4', 'fortran_order': True, 'shape': (20, 10), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (20, 10), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 4000 + ", " + "9" * 4000 + "), }",
    "(" * 3000,
    "{'descr': '\\z', 'fortran_order': False, 'shape': ()}",
    "__import__('os').abort()",
]).map(lambda text: header(text) + bytes(800))  # fmt: skip


def as_yaml(value):
    with contextlib.suppress(ValueError, UnicodeEncodeError, yaml.YAMLError):
        return yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "surrogatepass")
    return b""


def as_json(value):
    with contextlib.suppress(ValueError):
        return json.dumps(value).encode("utf-8", "surrogatepass")
    return b""


@st.composite
def contents(draw, name, content):
    """What the file `name` of a run may hold instead of `content`."""
    special = []
    if name == "config.yaml":
        special.append(changed_value(yaml.safe_load(content)).map(as_yaml))
    if name == "metrics.json":
        special.append(changed_value(json.loads(content)).map(as_json))
    if name.endswith(".npy"):
        special += [ARRAYS.map(in_npy), HEADERS]
    return draw(st.one_of(changed_bytes(content), *special, *special))


PLACES = ("folder", "pipe", "dangling", "loop", "gone", "full folder")


def put(path, place):
    """Put something else in the place of a file."""
    path.unlink(missing_ok=True)
    if place in ("folder", "full folder"):
        path.mkdir()
    if place == "full folder":
        (path / "x").touch()
    if place == "pipe":
        os.mkfifo(path)
    if place == "dangling":
        path.symlink_to("nowhere")
    if place == "loop":
        path.symlink_to(path.name)


@st.composite
def damage(draw, pristine):
    """Which file of a run is changed, and what it is then: bytes, or the name of something else."""
    name = draw(st.sampled_from(sorted(pristine)))
    places = PLACES if sys.platform != "win32" else PLACES[:1]
    return name, draw(
        st.one_of(contents(name, pristine[name]), contents(name, pristine[name]), st.sampled_from(places))
    )


def restore(folder, pristine, name=None, instead=None):
    """Write a run's files, one of them damaged."""
    shutil.rmtree(folder, ignore_errors=True)
    for each, content in pristine.items():
        path = folder / each
        path.parent.mkdir(parents=True, exist_ok=True)
        if each != name:
            path.write_bytes(content)
        elif isinstance(instead, str):
            put(path, instead)
        else:
            path.write_bytes(instead)


@contextlib.contextmanager
def in_folder(folder):
    before = pathlib.Path.cwd()
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(before)


def outcome(read, *arguments):
    """What `read` returns, and the line that it ends in instead; anything else is a defect."""
    started = time.perf_counter()
    value, error = None, ""
    try:
        value = read(*arguments)
    except UserError as raised:
        error = str(raised)
    assert len(error) < LONGEST
    assert time.perf_counter() - started < SECONDS
    return value, error


# --- runs


class Pieces(dict):
    """The files of a run by name."""

    def __repr__(self):
        return f"Pieces of {', '.join(self)}"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """The files of a run with snapshots."""
    with in_folder(tmp_path_factory.mktemp("pristine")):
        run = made("mine", predicted=np.arange(IMAGES) % 10, epochs=3)
        both = np.stack([probabilities(), probabilities()])
        run.write_array("snapshots-oof", both)
        run.write_array("snapshots-test", both)
        return Pieces({path.name: path.read_bytes() for path in run.folder.resolve().iterdir()})


READERS = {
    "config.yaml": [lambda run: run.config()],
    "metrics.json": [lambda run: run.metrics()],
    "history.csv": [lambda run: run.history],
    "oof.npy": [lambda run: run.oof(), lambda run: run.images()],
    "test.npy": [lambda run: run.test()],
    "snapshots-oof.npy": [lambda run: [one.oof() for one in run.snapshots()[:3]]],
    "snapshots-test.npy": [lambda run: [one.test() for one in run.snapshots()[:3]]],
}


def check_readers(folder, pristine, name, instead):
    restore(folder, pristine, name, instead)
    run = tracking.Run(folder)
    assert run.state in ("absent", "begun", "complete")
    there = os.path.exists(folder / name)
    for file, readers in READERS.items():
        for read in readers:
            value, error = outcome(read, run)
            if error:
                assert name in (file, file.replace("test", "oof")), f"{file} is whole, and is not read"
                related = (name, name.replace("oof", "test")) if file.startswith("snapshots") else (name,)
                assert any(one in error for one in related) or not there, "the error does not name the file"
            elif file == "metrics.json":
                check_metrics(value)
            elif file in ("oof.npy", "test.npy") and isinstance(value, np.ndarray):
                check_probabilities(value, file)


def check_metrics(metrics):
    assert metrics.validation_accuracy is None or 0 <= metrics.validation_accuracy <= 1
    assert metrics.standard_error is None or 0 <= metrics.standard_error <= 0.5
    assert np.isfinite([metrics.fit_seconds, metrics.images_per_second, metrics.validation_log_loss or 0]).all()


def check_probabilities(array, file):
    assert (array.dtype, array.ndim) == (np.float32, 2)
    known = ~np.isnan(array).any(axis=1)
    assert known.all() or file == "oof.npy"
    assert np.isnan(array[~known]).all()
    np.testing.assert_allclose(array[known].sum(axis=1), 1, atol=0.03)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged")


@few
@given(data=st.data())
def test_a_damaged_run_is_read_or_said_to_be_damaged(pristine, folder, data):
    check_readers(folder / COMPETITION / "mine", pristine, *data.draw(damage(pristine)))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@many
@given(data=st.data())
def test_many_damaged_runs(pristine, folder, data):
    check_readers(folder / COMPETITION / "mine", pristine, *data.draw(damage(pristine)))


@few
@given(data=st.data())
def test_arrays_of_a_checkpoint_are_whole_or_refused(folder, data):
    whole = {"notes": np.array('{"history": []}'), "oof": probabilities(), "variable-0": np.arange(5, dtype=np.int64)}
    np.savez(folder / "whole.npz", **whole)
    path = folder / "damaged.npz"
    path.write_bytes(data.draw(changed_bytes((folder / "whole.npz").read_bytes())))
    found, _ = outcome(arrays.read_all, path)
    for name, array in (found or {}).items():
        np.testing.assert_array_equal(array, whole[name])


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(many, max_examples=400)
@given(data=st.data())
def test_a_damaged_network_or_state_is_whole_or_refused(folder, data):
    import keras

    from kit.training import checkpoint, transfer

    model = _network(keras, checkpoint, folder)
    before = model.get_weights()
    name = data.draw(st.sampled_from(["fold-0.keras", "state-0.npz"]))
    path = folder / f"damaged-{name}"
    path.write_bytes(data.draw(changed_bytes((folder / name).read_bytes())))
    if name.endswith(".keras"):
        loaded, _ = outcome(transfer.load, path)
        found = loaded.get_weights() if loaded else before
    else:
        outcome(checkpoint.progress, path)
        outcome(checkpoint.read_arrays, path)
        outcome(checkpoint.load, path, [*model.weights, *model.optimizer.variables])
        found = model.get_weights()
    for weight, same in zip(before, found, strict=True):
        np.testing.assert_array_equal(weight, same)


@functools.cache
def _network(keras, checkpoint, folder):
    """A small network, its file and the state of its training."""
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(10, name="logits")])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    model.save(folder / "fold-0.keras")
    rows = [{**row, "stage": 0} for row in history(3)]
    checkpoint.save(folder / "state-0.npz", [*model.weights, *model.optimizer.variables], {"history": rows})
    return model


# --- commands


def check_command(main, *arguments):
    """The command ends with one of its statuses and a few lines, soon."""
    output, errors = io.StringIO(), io.StringIO()
    started = time.perf_counter()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        status = main(list(arguments))
    seconds = time.perf_counter() - started
    assert status in (0, 1, 2)
    assert len(errors.getvalue().splitlines()) <= 3, errors.getvalue()
    assert (status == 0) or errors.getvalue().strip()
    assert output.getvalue().isprintable() or "\x1b" not in output.getvalue()
    return status, seconds


@pytest.fixture(scope="module")
def whole(pristine, tmp_path_factory):
    """A workplace with one whole run beside the damaged one."""
    folder = tmp_path_factory.mktemp("workplace")
    with in_folder(folder):
        made("whole", predicted=np.arange(IMAGES) % 10)
        overview._default.cache_clear()
    return folder


def check_runs(pristine, whole, name, instead):
    with in_folder(whole):
        restore(tracking.place(COMPETITION, "mine").folder, pristine, name, instead)
        status, seconds = check_command(runs.main)
        assert status == 0
        assert seconds < SECONDS
        frame = runs.table()
        assert "whole" in set(frame["name"]), "a damaged run hides the others"
        _, seconds = check_command(runs.main, "--compare", "whole", "mine")
        assert seconds < 5 * SECONDS


@settings(few, max_examples=25)
@given(data=st.data())
def test_runs_shows_the_others_beside_a_damaged_one(pristine, whole, data):
    check_runs(pristine, whole, *data.draw(damage(pristine)))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(many, max_examples=500)
@given(data=st.data())
def test_runs_beside_many_damaged_ones(pristine, whole, data):
    check_runs(pristine, whole, *data.draw(damage(pristine)))


@few
@given(
    st.lists(
        st.one_of(
            st.text(max_size=30), st.sampled_from(["--sort", "--csv", "--compare", "name", "../../x", "*[", "-", "--"])
        ),
        max_size=4,
    )
)
def test_any_flags_of_runs_end_with_a_status(whole, texts):
    texts = [text for text in texts if "/" not in text and text.strip(".")]  # files that are written stay in the folder
    with in_folder(whole):
        check_command(runs.main, *texts)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A workplace with two runs on the same data, and the files of one of them."""
    dataset = loaders.load(COMPETITION, "sample", limit=200)
    asked = config().model_copy(update={"data": dataset.record()})
    folder = tmp_path_factory.mktemp("trained")
    with in_folder(folder):
        for name, wrong in (("whole", 3), ("mine", 4)):
            labels = dataset.train_labels.astype(int)
            labels[::wrong] = (labels[::wrong] + 1) % 10
            run = made(name, asked, labels, epochs=3, validation_images=200)
            run.write_array("test", np.full((len(dataset.test_ids), 10), 0.1, np.float32))
        return folder, Pieces({path.name: path.read_bytes() for path in run.folder.resolve().iterdir()})


@contextlib.contextmanager
def quick():
    """Without figures and reports, and with the sample drawn only once."""
    with (
        mock.patch.object(tracking.Run, "write_figure", lambda run, name, figure: run.figures / name),
        mock.patch.object(report, "write", lambda evaluation: evaluation.run.folder / "report.html"),
        mock.patch.object(loaders, "_load", functools.cache(loaders._load)),
    ):
        yield


COMMANDS = ((evaluate.main, ["mine"]), (ensemble.main, ["mine", "whole", "--name", "joined"]))
PREDICTING = ((predict.main, ["mine"]), (predict.main, ["mine", "--tta"]))


def check_commands(folder, pieces, name, instead, commands=COMMANDS):
    with in_folder(folder):
        run = tracking.place(COMPETITION, "mine")
        for main, arguments in commands:
            restore(run.folder, pieces, name, instead)
            for made_before in ("joined", "mine-tta"):
                shutil.rmtree(tracking.place(COMPETITION, made_before).folder, ignore_errors=True)
            check_command(main, *arguments)


@settings(few, max_examples=15)
@given(data=st.data())
def test_commands_end_well_with_a_damaged_run(trained, data):
    with quick():
        check_commands(*trained, *data.draw(damage(trained[1])))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(many, max_examples=500)
@given(data=st.data())
def test_commands_end_well_with_many_damaged_runs(trained, data):
    with quick():
        check_commands(*trained, *data.draw(damage(trained[1])))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(many, max_examples=60)
@given(data=st.data())
def test_commands_with_networks_and_figures_end_well_with_damaged_runs(trained, data):
    folder, pieces = trained
    pieces = Pieces({**pieces, "fold-0.keras": _digit_network(folder)})
    check_commands(folder, pieces, *data.draw(damage(pieces)), COMMANDS + PREDICTING)


@functools.cache
def _digit_network(folder):
    """The file of an untrained network of digits."""
    from kit import zoo

    zoo.build("lenet_small", (28, 28, 1), 10).save(folder / "network.keras")
    return (folder / "network.keras").read_bytes()


# --- recipes and plans

TOKENS = st.sampled_from(
    ["<<: *a", "&a", "*a", "- ", "? ", ": ", "{", "}", "[", "]", "!!int ''", "!!python/name:os.system", "epochs: true",
     "\t", "seeds: 1000000000", "extends: fast", "members:", "  x: {model: fast_cnn}", "options: {width: 8}",
     "folds: 3", "epochs: 1e400", "learning_rate: .nan", "model: ../../x", "---", "method: stack", "weights: '\x07'",
     "\ufeff", "1: 2", "unfreeze: 0x" + "f" * 5000, "seed: 1:1:1", "2001-99-99: 1", "self: 1", "null: 1",
     "epochs: " + "9" * 400, "devices: " + "a" * 5000, "method: " + "b" * 5000, "seeds: 0x" + "f" * 5000]
)  # fmt: skip
SHIPPED = sorted(recipes.folder(COMPETITION).glob("*.yaml"))


@st.composite
def texts(draw):
    """A recipe or a plan as people write it, with lines lost, changed or doubled; or any text."""
    if not draw(st.integers(0, 4)):
        return draw(st.text(max_size=200))
    lines = draw(st.sampled_from(SHIPPED)).read_text(encoding="utf-8").splitlines()
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines)))
        kind = draw(st.sampled_from(["token", "lose", "double", "join", "value"]))
        if kind == "token":
            lines.insert(at, draw(TOKENS))
        elif kind == "lose":
            del lines[at : at + 1]
        elif kind == "double":
            lines[at:at] = lines[at : at + 2]
        elif kind == "join":
            lines[at : at + 2] = ["".join(lines[at : at + 2])]
        elif at < len(lines):
            lines[at] = f"{lines[at].partition(':')[0]}: {draw(st.one_of(TOKENS, st.text(max_size=9)))}"
    return "\n".join(lines)


def check_recipe_file(text, folder):
    path = folder / "mine.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    outcome(yaml_files.parse, text, "mine.yaml")
    flags = {"epochs": "2"}
    for more in ({}, flags):
        recipe, error = outcome(recipes.resolve, COMPETITION, path, more)
        assert isinstance(recipe, Recipe) or "mine.yaml" in error or more
    for seeds in (None, 2):
        planned, _ = outcome(plan.resolve, COMPETITION, path, flags, seeds)
        assert planned is None or len(planned.members) >= 2


@few
@given(texts())
def test_any_text_is_a_recipe_a_plan_or_one_line(folder, text):
    check_recipe_file(text, folder)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@many
@given(texts())
def test_many_texts(folder, text):
    check_recipe_file(text, folder)


@few
@given(st.dictionaries(st.one_of(st.sampled_from(sorted(Recipe.model_fields)), st.just("self")), NASTY, max_size=3))
def test_any_fields_are_a_recipe_or_one_line(fields):
    recipe, _ = outcome(lambda: Recipe(**fields))
    if recipe is not None:
        assert Recipe(**recipe.as_dict()) == recipe


@few
@given(st.text(max_size=300), st.sampled_from(competitions.names()))
def test_any_name_is_a_run_a_recipe_or_one_line(whole, name, competition):
    with in_folder(whole):
        for read in (
            lambda: tracking.find(name),
            lambda: tracking.place(competition, name),
            lambda: recipes.resolve(competition, name),
            lambda: recipes.resolve(competition, None, {"model": name}),
            lambda: runs.table(pattern=name),
        ):
            outcome(read)


# --- competitions' facts

PACKAGED = sorted(competitions.folders.packaged().glob("*/competition.yaml"))


@st.composite
def facts(draw):
    """A competition's file as people write it, with values or bytes changed."""
    content = draw(st.sampled_from(PACKAGED)).read_bytes()
    return draw(st.one_of(changed_bytes(content), changed_value(yaml.safe_load(content)).map(as_yaml)))


@contextlib.contextmanager
def own_configs(folder):
    shutil.rmtree(folder, ignore_errors=True)
    with mock.patch.dict(os.environ, {"KIT_CONFIGS": str(folder)}):
        yield


def check_facts(folder, content, name):
    with own_configs(folder):
        path = folder / name / "competition.yaml"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        found, error = outcome(competitions.read, path)
        same, error_by_name = outcome(competitions.get, name)
        assert bool(error) == bool(error_by_name)
        assert found == same
        if found is not None:
            assert found.classes >= 2
            assert all(found.columns)
        else:
            assert "competition.yaml" in error
        outcome(recipes.resolve, name)


@few
@given(content=facts(), name=st.sampled_from(["mine", "cifar-10", "facts", "folders"]))
def test_any_facts_are_a_competition_or_one_line(folder, content, name):
    check_facts(folder / "facts", content, name)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@many
@given(content=facts(), name=st.sampled_from(["mine", "cifar-10", "digit-recognizer"]))
def test_many_facts(folder, content, name):
    check_facts(folder / "facts", content, name)


@pytest.mark.parametrize("name", ["facts", "folders"])
def test_a_competition_may_be_called_as_a_module_of_the_kit(folder, name):
    content = yaml.safe_load((competitions.folders.packaged() / "digit-recognizer" / "competition.yaml").read_text())
    check_facts(folder / "facts", as_yaml({**content, "name": name}), name)


@few
@given(st.one_of(st.text(min_size=1, max_size=30), st.sampled_from(["100%", "\x1b[2J", "a b", "%(prog)s", "\udcff"])))
def test_folders_of_any_name_do_not_reach_help(folder, name):
    with own_configs(folder / "named"):
        path = folder / "named" / name
        with contextlib.suppress(OSError, ValueError):
            path.mkdir(parents=True)
            (path / "competition.yaml").touch()
        check_command(ensemble.main, "--help")
        assert all(one.isascii() for one in competitions.names())


# --- records of what was pushed to Kaggle

SESSION = {
    "id": "0123456789abcdef", "owner": "someone", "slug": "kit-mine-01234567", "version": 1, "accelerator": "t4x2",
    "time": "2026-11-24T12:00:00+00:00", "seconds": 3600, "state": "sent", "sha256": None,
}  # fmt: skip
RECORD = {
    "runs": ["mine"], "arguments": ["--name", "mine"], "recipe": "epochs: 1\n", "data_dir": "/data",
    "sessions": [SESSION],
}  # fmt: skip


@st.composite
def records(draw):
    """A run's `remote.json` with values or bytes changed, those of its session more often."""
    content = json.dumps(RECORD).encode()
    of_session = changed_value(SESSION).map(lambda session: as_json({**RECORD, "sessions": [session]}))
    places = PLACES if sys.platform != "win32" else PLACES[:1]
    return draw(
        st.one_of(changed_bytes(content), changed_value(RECORD).map(as_json), of_session, st.sampled_from(places))
    )


def check_record(folder, content):
    with in_folder(folder):
        shutil.rmtree(tracking.RUNS, ignore_errors=True)
        for name in ("mine", "other"):
            run = tracking.place(COMPETITION, name)
            run.folder.mkdir(parents=True)
            (run.folder / run.REMOTE).write_bytes(as_json(RECORD))
        run = tracking.place(COMPETITION, "mine")
        if isinstance(content, str):
            put(run.folder / run.REMOTE, content)
        else:
            (run.folder / run.REMOTE).write_bytes(content)
        found, _ = outcome(record.read, run)
        if found is not None:
            assert abs(found.last.age) < 1e12
            assert found.last.kernel.url.isprintable()
        kaggle = mock.Mock(status=lambda kernel: None)
        lines, error = outcome(following.overview, kaggle, None)
        assert not error
        assert any("other" in line for line in lines), "a damaged record hides the others"
        outcome(record.find, "mine")
        for read in (lambda: run.state, lambda: runs.table()):
            outcome(read)


@few
@given(records())
def test_any_record_is_read_or_one_line_and_hides_no_other(folder, content):
    check_record(folder, content)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@many
@given(records())
def test_many_records(folder, content):
    check_record(folder, content)
