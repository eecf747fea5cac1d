//! What the arguments accept.

use clap::CommandFactory as _;

use super::*;

fn read(line: &str) -> Result<Cli, u8> {
    parse(line.split_whitespace().map(OsString::from))
}

#[test]
fn definitions_hold_together() {
    Cli::command().debug_assert();
}

#[test]
fn wrong_usage_exits_with_64() {
    for line in [
        "dollop",
        "dollop plon",
        "dollop plan --param novalue",
        "dollop plan --param =x",
        "dollop apply --parallelism 0",
        "dollop apply --plan f --only local::data.a",
        "dollop output --raw",
        "dollop output x --raw --json",
        "dollop state show nonsense",
        "dollop plan --color sometimes",
    ] {
        assert_eq!(read(line).err(), Some(USAGE), "{line}");
    }
}

#[test]
fn help_and_version_exit_with_0() {
    for line in ["dollop --help", "dollop plan -h", "dollop --version"] {
        assert_eq!(read(line).err(), Some(DONE), "{line}");
    }
}

#[test]
fn options_are_read() {
    let cli = read("dollop plan shop --param a=b=c --param n= --format json --color never");
    let cli = cli.unwrap();
    assert_eq!(cli.global.color, Color::Never);
    let Command::Plan(plan) = cli.command else { panic!() };
    assert_eq!(plan.stack.stack, Some("shop".into()));
    assert_eq!(plan.format, Format::Json);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(plan.stack.param, [pair("a", "b=c"), pair("n", "")]);
    let Command::Apply(apply) = read("dollop apply").unwrap().command else { panic!() };
    assert_eq!(apply.parallelism, 10);
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in Cli::command().get_subcommands() {
        if ["version", "state", "env"].contains(&command.get_name()) {
            continue;
        }
        let long = command.get_long_about().map(ToString::to_string).unwrap_or_default();
        assert!(long.contains("Example: `dollop"), "{}", command.get_name());
    }
}
