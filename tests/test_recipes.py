import argparse
import dataclasses

import pytest
import yaml

from kit import zoo
from kit.errors import UserError
from kit.recipes import plan, recipe
from kit.recipes.recipe import Recipe


def test_later_layers_win(tmp_path):
    config = tmp_path / "mine.yaml"
    config.write_text("epochs: 7\nlearning_rate: 1e-3\nshift: 2\noptions: {width: 8}\n")
    made = recipe.resolve("digit-recognizer", str(config), {"model": "digit_cnn", "epochs": 3, "options": {"width": 4}})
    assert (made.model, made.epochs, made.shift, made.learning_rate) == ("digit_cnn", 3, 2.0, 0.001)
    assert made.options == {"width": 4}


def test_the_networks_own_recipe_is_the_base():
    own = yaml.safe_load((recipe.CONFIGS / "digit-recognizer" / "lenet_small.yaml").read_text(encoding="utf-8"))
    made = recipe.resolve("digit-recognizer", None, {"model": "lenet_small"})
    assert made.epochs == own["epochs"] != Recipe.epochs


@pytest.mark.parametrize(
    "path", sorted(recipe.CONFIGS.glob("*/*.yaml")), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_every_recipe_of_the_kit_is_one(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# python -m kit."), "a recipe opens with its command"
    fields = yaml.safe_load(text)
    assert fields.keys() & {"model", "members"}, "with --config it would be the default network's"
    assert fields.get("model", path.stem) == path.stem or path.stem not in zoo.names()
    planned = plan.given(path.parent.name, str(path), {}, None)
    members = planned.members.values() if planned else [recipe.from_dict(recipe.read(path))]
    for made in members:
        assert recipe.from_dict(made.as_dict()) == made


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"epoch": 3}, "Did you mean epochs?"),
        ({"epochs": 0}, "epochs: 0 must be 1 or more"),
        ({"epochs": 2.5}, "epochs: 2.5 is not a whole number"),
        ({"learning_rate": "fast"}, "learning_rate: 'fast' is not a number"),
        ({"learning_rate": float("nan")}, "learning_rate: nan must be"),
        ({"optimizer": "adamx"}, "Did you mean adam?"),
        ({"validation_share": 1.5}, "validation_share: 1.5 must be between 0 and 0.9"),
        ({"folds": 1}, "folds: 1 is no cross-validation"),
        ({"held_out_share": 0.1}, "held_out_share: images are left out of folds only"),
        ({"tta": "yes"}, "tta: 'yes' is not true or false"),
        ({"options": 3}, "options: 3 is not a mapping"),
        ({"devices": "two"}, "devices: 'two' is neither auto nor a number"),
        ({"seed": -1}, "seed: -1 must be between"),
    ],
)
def test_what_makes_no_sense_is_said(fields, words):
    with pytest.raises(UserError) as error:
        recipe.from_dict(fields)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["- a\n- b\n", "epochs: [", "just words", "!!python/object/apply:os.system ['true']"])
def test_a_file_that_is_no_recipe_is_named(tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"bad\.yaml"):
        recipe.read(path)


def test_a_plan_is_no_recipe(tmp_path):
    path = tmp_path / "top.yaml"
    path.write_text("members: {a: {model: fast_cnn}}\n")
    with pytest.raises(UserError, match="is a plan of several trainings"):
        recipe.resolve("digit-recognizer", str(path))


def test_a_missing_file_names_its_neighbour(tmp_path):
    (tmp_path / "fast.yaml").write_text("epochs: 1\n")
    with pytest.raises(UserError, match=r"Did you mean fast\.yaml\?"):
        recipe.read(tmp_path / "fats.yaml")


def test_every_field_has_a_flag_that_reaches_it():
    parser = argparse.ArgumentParser()
    recipe.add_flags(parser)
    assert recipe.flags_given(parser.parse_args([])) == {}
    given = parser.parse_args(["--epochs", "3", "--tta", "--options", "width=8", "name=x", "--flip", "random"])
    assert recipe.flags_given(given) == {
        "epochs": 3,
        "tta": True,
        "options": {"width": 8, "name": "x"},
        "flip": "random",
    }
    words = parser.format_help()
    for setting in dataclasses.fields(Recipe):
        assert f"--{setting.name.replace('_', '-')}" in words
