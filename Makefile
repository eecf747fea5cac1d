# Two commands do everything on a fresh machine with a Rust toolchain:
#   make quickstart   build, start the lab if needed, apply scripts/quickstart, plan again
#   make test         format, lints, unit, suite, CLI, live and crash tests, some fuzzing
# And what takes too long for every time:
#   make platforms    the five platforms of scripts/ on the lab
#   make drain        a queue with 100,000 messages made anew, while others publish and consume
#   make schemas      PostgreSQL schemas of others, from the folder DOLLOP_PUBLIC_SCHEMAS, imported
#   make bare         the lab itself, on a minimal Debian in namespaces of its own

DOLLOP := target/debug/dollop
LAB := tests/lab/lab
# One set of features for lints and tests, so that nothing is compiled twice.
EVERYTHING := --workspace --all-targets --features dollop-tests/live

.PHONY: newest platforms drain schemas bare quickstart clean-quickstart hello test lint quick-test lab tools build \
  fuzz bench

# With the features of the whole workspace, so that `make test` goes on from there.
build:
	cargo build --workspace --bin dollop

lab:
	$(LAB) up

# And the programs that some tests run.
tools: lab
	$(LAB) tools

quickstart: build lab
	eval "$$($(LAB) env)"; \
	  $(DOLLOP) apply --auto-approve scripts/quickstart && \
	  $(DOLLOP) plan --detailed-exitcode scripts/quickstart
	@echo
	@echo 'To look around:   eval "$$($(LAB) env)"; docker ps; $(DOLLOP) show scripts/quickstart'
	@echo 'To take it down:  make clean-quickstart; $(LAB) down'

clean-quickstart: build
	eval "$$($(LAB) env)"; $(DOLLOP) destroy --auto-approve \
	  --allow-data-loss docker::volume.pgdata scripts/quickstart

hello: build
	$(DOLLOP) apply --auto-approve scripts/hello
	$(DOLLOP) output --stack scripts/hello

lint:
	cargo fmt --all --check
	cargo clippy $(EVERYTHING) -- -D warnings

# Without any service: what a laptop can always run.
quick-test:
	cargo test --workspace

# With the feature `live` a missing service is a failure, never a skip. The platforms have a
# target of their own: two hundred containers take longer than all the rest. More threads than
# processors, because live tests wait for servers most of the time. The lab is built while the
# compiler works: one waits for packages, the other for a processor.
test:
	$(MAKE) --jobs=2 --output-sync=target lint tools
	eval "$$($(LAB) env)"; RUST_TEST_THREADS=$${RUST_TEST_THREADS:-6} cargo test $(EVERYTHING) --no-fail-fast -- \
	  --skip live::platforms --skip schemas_of_others
	$(MAKE) newest

# The conformance of every PostgreSQL kind once more, on the newest version there is.
newest: tools
	eval "$$($(LAB) env)"; DOLLOP_TEST_POSTGRES=newest RUST_TEST_THREADS=$${RUST_TEST_THREADS:-6} \
	  cargo test $(EVERYTHING) -- live::postgres::conformance live::postgres::kinds

# The five platforms of scripts/, each with all its profiles, on the lab's images.
platforms: tools
	$(LAB) platforms
	eval "$$($(LAB) env)"; cargo test $(EVERYTHING) -- live::platforms --test-threads 1

# `make test` does it with 20,000.
drain: tools
	eval "$$($(LAB) env)"; DOLLOP_DRAIN_MESSAGES=100000 \
	  cargo test $(EVERYTHING) -- draining_loses_nothing --nocapture

schemas: tools
	eval "$$($(LAB) env)"; cargo test $(EVERYTHING) -- schemas_of_others --nocapture

bare:
	tests/lab/bare

# Ten minutes of scripts nobody would write; DOLLOP_FUZZ_SEED repeats a run.
fuzz:
	DOLLOP_FUZZ_SECONDS=$${DOLLOP_FUZZ_SECONDS:-600} cargo test $(EVERYTHING) -- fuzz:: --nocapture

bench:
	cargo build --release --workspace --bins
	target/release/bench
