# make run and make test set themselves up; the second run of each reuses what the first installed.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2

.PHONY: run test lint types contracts bench faults docs wheel lock clean

run: .venv/run.ready ## the whole product on embedded defaults
	@began=$$(date +%s) && $(BIN)/carebell demo && echo "make run: $$(( $$(date +%s) - began )) s"

test: .venv/dev.ready ## every test
	@began=$$(date +%s) && $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS) && echo "make test: $$(( $$(date +%s) - began )) s"

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

wheel: .venv/dev.ready
	rm -rf build dist && $(BIN)/python -m build --wheel --outdir dist . >/dev/null && ls dist

lock: .venv/dev.ready ## renew both lock files from setup.cfg
	$(BIN)/uv pip compile setup.cfg -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group build \
		--extra postgres --extra speed --extra test --extra dev -o requirements-dev.lock
	$(BIN)/uv pip compile setup.cfg -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group build \
		--extra postgres --extra speed -c requirements-dev.lock -o requirements.lock

.venv/run.ready: requirements.lock setup.cfg pyproject.toml
	@PYTHON="$(PYTHON)" sh .ci/set-up requirements.lock && touch $@

.venv/dev.ready: requirements-dev.lock setup.cfg pyproject.toml
	@PYTHON="$(PYTHON)" sh .ci/set-up requirements-dev.lock && touch $@ .venv/run.ready

clean:
	rm -rf .venv build dist
