"""What holds for the package as a whole: what importing costs, what is imported, what its names are."""

import ast
import importlib.metadata
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "kit").rglob("*.py"))
# Each is named in the message that asks for it.
OPTIONAL = {"jax", "tensorboard", "torch", "onnxruntime", "ai_edge_litert", "openvino", "nncf", "gradio"}
NOT_ASKED_FOR = {"kit", "kagglesdk", "mpl_toolkits", "google", "IPython", *OPTIONAL, *sys.stdlib_module_names}
"""Parts of packages that are, Colab's and the notebooks' own, and what is optional."""
HEAVY = ("keras", "tensorflow", "jax", "kaggle", "pandas", "sklearn", "matplotlib", "PIL")


def required():
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    return {re.split(r"[<>=]", line)[0].strip().lower().replace("_", "-") for line in lines if line}


def test_what_the_kit_imports_is_asked_for_in_requirements_txt():
    """Not only what comes along with something else today."""
    distributions = importlib.metadata.packages_distributions()
    missing = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module] if isinstance(node, ast.ImportFrom) and not node.level and node.module else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for top in {name.partition(".")[0] for name in names} - NOT_ASKED_FOR:
                known = {one.lower().replace("_", "-") for one in distributions.get(top, [top])}
                if not known & required():
                    missing[top] = path.relative_to(ROOT).as_posix()
    assert not missing


def test_importing_the_kit_imports_nothing_of_it_that_is_not_touched():
    program = (
        "import sys; before = set(sys.modules)\n"
        "import kit; dir(kit)\n"
        "print(*sorted({name for name in set(sys.modules) - before if not name.startswith('kit')}))\n"
        "print(*sorted(name for name in sys.modules if name.startswith('kit')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    others, own = done.stdout.splitlines()
    assert not set(others.split()) & set(HEAVY)
    assert set(own.split()) == {"kit", "kit.interrupts", "kit.lazy_imports"}


@pytest.mark.parametrize("where", ["elsewhere", "beside the checkout"])
def test_a_checkout_on_the_path_works_from_any_folder(tmp_path, where):
    """Also beside a checkout that is called `kit`, where Python meets a folder of that name first."""
    (tmp_path / "kit").symlink_to(ROOT)
    folder = tmp_path if where == "beside the checkout" else tmp_path.parent
    program = "import kit.recipes; print(kit.recipes.resolve('digit-recognizer').epochs)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "kit")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_every_command_is_listed_by_python_m_kit():
    from kit import __main__

    commands = {
        path.parent.name if path.name == "__main__.py" else path.stem
        for path in SOURCES
        if (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").startswith("python -m kit.")
    }
    assert commands == set(__main__.ORDER)
