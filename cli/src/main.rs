//! The `dollop` binary.

fn main() -> std::process::ExitCode {
    dollop_cli::run::main()
}
