//! `dollop`, but it aborts where `DOLLOP_FAULT` says: for the crash tests.

fn main() -> std::process::ExitCode {
    dollop_cli::run::main()
}
