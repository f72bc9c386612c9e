//! Verbs about jobs.

use std::path::PathBuf;

use clap::Args;

use crate::model::{Amount, parse_count, parse_cpus, parse_duration, parse_size};

/// `homie jobs`
#[derive(Debug, Args)]
pub struct JobsArgs {
    /// Ended jobs too
    #[arg(long, short)]
    pub all: bool,
    /// Jobs that run here for others, instead of those sent from here
    #[arg(long)]
    pub hosted: bool,
}

/// `homie logs JOB`
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Job id, the first digits of one, or `last`
    #[arg(default_value = "last")]
    pub job: String,
    /// Wait for more until the job ends
    #[arg(long, short)]
    pub follow: bool,
    /// Exactly the bytes the job wrote: no names in front, nothing made printable
    #[arg(long)]
    pub raw: bool,
}

/// `homie attach JOB`
#[derive(Debug, Args)]
pub struct AttachArgs {
    /// Job id, the first digits of one, or `last`
    #[arg(default_value = "last")]
    pub job: String,
    /// Put results there instead of where `run` was called
    #[arg(long, value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
    /// Exactly the bytes the job wrote: no names in front, nothing made printable
    #[arg(long)]
    pub raw: bool,
}

/// `homie results JOB`
#[derive(Debug, Args)]
pub struct ResultsArgs {
    /// Job id, the first digits of one, or `last`
    #[arg(default_value = "last")]
    pub job: String,
    /// Put them there instead of where `run` was called
    #[arg(long, value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
    /// Let these replace files that were sent, or be hidden ones
    #[arg(long, value_name = "GLOB", action = clap::ArgAction::Append)]
    pub output: Vec<String>,
}

/// `homie cancel JOB`
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// Job ids, the first digits of them, or `last`
    #[arg(required = true)]
    pub jobs: Vec<String>,
}

/// `homie top`
#[derive(Debug, Args)]
pub struct TopArgs {
    /// One picture, and no more
    #[arg(long)]
    pub once: bool,
}

/// `homie limit JOB`
#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("what").required(true).multiple(true).args(["cpu", "memory", "timeout", "pids"]),
    after_help = "For jobs that run on this machine, whoever sent them. A plus gives more: --timeout +2h, --memory +1g."
)]
pub struct LimitArgs {
    /// Job id, the first digits of one, or `last`
    pub job: String,
    /// Cores it gets (2, +0.5)
    #[arg(long, value_name = "CORES", value_parser = |text: &str| Amount::parse(text, |t| parse_cpus(t).map(u64::from)))]
    pub cpu: Option<Amount>,
    /// Memory it gets (8g, +2g)
    #[arg(long, value_name = "SIZE", value_parser = |text: &str| Amount::parse(text, parse_size))]
    pub memory: Option<Amount>,
    /// Time it gets, counted from its start (3h, +2h)
    #[arg(long, value_name = "TIME", value_parser = |text: &str| Amount::parse(text, parse_duration))]
    pub timeout: Option<Amount>,
    /// Processes and threads it gets (512, +100)
    #[arg(long, value_name = "N", value_parser = |text: &str| Amount::parse(text, parse_count))]
    pub pids: Option<Amount>,
}

/// `homie history`
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Only jobs with this peer
    #[arg(long, short = 'n', visible_alias = "name", value_name = "NAME")]
    pub peer: Option<String>,
    /// Totals by peer
    #[arg(long)]
    pub stats: bool,
    /// Only jobs sent from here
    #[arg(long, conflicts_with = "hosted")]
    pub sent: bool,
    /// Only jobs hosted here
    #[arg(long)]
    pub hosted: bool,
    /// At most this many, newest first
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
}
