# lhsm-azblob: `make demo` shows the main job, `make test` proves it.
# Everything that a target needs beyond Go, gcc, make and Node it installs itself, below build/.

SHELL   := /bin/bash
GO      ?= go
BUILD   := $(CURDIR)/build
BIN     := $(BUILD)/bin
TOOLS   := $(BUILD)/tools
AZURITE := $(BUILD)/azurite/installed
PACKAGES := $(BUILD)/packages
# Where the packages are put together.
PACKAGING := $(BUILD)/packaging
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
DATE    := $(shell git log -1 --format=%cs 2>/dev/null)
LDFLAGS := -X main.version=$(VERSION) -X main.date=$(DATE)
PREFIX  ?= /usr/local
SHARE    = $(PREFIX)/share
UNITDIR ?= /etc/systemd/system

# The version comes from git above; go itself need not ask git, which refuses in a checkout of another user's.
export GOFLAGS := $(GOFLAGS) -buildvcs=false

# The version of the linter is part of the result, so it is pinned here.
GOLANGCI_LINT := $(TOOLS)/golangci-lint-2.15.0
# As are those of the vulnerability scan. A later version of the database knows more.
VULNDB_VERSION := v0.0.0-20261105234957-e22db6528018
VULNDB         := $(TOOLS)/vulndb-$(VULNDB_VERSION)
GOVULNCHECK    := $(TOOLS)/govulncheck-1.9.0-$(VULNDB_VERSION)
NFPM           := $(TOOLS)/nfpm-2.45.0
# The peer of the benchmark.
RCLONE := $(TOOLS)/rclone-1.76.0
UNITS := $(BUILD)/unit/lhsmtool_azblob@mnt-lustre.service $(BUILD)/unit/lhsmctl-serve@mnt-lustre.service
# A number of inputs, a few seconds each: when a time is up, go sometimes calls that a failure of the target.
FUZZTIME ?= 10000x

# The test cache does not see that a program under test has changed, hence -count=1.
# One package at a time: most of the tests are servers, daemons and clients that wait for each other, and two packages
# at once on a small machine only make each other slow. Tests mount file systems and start servers. In namespaces of their own nothing of that can outlive them, however they end.
SANDBOX := unshare --mount --pid --fork --mount-proc --kill-child=KILL --

.DEFAULT_GOAL := help

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: programs ## build the programs into build/bin, the product and what stands around it
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ ./testenv/cmd/...
	$(MAKE) --no-print-directory $(BIN)/liblustreapi.so.1

# Those that are installed: the product, and what proves an installation.
programs:
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/... ./testenv/cmd/lhsm-acceptance

demo: build $(AZURITE) ## the main job from start to end on a stand-in Lustre and Azurite; KEEP=1 leaves it up
	KEEP=$(KEEP) testenv/demo/demo.sh $(BIN)

test: $(AZURITE) $(NFPM) ## the whole test suite with the race detector, against the stand-in, Azurite, Chromium and Prometheus
	@test "$$(id -u)" = 0 || { echo "make test: needs root, since the tests mount file systems; run it as root" >&2; exit 1; }
	@test -c /dev/fuse || { echo "make test: /dev/fuse is missing; load the fuse module (modprobe fuse)" >&2; exit 1; }
	testenv/chromium/install.sh
	testenv/prometheus/install.sh
	TESTENV_REQUIRE=lustre,azurite,chromium,prometheus GORACE="atexit_sleep_ms=0 halt_on_error=1" $(SANDBOX) $(GO) test -race -shuffle=on -count=1 -p 1 -timeout 3h ./...

# What the units leave open is listed in build/unit/exposure. The threshold is ten times the sum of that.
check: build $(GOLANGCI_LINT) ## format, vet, lint, go.mod, the systemd units
	$(GO) mod tidy -diff
	$(GO) vet ./...
	$(GOLANGCI_LINT) fmt --diff
	$(GOLANGCI_LINT) run ./...
	mkdir -p $(BUILD)/unit
	for unit in lhsmtool_azblob lhsmctl-serve; do \
		sed 's#/usr/local/s\?bin#$(BIN)#' packaging/$$unit@.service >$(BUILD)/unit/$$unit@mnt-lustre.service; \
	done
	! command -v systemd-analyze >/dev/null || systemd-analyze verify $(UNITS)
	! command -v systemd-analyze >/dev/null || systemd-analyze security --offline=true --threshold=25 $(UNITS) >$(BUILD)/unit/exposure

# The database of vulnerabilities is a Go module like others, so that what this reports is pinned as well, and it
# works where only a module proxy can be reached. It is about the version of Go that go.mod asks for, which a
# $GOTOOLCHAIN of "local" would ignore.
vulncheck: $(GOVULNCHECK) ## known vulnerabilities in what the programs call, standard library included
	GOTOOLCHAIN=auto $(GOVULNCHECK) -db file://$(VULNDB) ./...

fuzz: ## run each fuzz target for FUZZTIME
	testenv/fuzz.sh $(FUZZTIME)

# CASES=large/https SCALE=1 ROUNDS=5; `build/bin/hsmbench -list` has the names. The peer takes some minutes to build once.
bench: build ## CPU, time, memory and requests of archives and restores, beside limits and rclone; CASES= SCALE= ROUNDS=
	$(MAKE) --no-print-directory $(RCLONE) || echo "make bench: rclone cannot be had here" >&2
	mkdir -p $(BUILD)/bench
	$(SANDBOX) $(BIN)/hsmbench -cases '$(or $(CASES),*)' -scale $(or $(SCALE),0.05) -rounds $(or $(ROUNDS),3) \
		-rclone $(RCLONE) -json $(BUILD)/bench/results.json -svg $(BUILD)/bench

bench-doc: build ## put what `make bench` has measured into docs/performance.md, tables and plots
	$(BIN)/hsmbench -from $(BUILD)/bench/results.json -doc docs/performance.md -svg docs

soak: build $(AZURITE) ## users, kills and faults at random for MINUTES (10) on two movers, every byte checked; SEED= repeats
	$(GO) build -race -o $(BIN)/race/ ./cmd/lhsmtool_azblob
	$(SANDBOX) $(BIN)/hsmsoak -copytool $(BIN)/race/lhsmtool_azblob -minutes $(or $(MINUTES),10) -seed '$(SEED)'

bench-jobs: ## scan, archive and cancel JOBS_BENCH_FILES files (default a million) as jobs, and print figures
	JOBS_BENCH_FILES=$(or $(JOBS_BENCH_FILES),1000000) TESTENV_REQUIRE=lustre $(SANDBOX) $(GO) test -run '^$$' -bench BenchmarkJob -benchtime 1x -timeout 2h ./jobs

install: programs ## install programs, units, sample configurations, manual pages and completions below PREFIX
	install -D -m 755 $(BIN)/lhsmtool_azblob $(DESTDIR)$(PREFIX)/sbin/lhsmtool_azblob
	install -D -m 600 packaging/lhsm-azblob.conf $(DESTDIR)/etc/lhsm-azblob/sample.conf
	install -D -m 755 $(BIN)/lhsmctl $(DESTDIR)$(PREFIX)/bin/lhsmctl
	install -D -m 755 $(BIN)/lhsm-acceptance $(DESTDIR)$(PREFIX)/bin/lhsm-acceptance
	for unit in lhsmtool_azblob lhsmctl-serve; do \
		sed 's#/usr/local/#$(PREFIX)/#' packaging/$$unit@.service | install -D -m 644 /dev/stdin $(DESTDIR)$(UNITDIR)/$$unit@.service; \
	done
	install -D -m 644 packaging/lhsmctl.conf $(DESTDIR)/etc/lhsm-azblob/lhsmctl-sample.conf
	install -D -m 644 packaging/grafana/lhsm-azblob.json $(DESTDIR)$(SHARE)/lhsm-azblob/grafana/lhsm-azblob.json
	install -D -m 644 packaging/prometheus/lhsm-azblob.rules.yml $(DESTDIR)$(SHARE)/lhsm-azblob/prometheus/lhsm-azblob.rules.yml
	install -d $(addprefix $(DESTDIR)$(SHARE)/,man/man1 man/man5 man/man8 bash-completion/completions zsh/site-functions fish/vendor_completions.d)
	$(BIN)/lhsmctl manual >$(DESTDIR)$(SHARE)/man/man1/lhsmctl.1
	$(BIN)/lhsmtool_azblob --manual 5 >$(DESTDIR)$(SHARE)/man/man5/lhsm-azblob.conf.5
	$(BIN)/lhsmtool_azblob --manual 8 >$(DESTDIR)$(SHARE)/man/man8/lhsmtool_azblob.8
	$(BIN)/lhsmctl completion bash >$(DESTDIR)$(SHARE)/bash-completion/completions/lhsmctl
	$(BIN)/lhsmctl completion zsh >$(DESTDIR)$(SHARE)/zsh/site-functions/_lhsmctl
	$(BIN)/lhsmctl completion fish >$(DESTDIR)$(SHARE)/fish/vendor_completions.d/lhsmctl.fish
	$(BIN)/lhsmtool_azblob --completion bash >$(DESTDIR)$(SHARE)/bash-completion/completions/lhsmtool_azblob
	$(BIN)/lhsmtool_azblob --completion zsh >$(DESTDIR)$(SHARE)/zsh/site-functions/_lhsmtool_azblob
	$(BIN)/lhsmtool_azblob --completion fish >$(DESTDIR)$(SHARE)/fish/vendor_completions.d/lhsmtool_azblob.fish

# What is installed is packaged, so that nothing has to be said twice.
packages: $(NFPM) ## a .deb and an .rpm in build/packages; the version is from git, or VERSION=v1.2.3
	packaging/version.sh $(VERSION) 0 >/dev/null # before anything is built
	rm -rf $(PACKAGING) && install -d $(PACKAGING)/root
	umask 022 && $(MAKE) --no-print-directory install DESTDIR=$(PACKAGING)/root PREFIX=/usr UNITDIR=/usr/lib/systemd/system LDFLAGS='-s -w $(LDFLAGS)'
	packaging/build.sh $(VERSION) $(NFPM) $(PACKAGING) $(PACKAGES)

clean: ## remove build/
	rm -rf $(BUILD)

$(BIN)/liblustreapi.so.1: $(wildcard testenv/liblustreapi/*.c testenv/liblustreapi/*.h)
	mkdir -p $(@D)
	gcc -shared -fPIC -O2 -Wall -Wextra -Werror -Wl,-soname,liblustreapi.so.1 -o $@ $(filter %.c,$^) -ldl

$(AZURITE): testenv/azurite/install.sh
	testenv/azurite/install.sh

$(GOVULNCHECK):
	GOBIN=$(TOOLS)/vuln $(GO) install golang.org/x/vuln/cmd/govulncheck@v1.9.0
	GOBIN=$(TOOLS)/vuln $(GO) install golang.org/x/vulndb/cmd/indexdb@$(VULNDB_VERSION)
	cd $(TOOLS)/vuln && ./indexdb -out $(VULNDB) -vulns "$$($(GO) mod download -json golang.org/x/vulndb@$(VULNDB_VERSION) | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')/data/osv"
	mv $(TOOLS)/vuln/govulncheck $@

$(NFPM):
	GOBIN=$(TOOLS)/tmp $(GO) install github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0
	mv $(TOOLS)/tmp/nfpm $@ && rmdir $(TOOLS)/tmp

$(RCLONE):
	GOBIN=$(TOOLS)/peer $(GO) install github.com/rclone/rclone@v1.76.0
	mv $(TOOLS)/peer/rclone $@ && rmdir $(TOOLS)/peer

$(GOLANGCI_LINT):
	GOBIN=$(TOOLS)/tmp $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	mv $(TOOLS)/tmp/golangci-lint $@ && rmdir $(TOOLS)/tmp

.PHONY: help build programs demo test check vulncheck fuzz bench bench-doc bench-jobs soak install packages clean
