# The two commands of the README. Each sets up its own .venv, which makes the first run slow and the next ones quick.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint clean

demo: .venv/.viewer
	@echo "Classifying the sample study (a phantom) ..."
	@$(BIN)/dystrophydx classify Resources/SampleStudy --out demo-result --overwrite

# One thread for each of the two processes: more hinder each other and take twice as long on two cores.
test: .venv/.dev
	@echo "Running the tests ..."
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

lint: .venv/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

.venv/bin/uv:
	@echo "Making .venv with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.5,<1"

.venv/.%: .venv/bin/uv pyproject.toml
	@echo "Installing what '$*' needs (PyTorch alone is several GB; minutes on the first run) ..."
	@$(BIN)/uv pip install --python $(BIN)/python --editable ".[$*]"
	@touch $@

clean:
	rm -rf .venv demo-result
