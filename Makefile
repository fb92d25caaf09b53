# What to run, for people and for the continuous integration. `make help` lists it.

TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help setup run demo build test ci bench torture fmt clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: ## Install what is missing on Debian or Ubuntu
	@scripts/setup

run: setup build ## The demo, and then the collector stays up until Ctrl-C (until the desktop app exists)
	@$(TARGET)/debug/demo --stay

demo: setup build ## Record a real session on a virtual desktop, upload it, see it verified
	@$(TARGET)/debug/demo

build: setup ## Build everything
	cargo build --workspace --locked

test: build ## Format, lints, unit, contract and end-to-end tests
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --workspace --locked

ci: test ## Tests, then the demo, 50 kills of recorders, 50 of uploads, two minutes of memory
	$(TARGET)/debug/demo
	$(TARGET)/debug/torture kills --rounds 50
	$(TARGET)/debug/torture upload-kills --kills 50
	$(TARGET)/debug/torture memory --minutes 2

bench: setup ## Upload throughput against a bare server, in paired runs; the cost of pictures and masks
	cargo build --release --locked -p praxis-collector -p praxis-cli -p praxis-tests
	$(TARGET)/release/bench upload
	$(TARGET)/release/bench grabs

torture: build ## 1,000 kills of synthetic sources, 50 of real ones, 1,000 of uploads, half an hour of memory
	$(TARGET)/debug/torture stage-kills --rounds 1000
	$(TARGET)/debug/torture kills --rounds 50
	$(TARGET)/debug/torture upload-kills --kills 1000
	$(TARGET)/debug/torture memory --minutes 30

fmt: ## Format the code
	cargo fmt --all

clean: ## Remove everything that was built
	cargo clean
