# make demo        environment, install, train resnet_small, write a submission CSV
# make test        the tests, on data of their own
# make notebooks   the notebooks from notebooks/src, with badges to this repository
# demo and test work in a fresh clone with nothing but python3 (3.11 or newer) and make.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test slow-test notebooks lint clean

demo: .venv/installed
	$(BIN)/python -m kit.train --model resnet_small

test: .venv/installed-for-tests
	$(BIN)/python -m pytest -n auto --dist loadfile

slow-test: .venv/installed-for-tests
	$(BIN)/python -m pip install --quiet jax
	$(BIN)/python -m pytest -m slow

notebooks: .venv/installed-for-tests
	$(BIN)/python -m notebooks.build

lint: .venv/installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is too old: the kit needs Python 3.11 or newer. Try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	@$(PYTHON) -m venv .venv || \
	  { rm -rf .venv; echo "$(PYTHON) cannot make environments. On Debian and Ubuntu: sudo apt install python3-venv"; exit 2; }

# The stamps are written last, so that an interrupted installation is done again, and a finished one is not.
.venv/installed: requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/installed-for-tests: tests/requirements.txt .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

clean:
	rm -rf .venv .pytest_cache .ruff_cache
