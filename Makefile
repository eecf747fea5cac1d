# Two commands do everything on a fresh machine with a Rust toolchain:
#   make quickstart   build, start the lab if needed, apply scripts/quickstart, plan again
#   make test         format, lints, unit, suite, CLI, live and crash tests

DOLLOP := target/debug/dollop
LAB := tests/lab/lab

.PHONY: quickstart hello test lint unit live lab build bench clean-quickstart

build:
	cargo build -p dollop

lab:
	$(LAB) up

quickstart: build lab
	eval "$$($(LAB) env)"; \
	  $(DOLLOP) apply --auto-approve scripts/quickstart && \
	  $(DOLLOP) output --stack scripts/quickstart && \
	  $(DOLLOP) plan --detailed-exitcode scripts/quickstart

clean-quickstart: build
	eval "$$($(LAB) env)"; $(DOLLOP) destroy --auto-approve scripts/quickstart

hello: build
	$(DOLLOP) apply --auto-approve scripts/hello
	$(DOLLOP) output --stack scripts/hello

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features dollop-tests/live -- -D warnings

unit:
	cargo test --workspace --exclude dollop-tests

# Everything that talks to real services. With the feature on, a missing service fails.
live: lab
	eval "$$($(LAB) env)"; cargo test -p dollop-tests --features live

test: lint unit live

bench:
	cargo build --release -p dollop
	cargo run --release -p dollop-tests --bin bench
