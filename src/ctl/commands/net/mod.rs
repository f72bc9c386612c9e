//! `homie net`: the proxy that homied uses, for other programs.

mod variables;

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use serde_json::{Map, Value, json};

use super::config;
use crate::ctl::args::{NetAction, NetArgs, NetProxyAction, NetProxyArgs};
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use variables::{Variable, lines, variables};

/// Runs it.
///
/// # Errors
/// homied refuses, the configuration cannot be read, or the command cannot be started.
pub async fn run(ctx: &Context, args: NetArgs) -> Result<ExitCode, CtlError> {
    let proxy = config::proxy(ctx).await?;
    let set = variables(&proxy, |name| std::env::var(name).ok());
    match args.action {
        NetAction::Proxy(NetProxyArgs { action: NetProxyAction::Env }) => {
            print(ctx, &proxy, &set).map(|()| ExitCode::SUCCESS)
        }
        NetAction::Exec { command } => Err(exec(command, set)),
    }
}

fn print(ctx: &Context, proxy: &str, set: &[Variable]) -> Result<(), CtlError> {
    if ctx.json {
        return ctx.print_json(&json!({ "version": 1, "proxy": document(proxy, set) }));
    }
    if set.is_empty() {
        ctx.note(match proxy {
            "direct" => "No proxy: `proxy` is `direct` in the configuration.",
            _ => "No proxy: neither `proxy` in the configuration nor ALL_PROXY and its sisters name one.",
        });
    }
    ctx.print(&lines(set))
}

fn document(proxy: &str, set: &[Variable]) -> Value {
    let from = match proxy {
        _ if set.is_empty() => None,
        "auto" => Some("environment"),
        _ => Some("config"),
    };
    let variables: Map<String, Value> =
        set.iter().map(|(name, value)| ((*name).into(), value.clone().into())).collect();
    json!({ "from": from, "variables": variables })
}

/// Becomes the command, so that signals and the exit code are its own; comes back only with an error.
fn exec(command: Vec<OsString>, set: Vec<Variable>) -> CtlError {
    let mut words = command.into_iter();
    let Some(program) = words.next() else {
        return CtlError::usage_hint("no command was given", "homie net exec -- curl https://example.org");
    };
    let source = Command::new(&program).args(words).envs(set).exec();
    CtlError::NotStarted { program: program.to_string_lossy().into_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_where_the_proxy_comes_from() {
        let set = [("ALL_PROXY", "socks5h://me:pw@h:1".to_owned())];
        let wanted = |from| json!({ "from": from, "variables": { "ALL_PROXY": "socks5h://me:pw@h:1" } });
        assert_eq!(document("socks5h://me:pw@h:1", &set), wanted("config"));
        assert_eq!(document("auto", &set), wanted("environment"));
        assert_eq!(document("direct", &[]), json!({ "from": null, "variables": {} }));
    }
}
