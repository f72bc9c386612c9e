# Homie: build, try, test, install. Every target works as the first command on a fresh Debian machine with Rust and a C
# compiler: what it needs it installs (packaging/install-deps.sh says what) and, with CI=true, it asks nothing.

PREFIX ?= /usr/local
DESTDIR ?=
CARGO ?= cargo
# Tools that lint builds once and keeps between clones.
TOOLS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/homie-tools
CARGO_DENY = 0.20.2
CARGO_AUDIT = 0.22.2
CARGO_FUZZ = 0.13.2
# A checkout of github.com/rustsec/advisory-db; without one the advisory checks are left out, loudly.
ADVISORY_DB ?= ../shared/advisory-db

.PHONY: all build client demo test test-matrix test-systemd test-quick lint fmt fuzz soak bench install uninstall clean help

all: build

help: ## Show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: client ## Build homied and homie-ctl for use (target/release)
	$(CARGO) build --release --locked --bin homied

# Without the daemon feature the client cannot even name actix, bollard or SQLite, so it stays small and starts fast.
# Built for size: it starts, asks and ends, so what it costs is being read from disk. Most bytes it may have: a library
# that drags in much more (a regex engine is 0.4 MB) shall be noticed when it comes, by whoever brings it and not by a user
# whose compiler makes a little more of it.
CLIENT_MOST = 3000000
# A panic ends the client at once, so nobody looks anything up in the index of its unwind tables: 45 kB. Functions of the
# same code are kept once, 35 kB, and what is relocated at the start is listed compactly, 80 kB. Rust's own linker on x86-64
# can do both, if the distribution left it so, and the loader has to know the list (glibc 2.36): each is tried.
CLIENT_LINK = $(if $(filter Linux,$(shell uname -s)),-C link-arg=-Wl$(comma)--no-eh-frame-hdr $(call TRIED,--icf=all) $(call TRIED,-z$(comma)pack-relative-relocs))
TRIED = $(shell mkdir -p target && echo 'fn main() {}' | rustc --crate-name probe -C link-arg=-Wl$(comma)$(1) -o target/probe - 2>/dev/null \
	&& target/probe && echo '-C link-arg=-Wl$(comma)$(1)'; rm -f target/probe)
comma = ,
client:
	CARGO_PROFILE_RELEASE_OPT_LEVEL=z CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 \
		$(CARGO) rustc --release --locked --no-default-features --bin homie-ctl -- $(CLIENT_LINK)
	@size=$$(wc -c < target/release/homie-ctl); if [ $$size -gt $(CLIENT_MOST) ]; then \
		echo "homie-ctl has $$size bytes; $(CLIENT_MOST) are the most it should have (see CLIENT_MOST in the Makefile)" >&2; \
		[ -z "$$CI" ] || exit 1; fi

demo: build ## Two homied on this machine, one job from one to the other
	packaging/install-deps.sh demo
	target/release/homie-ctl demo $(DEMO_ARGS)

test: ## Every suite, as root where it can be, and again as an ordinary user
	packaging/install-deps.sh test
	tests/run.sh

test-matrix: ## tests/docker against Docker 20.10, 26, 28 and Podman (what of them can be had here)
	tests/docker/matrix.sh $(ENGINES)

test-systemd: build ## The service under a real systemd with version 2 control groups, in a virtual machine (root, minutes)
	packaging/install-deps.sh systemd
	tests/systemd/vm.sh

test-quick: ## The suites that need no engine and no root: seconds
	$(CARGO) test --locked --lib --test tidy

lint: ## Formatting, clippy, docs, licences, sources, advisories
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --no-default-features --bin homie-ctl -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items
	bash -n packaging/install-deps.sh tests/run.sh tests/docker/matrix.sh tests/systemd/vm.sh tests/systemd/inside.sh .ci/run
	@$(MAKE) --no-print-directory lint-deps

.PHONY: lint-deps
lint-deps: $(TOOLS)/bin/cargo-deny-$(CARGO_DENY) $(TOOLS)/bin/cargo-audit-$(CARGO_AUDIT)
	@# Also the crates of other platforms, which no build here has fetched: cargo-deny looks at all.
	$(CARGO) fetch --locked
	$< --offline check bans licenses sources
	@if [ -d "$(ADVISORY_DB)/crates" ]; then \
		echo "cargo audit, with the advisories in $(ADVISORY_DB)"; \
		$(TOOLS)/bin/cargo-audit-$(CARGO_AUDIT) audit --no-fetch --stale --db "$(ADVISORY_DB)"; \
	elif [ "$(CI)" = true ]; then \
		echo "no advisory database at $(ADVISORY_DB)" >&2; exit 1; \
	else \
		echo "no advisory database at $(ADVISORY_DB): advisories not checked" >&2; \
	fi

# Built without their usual link-time optimisation: they run for a second, so their own speed does not matter.
$(TOOLS)/bin/%:
	@echo "building $* (once; kept in $(TOOLS))"
	CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
		$(CARGO) install --quiet --locked --root $(TOOLS) $(shell echo $* | sed -E 's/-([0-9.]+)$$/@\1/')
	cp $(TOOLS)/bin/$(shell echo $* | sed -E 's/-[0-9.]+$$//') $@

# Without a sanitizer it works on the stable compiler: the code is safe Rust, so what is looked for is panics, overflows,
# broken promises (the targets assert them), and input that takes long or much memory.
FUZZ_SECONDS ?= 60
fuzz: $(TOOLS)/bin/cargo-fuzz-$(CARGO_FUZZ) ## Every parser against hostile bytes, FUZZ_SECONDS= each (60)
	packaging/install-deps.sh fuzz
	tests/fuzz.sh $< $(FUZZ_SECONDS) $(FUZZ_TARGETS)

soak: ## A thousand jobs on each engine, and nothing of them left; nine hundred sends; a network that is gone for five minutes (HOMIE_SOAK_* for more or fewer)
	packaging/install-deps.sh test
	HOMIE_SOAK_JOBS=$${HOMIE_SOAK_JOBS:-1000} HOMIE_SOAK_SENDS=$${HOMIE_SOAK_SENDS:-60} $(CARGO) test --locked --test it --test docker soak
	HOMIE_SOAK_LOSS_S=$${HOMIE_SOAK_LOSS_S:-60} HOMIE_SOAK_PARTITION_S=$${HOMIE_SOAK_PARTITION_S:-300} \
		$(CARGO) test --locked --test it a_transfer_survives -- --nocapture

bench: build ## Figures beside ssh, rsync, bubblewrap and docker run, in one sitting
	packaging/install-deps.sh bench
	$(CARGO) build --release --locked --example bare_tls --example peers
	python3 benches/side_by_side.py
	python3 benches/transfer.py
	python3 benches/outages.py
	python3 benches/native_start.py
	python3 benches/docker_start.py
	python3 benches/output_rate.py
	python3 benches/attacks.py
	python3 benches/peers.py

install: build ## Install into PREFIX (default /usr/local)
	install -D -m 755 target/release/homied $(DESTDIR)$(PREFIX)/bin/homied
	install -D -m 755 target/release/homie-ctl $(DESTDIR)$(PREFIX)/bin/homie-ctl
	ln -sf homie-ctl $(DESTDIR)$(PREFIX)/bin/homie
	DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" packaging/install-files.sh
	target/release/homie-ctl --quiet man $(DESTDIR)$(PREFIX)/share/man/man1
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	target/release/homie-ctl completions bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/homie
	target/release/homie-ctl completions zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_homie
	target/release/homie-ctl completions fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/homie.fish
	install -d $(DESTDIR)$(PREFIX)/share/homie
	cp -R examples $(DESTDIR)$(PREFIX)/share/homie/
	@echo "installed in $(DESTDIR)$(PREFIX)/bin; next: homie setup"

uninstall: ## Remove what install put there; configuration and state stay
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/bin/,homied homie-ctl homie)
	DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" packaging/install-files.sh remove
	rm -f $(DESTDIR)$(PREFIX)/share/man/man1/homie.1 $(DESTDIR)$(PREFIX)/share/man/man1/homie-*.1
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/share/,bash-completion/completions/homie zsh/site-functions/_homie fish/vendor_completions.d/homie.fish)
	rm -rf $(DESTDIR)$(PREFIX)/share/homie

clean: ## Remove everything that was built
	$(CARGO) clean
