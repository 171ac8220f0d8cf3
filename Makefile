# make demo        environment, install, train resnet_small, write a submission CSV
# make workshop    the notebooks in Jupyter Lab
# make test        the tests, on data of their own
# make lint        style, formatting, the layers of imports, types
# make notebooks   the notebooks from notebooks/src and the tables of docs/, with links to this repository
# demo, workshop and test work in a fresh clone with nothing but python3 (3.11 or newer) and make.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# uv installs in half of pip's time; where it cannot be had or cannot reach the packages, pip takes over.
# Compiled once, modules need not be compiled at every start of a process that imports them.
install = { $(PIP) uv && \
	  $(BIN)/python -m uv pip install --quiet --compile-bytecode --python $(BIN)/python $(1); } 2>/dev/null || $(PIP) $(1)

.PHONY: demo workshop test slow-test notebooks lint check-constraints wheel clean

demo: .venv/installed
	$(BIN)/python -m kit.train --model resnet_small

workshop: .venv/installed-for-workshop
	$(BIN)/python -m jupyterlab notebooks/01-networks-from-scratch.ipynb

test: .venv/installed-for-tests
	$(BIN)/python -m pytest -p no:cacheprovider -n auto --dist worksteal

slow-test: .venv/installed-for-tests
	$(call install,jax)
	$(BIN)/python -m pytest -m slow

notebooks: .venv/installed-for-tests
	$(BIN)/python -m notebooks.build
	$(BIN)/python -m docs.build

lint: .venv/installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

# Can requirements.txt be met beside what Colab and Kaggle have installed, and by its own lower bounds?
RESOLVE = $(BIN)/python -m uv pip compile --quiet --no-build requirements.txt --output-file /dev/null
check-constraints: .venv/installed-for-tests
	$(PIP) uv
	$(RESOLVE) --python-version 3.13 --python-platform x86_64-manylinux_2_28 -c tests/constraints-colab.txt
	$(RESOLVE) --python-version 3.12 --python-platform x86_64-manylinux_2_28 -c tests/constraints-kaggle.txt
	$(RESOLVE) --python-version 3.11 --python-platform x86_64-manylinux_2_28 -c tests/constraints-oldest.txt
	@echo "requirements.txt can be met on Colab, on Kaggle and by its lower bounds"

wheel: .venv/installed-for-tests
	$(BIN)/python -m pip wheel --no-deps --wheel-dir dist .

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is too old: the kit needs Python 3.11 or newer. Try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	@$(PYTHON) -m venv .venv || \
	  { rm -rf .venv; echo "$(PYTHON) cannot make environments. On Debian and Ubuntu: sudo apt install python3-venv"; exit 2; }

# The stamps are written last, so that an interrupted installation is done again, and a finished one is not.
.venv/installed: requirements.txt | .venv/bin/python
	$(call install,-r requirements.txt)
	@touch $@

.venv/installed-for-workshop: .venv/installed
	$(call install,jupyterlab)
	@touch $@

.venv/installed-for-tests: requirements.txt tests/requirements.txt | .venv/bin/python
	$(call install,-r requirements.txt -r tests/requirements.txt)
	@touch .venv/installed $@

clean:
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache .import_linter_cache dist
