# make run and make test set themselves up; the second run of each reuses what the first installed.
PYTHON ?= python3
BIN := .venv/bin
# Many tests wait more than they compute: twice the cores of the gate's machine.
WORKERS ?= 4
# Tests start hundreds of processes: each would compile every module anew.
export PYTHONDONTWRITEBYTECODE :=
# Debian 12 and 13.
PYTHONS ?= 3.11 3.13
UV ?= $(BIN)/uv
COMPILE = $(UV) pip compile setup.cfg -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	--group build --extra postgres --extra speed --extra sso

.PHONY: run test browser screenshots lint types contracts bench faults docs site wheel wheelhouse compiled lock locks renew clean

run: .venv/run.ready ## the whole product on embedded defaults
	@began=$$(date +%s) && $(BIN)/carebell demo && echo "make run: $$(( $$(date +%s) - began )) s"

test: .venv/dev.ready ## every test
	@began=$$(date +%s) && $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS) && echo "make test: $$(( $$(date +%s) - began )) s"

browser: ## the portal's pages in a real browser; needs Debian's chromium, or CAREBELL_CHROMIUM=/path/to/chromium
	@sh .ci/find-chromium >/dev/null
	@$(MAKE) --no-print-directory .venv/browser.ready
	$(BIN)/python -m pytest -n 2 --dist loadfile -m browser tests/browser tests/test_set_up.py $(ARGS)

screenshots: ## the pictures of docs/images, taken anew; needs what `make browser` needs
	@sh .ci/find-chromium >/dev/null
	@$(MAKE) --no-print-directory .venv/browser.ready
	$(BIN)/python -m tests.browser.screenshots

lint: .venv/dev.ready
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: .venv/dev.ready
	$(BIN)/mypy

contracts: .venv/dev.ready ## imports run one way
	$(BIN)/lint-imports --config setup.cfg

bench: .venv/dev.ready ## beside other servers, in one run; results in benchmarks/results
	$(BIN)/python -m benchmarks $(ARGS)

faults: .venv/dev.ready ## every fault of docs/explanation/promises.md, the full counts
	$(BIN)/python -m tests.faults $(ARGS)

docs: .venv/dev.ready ## the generated pages of docs/reference
	$(BIN)/python -m docs.generate

site: .venv/dev.ready ## docs/ as a site in build/site; searchable, without a network
	$(BIN)/python -m sphinx -q -W --keep-going -b html -c docs/site docs build/site && echo "build/site/index.html"

wheel: .venv/dev.ready
	rm -rf build dist && $(BIN)/python -m build --wheel --no-isolation --outdir dist . >/dev/null && ls dist

wheelhouse: wheel ## what a machine without a network installs from, in dist/wheelhouse; PYTHONS="3.11 3.13" by default
	sh .ci/wheelhouse dist/wheelhouse requirements.lock $(PYTHONS)

compiled: .venv/dev.ready ## the same product, its busiest modules compiled by mypyc: a wheel, and .compiled/bin/carebell (docs/how-to/compiled.md)
	@sh .ci/compile && sh .ci/set-up-compiled

lock: .venv/dev.ready ## the lock files from setup.cfg, keeping the versions that they name
	$(MAKE) locks

locks:
	$(COMPILE) $(UPGRADE) --extra test --extra dev -o requirements-dev.lock
	$(COMPILE) $(UPGRADE) -c requirements-dev.lock -o requirements.lock
	$(COMPILE) $(UPGRADE) -c requirements-dev.lock --extra test --extra dev --extra browser -o requirements-browser.lock

renew: ## every dependency's newest release that setup.cfg allows, then the whole gate; needs nothing of the present locks
	rm -rf build/renew && $(PYTHON) -m venv build/renew
	build/renew/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.8'
	$(MAKE) locks UPGRADE=--upgrade UV=build/renew/bin/uv
	bash .ci/run
	@git --no-pager diff --stat -- 'requirements*.lock'
	@echo "The gate is green with these versions: commit the lock files. (To go back: git checkout 'requirements*.lock')"

.venv/run.ready: requirements.lock setup.cfg pyproject.toml
	@PYTHON="$(PYTHON)" sh .ci/set-up requirements.lock && touch $@

.venv/dev.ready: requirements-dev.lock setup.cfg pyproject.toml
	@PYTHON="$(PYTHON)" sh .ci/set-up requirements-dev.lock && touch $@ .venv/run.ready

.venv/browser.ready: requirements-browser.lock setup.cfg pyproject.toml
	@PYTHON="$(PYTHON)" sh .ci/set-up requirements-browser.lock && touch $@ .venv/dev.ready .venv/run.ready

clean:
	rm -rf .venv .compiled build dist
