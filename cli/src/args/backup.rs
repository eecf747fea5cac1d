//! What can be typed about backups.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{ConsentArgs, PlaceArgs};
use crate::complete;

/// `dollop backup`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BackupArgs {
    /// Look at backups instead of making one.
    #[command(subcommand)]
    pub command: Option<BackupCommand>,
    /// Only these: addresses, or patterns as `postgres::*`; everything when left out.
    #[arg(value_name = "ADDRESS", add = complete::addresses())]
    pub only: Vec<String>,
    /// Which stack.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Where backups are kept.
    #[command(flatten)]
    pub shelf: ShelfArgs,
    /// Save messages that wait in queues, too.
    ///
    /// Each is taken out and put back where it was; streams are left out, and queues that limit
    /// how often a message is delivered.
    #[arg(long)]
    pub messages: bool,
    /// Stop containers while their volumes are copied, and start them again.
    ///
    /// They write what they have before they stop, so that what is saved is whole.
    #[arg(long)]
    pub stop: bool,
    /// Freeze containers while their volumes are copied: shorter, and what they have not
    /// written yet is not saved.
    #[arg(long, conflicts_with = "stop")]
    pub pause: bool,
    /// Encrypt to an age recipient (`age1…`); may be repeated.
    #[arg(long, value_name = "RECIPIENT")]
    pub encrypt_to: Vec<String>,
    /// Keep so many backups of this stack and selection; older ones are removed afterwards.
    #[arg(long, value_name = "N", value_parser = super::at_least_one)]
    pub keep: Option<usize>,
    /// Run this in a shell once the backup is whole, before older ones are removed: it finds
    /// the folder in `DOLLOP_BACKUP`.
    ///
    /// Example: `--then 'rclone copy "$DOLLOP_BACKUP" store:backups/"$DOLLOP_BACKUP_NAME"'`
    #[arg(long, value_name = "COMMAND")]
    pub then: Option<String>,
    /// Keep backups for so long, `30d`; older ones are removed afterwards, the new one never.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub keep_for: Option<Duration>,
}

/// What else can be done with backups.
#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// The backups there are, newest first.
    ///
    /// Example: `dollop backup list`
    List(BackupListArgs),
    /// Compare every file of a backup with its checksum.
    ///
    /// `dollop restore --verify` goes further: it takes everything back for a trial.
    /// Example: `dollop backup verify latest`
    Verify(BackupVerifyArgs),
}

/// Where backups are kept.
#[derive(Debug, Args)]
pub struct ShelfArgs {
    /// The folder of backups [default: `.dollop/backups` of the stack].
    #[arg(long, value_name = "FOLDER", value_hint = clap::ValueHint::DirPath)]
    pub out: Option<PathBuf>,
}

/// `dollop backup list`.
#[derive(Debug, Args)]
pub struct BackupListArgs {
    /// Whose.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Where backups are kept.
    #[command(flatten)]
    pub shelf: ShelfArgs,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// `dollop backup verify`.
#[derive(Debug, Args)]
pub struct BackupVerifyArgs {
    /// The folder of a backup, its name, or `latest`.
    #[arg(value_name = "BACKUP", default_value = "latest")]
    pub backup: String,
    /// Whose.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Where backups are kept.
    #[command(flatten)]
    pub shelf: ShelfArgs,
}

/// `dollop restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The folder of a backup, its name, or `latest`.
    #[arg(value_name = "BACKUP")]
    pub backup: String,
    /// Only these: addresses, or patterns; may be repeated.
    #[arg(long, value_name = "ADDRESS", add = complete::addresses())]
    pub only: Vec<String>,
    /// Which stack it is restored to.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Where backups are kept.
    #[command(flatten)]
    pub shelf: ShelfArgs,
    /// Restore nothing, but take everything back for a trial: into containers and volumes
    /// made for it and removed again, where rows and topology are compared.
    #[arg(long, conflicts_with_all = ["auto_approve", "allow_data_loss"])]
    pub verify: bool,
    /// Do not ask.
    #[arg(long)]
    pub auto_approve: bool,
    /// What may be overwritten.
    #[command(flatten)]
    pub consent: ConsentArgs,
}
