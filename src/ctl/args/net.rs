//! Verbs about the ways out of this machine.

use std::ffi::OsString;

use clap::{Args, Subcommand};

/// `homie net`
#[derive(Debug, Args)]
pub struct NetArgs {
    /// What to do
    #[command(subcommand)]
    pub action: NetAction,
}

/// `homie net ...`
#[derive(Debug, Subcommand)]
pub enum NetAction {
    /// The proxy by which machines added by address are reached
    Proxy(NetProxyArgs),
    /// Run a command with that proxy in its environment
    #[command(after_help = "Example: homie net exec -- curl https://example.org")]
    Exec {
        /// The command and its arguments
        #[arg(value_name = "CMD", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
}

/// `homie net proxy`
#[derive(Debug, Args)]
pub struct NetProxyArgs {
    /// What to do
    #[command(subcommand)]
    pub action: NetProxyAction,
}

/// `homie net proxy ...`
#[derive(Debug, Subcommand)]
pub enum NetProxyAction {
    /// Print ALL_PROXY and its sisters for a shell: eval "$(homie net proxy env)"
    #[command(
        after_help = "It is `proxy` of the configuration, else what the environment says; `proxy_rules` are for \
single machines and not among it. A login in the proxy's URL is printed as it is, password and all, also by --json: \
programs need it."
    )]
    Env,
}
