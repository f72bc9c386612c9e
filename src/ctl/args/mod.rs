//! The command line: one struct a verb, and the splitter that gives `run` its own rule.

mod jobs;
mod machine;
mod net;
mod run;
mod split;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

pub use jobs::{AttachArgs, CancelArgs, HistoryArgs, JobsArgs, LimitArgs, LogsArgs, ResultsArgs, TopArgs};
pub use machine::{
    AddArgs, CompletionsArgs, ConfigAction, ConfigArgs, DemoArgs, DoctorArgs, DownArgs, EnvAction, EnvArgs,
    EnvCreateArgs, InviteArgs, JoinArgs, KickArgs, ListDirectArgs, ManArgs, PeersArgs, RemoveArgs, SetupArgs,
    StatusArgs, TrustArgs, UpArgs, WhoamiArgs,
};
pub use net::{NetAction, NetArgs, NetProxyAction, NetProxyArgs};
pub use run::RunArgs;
pub use split::AFTER_SCRIPT;

/// Run your scripts on your friends' idle machines.
#[derive(Debug, Parser)]
#[command(
    name = "homie",
    bin_name = "homie",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Cli {
    /// Print one JSON document (see docs/json.md)
    #[arg(long, global = true)]
    pub json: bool,
    /// No colours (NO_COLOR does the same)
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Only what was asked for: no cards, no progress
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set this machine up: name, group, engine
    Setup(SetupArgs),
    /// Start homied: find friends and take their jobs
    Up(UpArgs),
    /// Stop homied; jobs that run here go on, and the next `homie up` takes up their results
    Down(DownArgs),
    /// Show this machine
    Status(StatusArgs),
    /// List the machines of your friends
    Peers(PeersArgs),
    /// Show who you are to your friends
    Whoami(WhoamiArgs),
    /// Show the configuration and where each value comes from, or change it
    Config(ConfigArgs),
    /// Run a script on the best machine, and bring its files home
    Run(Box<RunArgs>),
    /// List your jobs
    Jobs(JobsArgs),
    /// Print what a job wrote
    Logs(LogsArgs),
    /// Follow a job to its end and bring its files home
    Attach(AttachArgs),
    /// Bring the files of a finished job home
    Results(ResultsArgs),
    /// Cancel a job
    Cancel(CancelArgs),
    /// Show what the jobs that run here use now
    Top(TopArgs),
    /// Change the limits of a job that runs here
    Limit(LimitArgs),
    /// Show past jobs, sent and hosted
    History(HistoryArgs),
    /// Add a machine that broadcasts do not reach, by its address
    Add(AddArgs),
    /// Remove a machine that was added, or that others introduced and that is gone
    Remove(RemoveArgs),
    /// List the machines that were added
    ListDirect(ListDirectArgs),
    /// Make an invitation: one line with which one machine can join your group
    Invite(InviteArgs),
    /// Join a friend's group with an invitation
    Join(JoinArgs),
    /// Put a machine out of the group, for everybody
    Kick(KickArgs),
    /// Show which key each name stands for, or take a machine's new key
    Trust(TrustArgs),
    /// The proxy that homied uses, for other programs
    Net(NetArgs),
    /// The environments that jobs run in
    Env(EnvArgs),
    /// Say what works here and what this machine cannot give; with --sandbox, try to break out of it
    Doctor(DoctorArgs),
    /// Two homied on this machine, one real job from one to the other
    Demo(DemoArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Write the manual pages
    #[command(hide = true)]
    Man(ManArgs),
}

impl Cli {
    /// Reads a command line, program name first.
    ///
    /// # Errors
    /// clap's own: usage, help and version, ready to print.
    pub fn read(argv: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        Self::try_parse_from(split::normalise(argv.into_iter().collect()))
    }

    /// Whether the words after `run` hold its script (or the code in its place) already.
    pub fn script_given(words: &[OsString]) -> bool {
        split::script_given(words)
    }

    /// Whether a command line that [`Cli::read`] refuses asks for JSON, so that its refusal is JSON too.
    pub fn wants_json(argv: &[OsString]) -> bool {
        let ours = split::normalise(argv.to_vec());
        ours.iter().skip(1).take_while(|word| *word != "--").any(|word| word == "--json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_of_the_documentation_exists() {
        let tree = Cli::command();
        for verb in "setup up down status peers whoami config run jobs logs attach results cancel history add remove \
                     list-direct trust demo completions env doctor top limit net"
            .split_whitespace()
        {
            assert!(tree.find_subcommand(verb).is_some(), "{verb}");
        }
    }
}
