"""Recipes: fields, files, `extends`, flags, and what is refused."""

import argparse

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kit import zoo
from kit.errors import UserError
from kit.recipes import Recipe, files, flags, plan, resolve
from kit.recipes.recipe import FIELDS

DIGITS = "digit-recognizer"
SHIPPED = sorted(
    set(files.folder(DIGITS).parent.glob("*/*.yaml")) - set(files.folder(DIGITS).parent.glob("*/competition.yaml"))
)


def written(folder, name, content):
    path = folder / name
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return str(path)


def test_flags_win_over_the_file_and_the_file_over_the_defaults(tmp_path):
    config = written(
        tmp_path, "mine.yaml", "model: digit_cnn\nepochs: 7\nlearning_rate: 1e-3\nshift: 2\noptions: {width: 8}\n"
    )
    recipe = resolve(DIGITS, config, {"epochs": 3, "options": {"width": 4}})
    assert (recipe.model, recipe.epochs, recipe.shift, recipe.learning_rate) == ("digit_cnn", 3, 2.0, 0.001)
    assert recipe.options == {"width": 4}
    assert resolve(DIGITS, config, {"model": "lenet_small"}).options == {}, "they were another network's"


def test_a_file_is_complete_in_itself(tmp_path):
    """The network's own recipe has other values for nearly all of it."""
    recipe = resolve(DIGITS, written(tmp_path, "mine.yaml", {"model": "fast_cnn", "epochs": 3}))
    assert recipe == Recipe(model="fast_cnn", epochs=3)


def test_without_a_file_the_network_has_its_own_recipe():
    own = yaml.safe_load((files.folder(DIGITS) / "lenet_small.yaml").read_text(encoding="utf-8"))
    assert resolve(DIGITS, None, {"model": "lenet_small"}) == Recipe(**own)
    assert resolve(DIGITS, None, {"model": "cnn6"}) == Recipe(model="cnn6")


def test_a_recipe_may_extend_another_by_name_or_file(tmp_path):
    written(tmp_path, "base.yaml", {"extends": "fast", "epochs": 5, "options": {"width": 8}})
    config = written(tmp_path, "mine.yaml", {"extends": "base.yaml", "shift": 3, "options": {"depth": 2}})
    recipe = resolve(DIGITS, config)
    fast = resolve(DIGITS, "fast")
    assert (recipe.learning_rate, recipe.epochs, recipe.shift) == (fast.learning_rate, 5, 3)
    assert recipe.options == {"width": 8, "depth": 2}
    loop = written(tmp_path, "loop.yaml", "extends: loop.yaml\n")
    for bad in (
        loop,
        written(tmp_path, "lost.yaml", "extends: nowhere\n"),
        written(tmp_path, "odd.yaml", "extends: [1]\n"),
    ):
        with pytest.raises(UserError, match="extends"):
            resolve(DIGITS, bad)


def test_merge_keys_work(tmp_path):
    config = written(tmp_path, "mine.yaml", "options: &base {width: 4}\n<<: {epochs: 3, shift: 1}\nshift: 2\n")
    recipe = resolve(DIGITS, config)
    assert (recipe.epochs, recipe.shift, recipe.options) == (3, 2, {"width": 4})


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_recipe_of_the_kit_is_one(path):
    assert path.read_text(encoding="utf-8").startswith("# python -m kit."), "a recipe opens with its command"
    planned = plan.resolve(path.parent.name, str(path), {}, None)
    for recipe in planned.members.values() if planned else [resolve(path.parent.name, str(path))]:
        zoo.find(recipe.model)
        assert Recipe(**recipe.as_dict()) == recipe
        assert path.stem not in zoo.names() or recipe.model == path.stem


BAD = [
    {"epoch": 3},
    {"epochs": 0},
    {"epochs": 2.5},
    {"epochs": True},
    {"epochs": None},
    {"learning_rate": "fast"},
    {"learning_rate": float("nan")},
    {"learning_rate": float("inf")},
    {"optimizer": "adamx"},
    {"validation_share": 1.5},
    {"folds": 1},
    {"held_out_share": 0.1},
    {"tta": "yes"},
    {"tta": 1},
    {"options": 3},
    {"devices": "two"},
    {"devices": "0"},
    {"seed": -1},
    {"validation_share": 0, "tta": True},
    {"validation_share": 0, "patience": 1},
    {"validation_share": 0, "checkpoint": "best"},
    {"model": [1]},
]


@pytest.mark.parametrize("fields", BAD, ids=str)
def test_what_makes_no_sense_is_refused_in_one_line_that_names_the_field(fields):
    with pytest.raises(UserError) as error:
        Recipe(**fields)
    assert "\n" not in str(error.value)
    assert any(name in str(error.value) for name in fields)


ROUGH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), ROUGH, max_size=4))
def test_any_value_makes_a_recipe_or_one_line(fields):
    try:
        recipe = Recipe(**fields)
    except UserError:
        return
    assert Recipe(**recipe.as_dict()) == recipe


def test_a_copy_is_checked_like_a_new_one():
    recipe = Recipe(epochs=4)
    assert recipe.replace(shift=1).differences(recipe) == {"shift": (1.0, 0.0)}
    with pytest.raises(UserError):
        recipe.replace(folds=1)
    with pytest.raises(Exception, match="frozen"):
        recipe.epochs = 3


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "- a\n- b\n",
            "epochs: [",
            "just words",
            "!!python/object/apply:os.system ['true']",
            "epochs: 1\nepochs: 2\n",
        ),
        *(
            "? [a, b]\n: 1\n",
            "options: " + "{a: " * 3000 + "1" + "}" * 3000,
            BOMB,
            "options: &a [*a]\n",
            "epochs: 2001-99-99\n",
        ),
    ],
    ids=range(10),
)
def test_a_file_that_is_not_a_recipe_is_named(tmp_path, text):
    path = written(tmp_path, "bad.yaml", text)
    with pytest.raises(UserError, match=r"bad\.yaml"):
        resolve(DIGITS, path)


def test_what_is_not_a_file_of_text_is_named(tmp_path):
    import os

    (tmp_path / "latin.yaml").write_bytes(b"model: \xff\xfe")
    (tmp_path / "folder.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    with (tmp_path / "huge.yaml").open("wb") as file:
        file.truncate(20 << 30)
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    for name in ("latin", "folder", "pipe", "huge", "loop", "n" * 300):
        with pytest.raises(UserError, match=name[:50]):
            resolve(DIGITS, str(tmp_path / f"{name}.yaml"))


def test_a_plan_is_not_a_recipe_and_a_missing_one_names_its_neighbour(tmp_path):
    with pytest.raises(UserError):
        resolve(DIGITS, written(tmp_path, "top.yaml", "members: {a: {model: fast_cnn}}\n"))
    with pytest.raises(UserError, match=r"Did you mean .*top\.yaml\?"):
        resolve(DIGITS, str(tmp_path / "tpo.yaml"))
    with pytest.raises(UserError, match=r"Did you mean fast\?"):
        resolve(DIGITS, "fats")


def test_every_field_has_a_flag_that_reaches_it():
    parser = argparse.ArgumentParser()
    flags.add_flags(parser)
    assert flags.given(parser.parse_args([])) == {}
    given_flags = flags.given(
        parser.parse_args(["--epochs", "3", "--tta", "--options", "width=8", "name=x", "--flip", "random"])
    )
    assert given_flags == {"epochs": "3", "tta": True, "options": {"width": 8, "name": "x"}, "flip": "random"}
    assert Recipe(**given_flags).epochs == 3
    text = parser.format_help()
    assert all(f"--{name.replace('_', '-')}" in text for name in FIELDS)
    with pytest.raises(SystemExit):
        parser.parse_args(["--options", "a=[1"])
