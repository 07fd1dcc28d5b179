# make test needs a Debian or Ubuntu system; as root it installs what the end-to-end tests need.

GO ?= go
export CGO_ENABLED = 0

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
PACKAGE_VERSION = $(shell echo '$(VERSION)' | sed -E 's/^v//; /^[0-9]+\./!s/^/0.0./; s/-(alpha|beta|pre|rc|dev)/~\1/; s/[^0-9A-Za-z.+~]/./g')
STATICCHECK = $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2
NFPM = $(GO) run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
GOVULNCHECK = $(GO) run golang.org/x/vuln/cmd/govulncheck@v1.9.0
DEADCODE = $(GO) run golang.org/x/tools/cmd/deadcode@v0.52.0

# What the program itself does not call, and may stay: what tests of several packages share.
UNUSED = OpenMemory
BUILD = $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)'

# What make crash has tried.
FIGURES = $(CURDIR)/dist/crash.txt

# Debian packages that the tests use.
PARTS = systemd mmdebstrap gpg gpg-agent gpgconf ca-certificates slapd ldap-utils rpm createrepo-c 389-ds-base mydumper \
	samba samba-dsdb-modules samba-ad-provision samba-vfs-modules

# What the benchmarks measure against, or on.
BENCH_PARTS = rsync zstd mydumper xfsprogs

# How many tests of a package run at the same time. Those of real roots spend most of theirs waiting for
# daemons to start, stop, and prove that they go on.
AT_ONCE = 12

# How long make fuzz tries each target.
FUZZ_TIME = 30s

.PHONY: build packages test crash fuzz golden lint parts bench clean

build:
	GOARCH=amd64 $(BUILD) -o dist/zcp2kopano-linux-amd64 ./cmd/zcp2kopano
	GOARCH=arm64 $(BUILD) -o dist/zcp2kopano-linux-arm64 ./cmd/zcp2kopano

# What brings the program to a server without Go: a .deb and an .rpm for each architecture, tarballs, and their
# checksums. The version is what git says, without the v and without dashes, which rpm does not take; one before a release
# has a tilde, by which both managers sort it before.
packages: build
	rm -rf dist/files dist/packages; mkdir -p dist/files dist/packages
	$(BUILD) -o dist/files/zcp2kopano ./cmd/zcp2kopano
	dist/files/zcp2kopano man | gzip -9n > dist/files/zcp2kopano.8.gz
	dist/files/zcp2kopano completion bash > dist/files/zcp2kopano.bash
	dist/files/zcp2kopano completion zsh > dist/files/_zcp2kopano
	rm dist/files/zcp2kopano
	set -e; for arch in amd64 arm64; do \
		for kind in deb rpm; do \
			ARCH=$$arch VERSION=$(PACKAGE_VERSION) $(NFPM) package --config packaging/nfpm.yaml --packager $$kind --target dist/packages/; \
		done; \
		at=dist/files/zcp2kopano-$(PACKAGE_VERSION)-linux-$$arch; mkdir $$at; \
		cp dist/zcp2kopano-linux-$$arch $$at/zcp2kopano; cp README.md LICENSE dist/files/zcp2kopano.8.gz dist/files/zcp2kopano.bash dist/files/_zcp2kopano $$at/; \
		tar -C dist/files --owner=root --group=root -czf dist/packages/$$(basename $$at).tar.gz $$(basename $$at); \
	done
	cd dist/packages && sha256sum * > SHA256SUMS

# With CI set, a test whose parts are missing fails instead of being skipped. lint has vetted already.
test: parts lint
	@if [ "$$(id -u)" = 0 ]; then export CI=1; \
	else echo "not root: the end-to-end tests are left out; run make test as root for all of them"; fi; \
	$(GO) test -vet=off -count=1 -timeout 40m -parallel $(AT_ONCE) ./...
	$(GO) run ./cmd/zcp2kopano test --coverage-at-least 90 runbooks

# What make test takes a sample of, all of it: every fault at every point of every route, a kill at every
# record of a real run, every bit of a journal flipped. It takes hours, and ends with what was tried. All tests run,
# so that none that takes a sample can be left out.
crash: parts
	@mkdir -p $(dir $(FIGURES)); rm -f $(FIGURES); status=0; \
	CI=1 ZCP2KOPANO_CRASH=all ZCP2KOPANO_FIGURES=$(FIGURES) $(GO) test -count=1 -timeout 12h -parallel $(AT_ONCE) ./... || status=$$?; \
	echo 'what was tried:'; cat $(FIGURES); exit $$status

# Every fuzz target for a while. An input that covers more is not made small for a minute each, which is what most of
# the time went into.
fuzz:
	@set -e; for file in $$(git grep -l '^func Fuzz' -- '*_test.go'); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z]*\).*/\1/p' $$file); do \
			echo "== $$target ($$(dirname $$file))"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZ_TIME) -fuzzminimizetime 10x ./$$(dirname $$file); \
		done; \
	done

# Rewrites the files with expected output, where they are made (go:generate); read the difference.
golden: parts
	CI=1 $(GO) generate ./builtins/cfg ./runtime/story ./cmd/e2e

lint:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$unformatted" ] || { echo "run gofmt -w on: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(STATICCHECK) ./...
	@unused=$$($(DEADCODE) ./cmd/zcp2kopano | grep -vE 'func: ($(UNUSED))$$'); \
		[ -z "$$unused" ] || { echo "the program calls none of these: remove them, or list them in the Makefile:"; echo "$$unused"; exit 1; }
	@if found=$$(timeout 300 $(GOVULNCHECK) ./cmd/zcp2kopano 2>&1); then :; \
	elif echo "$$found" | grep -q '^Vulnerability #'; then echo "$$found"; echo 'the vulnerabilities above have become known; no error, since nothing here has changed by that'; \
	else echo 'known vulnerabilities were not looked for: the tool, or its data, cannot be had here'; fi

# The daemons among them are started by the tests alone: policy-rc.d(8) keeps their packages from it.
parts:
	@missing=; for part in $(PARTS); do \
		dpkg-query -W -f '$${Status}' $$part 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$part"; done; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" != 0 ]; then echo "missing for the end-to-end tests (install them as root):$$missing"; exit 0; fi; \
	policy=/usr/sbin/policy-rc.d; \
	if [ ! -e $$policy ]; then trap "rm -f $$policy" EXIT; printf '#!/bin/sh\nexit 101\n' >$$policy; chmod 755 $$policy; fi; \
	apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing

bench: PARTS += $(BENCH_PARTS)
bench: parts
	$(GO) test -run '^$$' -bench . -benchmem ./...

clean:
	rm -rf dist
