# Everything runs in .venv, which `make install` makes; each target installs what it needs.
# The runtime's tests run a second time in .venv-runtime, which is what a device has: neither PyTorch nor onnx.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
RUNTIME := .venv-runtime

.PHONY: install quickstart test test-runtime lint docs format clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml deploy/pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check -c constraints.txt -e ./deploy -e '.[cpu,test]'
	touch $@

quickstart: install
	$(BIN)/edgekd quickstart

test: install test-runtime
	$(BIN)/python -m pytest -n auto --dist loadfile --durations 25

test-runtime: $(RUNTIME)/.installed
	$(RUNTIME)/bin/python -m pytest -q tests/runtime

$(RUNTIME)/.installed: deploy/pyproject.toml constraints.txt $(shell find deploy/edgekd_runtime -name '*.py')
	$(PYTHON) -m venv $(RUNTIME)
	$(RUNTIME)/bin/pip install --disable-pip-version-check -c constraints.txt './deploy[onnxruntime,test]'
	touch $@

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python .ci/typecheck_tensorrt.py
	$(BIN)/lint-imports
	$(MAKE) docs

docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir .site

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv $(RUNTIME) .site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
