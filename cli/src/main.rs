//! The `dollop` binary.

/// A plan is many small allocations that live long; this allocator keeps them closer together
/// than the system's. It is built to ask for no huge pages: see `docs/architecture.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    dollop_cli::run::main()
}
