//! Which stack a command is for, and which part of it is on.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dollop_engine::program::{Fate, Profiles};

use super::parse_param;
use crate::complete;
use crate::error::CommandError;
use crate::project::{Environment, Project};

/// Which stack, with which parameters.
#[derive(Clone, Debug, Default, Args)]
pub struct StackArgs {
    /// A script, or a folder with `stack.rhai` [default: the current folder].
    #[arg(value_name = "STACK", add = complete::stacks())]
    pub stack: Option<PathBuf>,
    /// Set a parameter; may be repeated.
    ///
    /// Example: `--param replicas=3`
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_param, add = complete::parameters())]
    pub param: Vec<(String, String)>,
    /// Read parameters from a `.toml`, `.json` or `.env` file; may be repeated, later wins.
    ///
    /// A `.env` file is read as Docker Compose reads it.
    #[arg(long, value_name = "FILE")]
    pub params: Vec<PathBuf>,
    /// Turn a profile on; may be repeated, `*` is every one.
    ///
    /// What the other profiles made is removed, see `--dormant`.
    #[arg(
        long = "profile",
        value_name = "NAME",
        env = "DOLLOP_PROFILES",
        hide_env_values = true,
        value_delimiter = ',',
        add = complete::profiles()
    )]
    pub profiles: Vec<String>,
    /// What becomes of resources whose profile is off.
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "delete",
        env = "DOLLOP_DORMANT",
        hide_env_values = true
    )]
    pub dormant: DormantArg,
    /// In which environment.
    #[command(flatten)]
    pub environment: EnvironmentArgs,
}

/// What becomes of resources whose profile is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DormantArg {
    /// They are deleted; the plan says so.
    #[default]
    Delete,
    /// They stay as they are, in the state.
    Keep,
    /// They stay, and what runs is stopped.
    Stop,
}

/// Which environment of a stack.
#[derive(Clone, Debug, Default, Args)]
pub struct EnvironmentArgs {
    /// The environment: its own state, parameter file and names [default: default].
    #[arg(long, value_name = "NAME", env = "DOLLOP_ENV", hide_env_values = true, add = complete::environments())]
    pub env: Option<Environment>,
}

impl EnvironmentArgs {
    /// The environment that is meant.
    pub fn environment(&self) -> Environment {
        self.env.clone().unwrap_or_default()
    }
}

impl StackArgs {
    /// The profiles that are meant.
    pub fn profiles(&self) -> Profiles {
        Profiles {
            all: self.profiles.iter().any(|name| name == "*"),
            names: self
                .profiles
                .iter()
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty() && name != "*")
                .collect(),
            dormant: match self.dormant {
                DormantArg::Delete => Fate::Delete,
                DormantArg::Keep => Fate::Keep,
                DormantArg::Stop => Fate::Stop,
            },
        }
    }

    /// The stack that is meant.
    pub fn project(&self) -> Result<Project, CommandError> {
        Project::find(self.stack.as_deref(), self.environment.environment())
    }
}

impl PlaceArgs {
    /// The stack that is meant.
    pub fn project(&self) -> Result<Project, CommandError> {
        Project::find(self.stack.as_deref(), self.environment.environment())
    }
}

/// Which stack, where nothing is evaluated.
#[derive(Clone, Debug, Default, Args)]
pub struct PlaceArgs {
    /// A script, or a folder with `stack.rhai` [default: the current folder].
    #[arg(long, value_name = "STACK", add = complete::stacks())]
    pub stack: Option<PathBuf>,
    /// In which environment.
    #[command(flatten)]
    pub environment: EnvironmentArgs,
}
