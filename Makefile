# The commands of README and CONTRIBUTING. Each sets up its own .venv, which makes the first run slow and the next ones quick.
PYTHON ?= python3
BIN := .venv/bin
# Ends after five seconds at the latest, also where a firewall swallows the request.
REACHED := import signal, urllib.request as web; signal.alarm(5); web.urlopen('https://download.pytorch.org/whl/cpu/')

.PHONY: demo test doc-commands fuzz kills lint docs clean

demo: .venv/.pacs
	@echo "Classifying the sample study (a phantom) ..."
	@$(BIN)/dystrophydx classify Resources/SampleStudy --out demo-result --overwrite

# One thread for each of the two processes: more hinder each other and take twice as long on two cores. A file's tests
# stay in one process, which makes what they share once.
test: .venv/.dev
	@echo "Running the tests ..."
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope

# Every command of README and docs, one after the other, the long ones with small numbers.
doc-commands: .venv/.dev
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m doc_commands Testing/Python/test_doc_commands.py

# Damaged files for the library's readers: other ones with SEED=2, and longer with SECONDS=600.
SEED ?= 1
SECONDS ?= 60
fuzz: .venv/.dev
	@OMP_NUM_THREADS=1 $(BIN)/python Testing/Fuzz/fuzz.py --seed $(SEED) --seconds $(SECONDS)

# Kills at random moments; nothing may be lost.
kills: .venv/.dev
	@OMP_NUM_THREADS=1 $(BIN)/python Testing/Fuzz/kills.py reading --kills 1000 --seed $(SEED)
	@OMP_NUM_THREADS=1 $(BIN)/python Testing/Fuzz/kills.py classify --kills 200 --seed $(SEED)

lint: .venv/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# The pages of docs/ as a site, in site/. The library is read, not imported.
docs: .venv/.docs
	@$(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html is the first page."

.venv/bin/uv:
	@echo "Making .venv with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.7,<1"

# PyTorch's own index has a build for every machine; PyPI's build for Linux brings NVIDIA's libraries, needed or not.
.venv/.%: .venv/bin/uv pyproject.toml
	@if { $(BIN)/python -c "$(REACHED)"; } 2>/dev/null; then \
	  backend=--torch-backend=auto; \
	  echo "Installing what '$*' needs: the first time up to 1 GB to download, or 3.6 GB for an NVIDIA GPU ..."; \
	else \
	  backend=; \
	  echo "Installing what '$*' needs: the first time 3.6 GB to download on Linux (download.pytorch.org is out of reach)"; \
	fi; \
	$(BIN)/uv pip install --python $(BIN)/python $$backend --editable ".[$*]"
	@touch $@

clean:
	rm -rf .venv demo-result fuzz-faults site
