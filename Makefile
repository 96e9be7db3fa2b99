# Two commands matter: `make demo` shows the product, `make test` proves it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Many short processes: what one has compiled serves the next.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test tests test-long check bench clean
.DELETE_ON_ERROR:

$(VENV)/.run: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing ictus into $(VENV) (once)" >&2
	@$(BIN)/python -m pip install --quiet --editable '.[local,cpu]' >&2
	@touch $@

$(VENV)/.dev: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing ictus and its tools into $(VENV) (once)" >&2
	@$(BIN)/python -m pip install --quiet --no-compile --editable '.[local,cpu,heic,dicom,train,fonts,dev]' >&2
	@touch $@ $(VENV)/.run

demo: $(VENV)/.run
	@$(BIN)/ictus demo $(ARGS)

test: $(VENV)/.dev
	@$(MAKE) --no-print-directory -j 2 check tests

tests: $(VENV)/.dev
	@$(BIN)/pytest -q -n 3 --dist loadfile -m "not long" $(ARGS)

test-long: $(VENV)/.dev
	@$(BIN)/pytest -q -n 3 --dist loadfile $(ARGS)

check: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/deptry .
	@$(BIN)/codespell

bench: $(VENV)/.dev
	@$(BIN)/python -m benchmarks.endtoend $(ARGS)

clean:
	rm -rf .ictus .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
