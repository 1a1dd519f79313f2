# convexlab: `make demo` opens the quickstart, `make test` passes the tests.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 3
NOTEBOOK ?= notebooks/01_quickstart.ipynb

.PHONY: demo install test check lint types unit deps-browser deps-nginx deps-node bench wheel compiled test-compiled bench-compiled clean

# -- the main job: everything installed, JupyterLab open on the quickstart ---------

demo: $(VENV)/.lab
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) $(NOTEBOOK)

install: $(VENV)/.lab

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip

# What an editable install copies: changed front ends want it made again.
FRONT := hatch_build.py $(wildcard widgets/*.json widgets/*.mjs widgets/src/* widgets/src/*/* widgets/lab/*)

$(VENV)/.lab: pyproject.toml $(FRONT) | $(BIN)/python
	$(BIN)/pip install --quiet --editable ".[lab]"
	touch $@

# -- the tests: what they need, the linters, all suites -----------------------------

test: $(VENV)/.dev deps-node deps-browser deps-nginx check unit

$(VENV)/.dev: pyproject.toml $(FRONT) | $(BIN)/python
	$(BIN)/pip install --quiet --editable ".[dev]"
	touch $@

deps-node: tests/compat/node_modules/.ready widgets/node_modules/.ready

%/node_modules/.ready: %/package-lock.json
	@if command -v npm >/dev/null; then cd $* && npm ci --silent --no-audit --no-fund && touch node_modules/.ready; \
	else echo "npm is not on the PATH: tests of the npm clients will skip"; fi

deps-browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; } \
	  || echo "Chromium is not here and cannot be installed: browser tests will skip"

# Unpacked and not installed: a Debian package of a web server also starts it.
deps-nginx: | $(BIN)/python
	@command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || [ -x $(VENV)/nginx/usr/sbin/nginx ] \
	  || { cd $(VENV) && command -v dpkg-deb >/dev/null \
	  && { apt-get download -qq nginx || { apt-get update -qq && apt-get download -qq nginx; }; } 2>/dev/null \
	  && dpkg-deb -x nginx_*.deb nginx && rm nginx_*.deb; } \
	  || echo "nginx is not here and cannot be fetched: tests behind it will skip"

check: lint types

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/codespell

types:
	$(BIN)/mypy
	@if [ -x widgets/node_modules/.bin/tsc ]; then cd widgets && npm run --silent check; fi

# A third of a test's time is waiting: one process more than a small machine has cores. A
# file stays in one process: its deployment is shared. In their own order: by the number of
# tests, the longest journeys, of one, come last; those of minutes are first (conftest.py).
unit:
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

# -- figures -------------------------------------------------------------------------

bench: $(VENV)/.dev
	$(BIN)/python -m tests.benchmarks $(ARGS)

# -- wheels ----------------------------------------------------------------------------

# A wheel with a compiled engine for this platform and this Python (hatch_build.py);
# without a C compiler, or by `make wheel CONVEXLAB_COMPILE=`, of pure Python for any.
CONVEXLAB_COMPILE ?= try

wheel: | $(BIN)/python
	CONVEXLAB_COMPILE=$(CONVEXLAB_COMPILE) $(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

# An environment with the compiled wheel; what it stands on is the other one's.
COMPILED := $(VENV)/compiled

compiled: $(VENV)/.dev
	rm -rf $(COMPILED) && mkdir -p $(COMPILED)
	CONVEXLAB_COMPILE=1 $(BIN)/pip wheel --quiet --no-deps --wheel-dir $(COMPILED)/wheel .
	$(BIN)/python -m venv --without-pip $(COMPILED)/env
	$(BIN)/pip --python $(COMPILED)/env/bin/python install --quiet --no-deps $(COMPILED)/wheel/convexlab-*.whl
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
	  > "$$($(COMPILED)/env/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/beneath.pth"
	$(COMPILED)/env/bin/convexlab --version

# What the compiled modules serve, against them: about ten minutes.
test-compiled: compiled
	$(COMPILED)/env/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder \
	  tests/engine tests/functions tests/sync tests/journeys/test_crash* \
	  tests/followers/test_intervals.py tests/followers/test_subscriptions.py \
	  tests/web/test_again.py tests/web/test_repeated.py $(ARGS)

bench-compiled: compiled
	$(COMPILED)/env/bin/python -m tests.benchmarks $(ARGS)

clean:
	rm -rf $(VENV) tests/compat/node_modules widgets/node_modules
