# What to run, for people and for the continuous integration. `make help` lists it.

TARGET := $(or $(CARGO_TARGET_DIR),target)
FUZZ := $(abspath $(TARGET))/fuzz
SECONDS := 600
HAS_DISPLAY := $(DISPLAY)$(WAYLAND_DISPLAY)
# The demo needs no window system to be built against; the page becomes part of its programs.
DEMO := -p praxis-cli -p praxis-collector -p praxis-tests

.PHONY: help setup check-platforms run demo page build test ci bench torture package screens fmt clean fuzz

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 17

setup: ## Install what is missing on Debian or Ubuntu
	@scripts/setup

run: $(if $(HAS_DISPLAY),build,page) ## The application with a collector of its own; without a display the demo, which then stays up
ifneq ($(HAS_DISPLAY),)
	@scripts/run $(TARGET)/debug $(TARGET)/run
else
	cargo build --locked $(DEMO)
	@$(TARGET)/debug/demo --stay
endif

demo: page ## Record a real session on a virtual desktop, upload it, see it verified
	cargo build --locked $(DEMO)
	@$(TARGET)/debug/demo

page: setup
	npm run build --prefix ui --silent -- --logLevel warn

build: page ## Build everything
	cargo build --workspace --locked

test: build ## Format, lints, unit, contract and end-to-end tests, the application included
	cargo fmt --all --check
	npm run check --prefix ui --silent
	npm run test --prefix ui --silent
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --workspace --locked

ci: test ## Tests, then the demo, 50 kills of recorders, 50 of uploads, two minutes of memory, the installer
	$(TARGET)/debug/demo
	$(TARGET)/debug/torture kills --rounds 50
	$(TARGET)/debug/torture upload-kills --kills 50
	$(TARGET)/debug/torture memory --minutes 2
	scripts/package debug --try

check-platforms: ## Type-check the crates for Windows and macOS, on Debian and with its packages alone
	@scripts/check-platforms

bench: setup ## Recording against ffmpeg and uploads against a bare server, in paired runs; codec, sealing, seeking, exports, the player in Chromium and in the application
	npm run build --prefix ui --silent -- --logLevel warn
	cargo build --release --workspace --locked
	$(TARGET)/release/bench record --json $(TARGET)/bench-record.json
	$(TARGET)/release/bench upload
	$(TARGET)/release/bench grabs
	$(TARGET)/release/bench latency
	cargo bench --locked -p praxis-bundle
	cargo run --release --locked -p praxis-bundle --example long_bundle -- $(abspath $(TARGET))/hour.mcap 60
	rm -f $(TARGET)/flashes.mcap
	cargo run --release --locked -p praxis-tests --example flashes -- $(abspath $(TARGET))/flashes.mcap 40
	npm run bench --prefix ui --silent -- $(abspath $(TARGET))/hour.mcap
	BUNDLE=$(abspath $(TARGET))/hour.mcap node tests/js/player_bench.mjs
	$(TARGET)/release/bench player $(TARGET)/hour.mcap $(TARGET)/flashes.mcap
	cargo run --release --locked -p praxis-bundle --example long_bundle -- $(abspath $(TARGET))/worked-hour.mcap 60 input
	cargo run --release --locked -p praxis-bundle --example long_bundle -- $(abspath $(TARGET))/worked-minute.mcap 1 input
	$(TARGET)/release/bench export $(TARGET)/worked-hour.mcap $(TARGET)/worked-minute.mcap

torture: build ## 100,000 power cuts, 1,000 kills of synthetic sources, 50 of real ones, 1,000 of uploads, 11,000 damages, half an hour of memory, exports onto a full disk and by Ray
	$(TARGET)/debug/torture power-cuts --cuts 100000
	$(TARGET)/debug/torture stage-kills --rounds 1000
	$(TARGET)/debug/torture kills --rounds 50
	$(TARGET)/debug/torture upload-kills --kills 1000
	$(TARGET)/debug/torture damage --flips 10000 --pages 1000
	$(TARGET)/debug/torture memory --minutes 30
	cargo build --workspace --locked --example long_bundle
	$(TARGET)/debug/torture full-disk
	$(TARGET)/venv/bin/pip install --quiet --disable-pip-version-check ray==2.60.0
	$(TARGET)/debug/examples/long_bundle $(TARGET)/worked.mcap 1 input
	rm -rf $(TARGET)/by-ray
	$(TARGET)/venv/bin/python tests/python/ray_export.py $(abspath $(TARGET))/debug/praxis $(abspath $(TARGET))/by-ray \
	  $(abspath $(TARGET))/worked.mcap $(abspath tests/fixtures/conformance)/sealed.mcap

fuzz: ## Every fuzz target for SECONDS=600, within 256 MiB; needs a nightly Rust and cargo-fuzz
	@cargo +nightly fuzz --version > /dev/null || { \
	  echo "install them: rustup toolchain install nightly; cargo install --locked cargo-fuzz"; exit 1; }
	cd fuzz && cargo +nightly run --locked --example seeds -- $(FUZZ)/seeds
	cd fuzz && cargo +nightly fuzz build --sanitizer none
	set -e; cd fuzz; for target in $$(cargo +nightly fuzz list); do mkdir -p $(FUZZ)/corpus/$$target; \
	  cargo +nightly fuzz run --sanitizer none $$target $(FUZZ)/corpus/$$target $(FUZZ)/seeds/$$target -- \
	  -max_total_time=$(SECONDS) -rss_limit_mb=256 -timeout=10 -max_len=65536 -print_final_stats=1; done

package: page ## An installer for Debian and Ubuntu (.deb)
	cargo build --release --locked -p praxis-desktop
	scripts/package release

screens: build ## Take the pictures of docs/screens anew, from the application on a virtual desktop
	$(TARGET)/debug/screens docs/screens

fmt: ## Format the code
	cargo fmt --all

clean: ## Remove everything that was built
	cargo clean
