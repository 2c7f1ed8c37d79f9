# Needs: make, Python 3.11 or newer with venv, and a package registry. Everything is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-engines browser lint mutants mutation figures tutorials screenshots bench bench-gpu draws soak clean

demo: .venv/base
	@$(BIN)/logitherm generate "Once upon a time there was a little girl who" --max-new-tokens 60 --seed 7 --echo
	@echo
	@$(BIN)/logitherm explain "The cat slept on the" -r "temperature(0.7) | top_p(0.5)" --seed 3

test: .venv/dev browser lint
	$(BIN)/python -m pytest -n auto --dist loadgroup

# The page is tested in a real Chromium: Debian's, or any other that CHROMIUM=PATH names.
browser:
	@test -n "$$CHROMIUM" || command -v chromium chromium-browser >/dev/null || \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core; } || \
	  { echo "the tests of the page need Chromium: install it, or CHROMIUM=PATH make test" >&2; exit 1; }

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Breaks the code in one place after another and demands that the tests notice.
mutants: .venv/dev
	$(BIN)/python tests/mutants.py

# Changes every operator and number of the rules, one at a time, and lists what no test notices. ARGS=dry: one file.
mutation: .venv/dev
	$(BIN)/python -m tests.mutation $(ARGS)

# Compares the rules with other engines, in an environment of its own; llama.cpp may have to be built first, which
# takes a C++ compiler and some minutes.
test-engines: .venv-engines/ready
	.venv-engines/bin/python -m pytest tests/engines

.venv-engines/ready: pyproject.toml
	test -x .venv-engines/bin/python || $(PYTHON) -m venv .venv-engines
	.venv-engines/bin/python -m pip install --quiet --editable '.[engines]'
	touch $@

# Remakes the pictures in docs/, and the outputs that its pages show.
figures: .venv/dev
	$(BIN)/python -m docs.figures
	$(BIN)/python docs/outputs.py

# Runs the tutorial notebooks and keeps their outputs.
tutorials: .venv/dev
	$(BIN)/python docs/notebooks.py $(ARGS)

# Remakes the pictures of the playground and of the widgets in docs/figures; all of them are in build/screenshots.
screenshots: .venv/dev browser
	$(BIN)/python -m docs.screenshots

.venv/base: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Logitherm needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/dev: .venv/base
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

# Times sampling against its peers and writes docs/performance.md in 15 to 25 minutes, and goes on where it was
# broken off. ARGS=--quick: the targets alone, in one or two. llama.cpp takes part where llama-cpp-python is
# installed into .venv.
bench: .venv/dev
	$(BIN)/python -m benchmarks $(ARGS)

# Ten million random draws by the kernel against float64; prints how many differ.
draws: .venv/dev
	$(BIN)/python -m tests.kernels.draws

# Ten minutes of bad treatment for the playground's server; prints what came of it.
soak: .venv/dev
	$(BIN)/python -m tests.playground.soak

# Times one step on a graphics card; says so where there is none.
bench-gpu: .venv/dev
	$(BIN)/python -m benchmarks.bench_gpu

clean:
	rm -rf .venv .venv-engines build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
