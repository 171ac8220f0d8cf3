"""The settings of one training and of several: the recipe, its files and flags, and plans.

Recipe(model="fast_cnn", epochs=4)                the settings of one training, checked
resolve("digit-recognizer", "fast", {…})          a recipe by name or file, with some fields changed
plan.given(…)                                     several trainings and how they are joined
"""

from kit.recipes import plan
from kit.recipes.files import folder, names, resolve
from kit.recipes.recipe import Recipe

__all__ = ["Recipe", "folder", "names", "plan", "resolve"]
