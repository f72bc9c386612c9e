//! The live dashboard of `homie up -f`: this machine's load, who is there, which jobs are under way.
//!
//! `state` holds what was last heard, `draw` turns it into widgets (both pure), `keys` reads the terminal; this file
//! asks homied each second and puts them together. Leaving the dashboard leaves homied running.

mod draw;
mod keys;
mod state;

use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use self::keys::{Keys, Pressed};
use self::state::{Snapshot, State};
use crate::ctl::cells::now_ms;
use crate::ctl::commands::{peers, status};
use crate::ctl::connect::Connection;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::wire::ipc::{ListJobs, PeersParams, method};

/// How often homied is asked: twice per heartbeat.
const EACH: Duration = Duration::from_secs(1);
/// How long one round of questions may take; after that the picture says that homied is away.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a pipe gets a new text.
const EACH_TEXT: Duration = Duration::from_secs(5);

/// Shows the dashboard until `q`; without a terminal a text every five seconds until Ctrl-C.
///
/// # Errors
/// The terminal or the output cannot be used. A homied that goes away is shown, and waited for.
pub async fn run(ctx: &Context) -> Result<ExitCode, CtlError> {
    let mut source = Source { ctx, homied: None };
    if !(ctx.out.tty && std::io::IsTerminal::is_terminal(&std::io::stdin())) || ctx.json {
        return texts(ctx, &mut source).await;
    }
    let mut state = State::default();
    let failed = |e| CtlError::io("cannot use the terminal", e);
    // Restores the terminal on a panic too.
    let mut terminal = ratatui::try_init().map_err(failed)?;
    let mut keys = Keys::start();
    let mut tick = interval(EACH);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let done = loop {
        if let Err(e) = terminal.draw(|frame| draw::draw(frame, &state, &ctx.out, Instant::now())) {
            break Err(failed(e));
        }
        tokio::select! {
            _ = tick.tick() => state.heard(source.look().await, Instant::now()),
            pressed = keys.next() => match pressed {
                Pressed::Quit => break Ok(ExitCode::SUCCESS),
                Pressed::Down => state.scroll(1),
                Pressed::Up => state.scroll(-1),
                Pressed::Redraw => {}
            },
        }
    };
    drop(keys);
    ratatui::try_restore().map_err(failed)?;
    if done.is_ok() {
        ctx.note("Homie stays up; `homie down` stops it.");
    }
    done
}

/// Where the pictures come from; connects anew when homied was away.
struct Source<'a> {
    ctx: &'a Context,
    homied: Option<Connection>,
}

impl Source<'_> {
    async fn look(&mut self) -> Result<Snapshot, CtlError> {
        let seen = match timeout(PATIENCE, self.ask()).await {
            Ok(seen) => seen,
            Err(_) => Err(CtlError::Broken(format!("no answer within {} s", PATIENCE.as_secs()))),
        };
        if seen.is_err() {
            // The connection may hold half an answer.
            self.homied = None;
        }
        seen
    }

    async fn ask(&mut self) -> Result<Snapshot, CtlError> {
        let homied = match &mut self.homied {
            Some(homied) => homied,
            slot => slot.insert(self.ctx.connect().await?),
        };
        let status = homied.call(method::STATUS, &()).await?;
        let peers = rows(homied, method::PEERS, &PeersParams { all: true }).await?;
        let mut jobs = rows(homied, method::JOB_LIST, &ListJobs { all: false, hosted: true }).await?;
        jobs.extend(rows(homied, method::JOB_LIST, &ListJobs { all: false, hosted: false }).await?);
        Ok(Snapshot::new(status, peers, jobs, now_ms()))
    }
}

async fn rows<P: Serialize, T: DeserializeOwned>(
    homied: &mut Connection,
    method: &str,
    params: &P,
) -> Result<Vec<T>, CtlError> {
    homied.call_rows(method, params).await
}

/// For pipes, log files and terminals that cannot be drawn on.
async fn texts(ctx: &Context, source: &mut Source<'_>) -> Result<ExitCode, CtlError> {
    loop {
        match source.look().await {
            Ok(seen) => ctx.print(&format!(
                "{}{}\n",
                status::up_card(&ctx.out, &seen.status),
                peers::table(&ctx.out, &seen.peers)
            ))?,
            Err(e) if e.is_away() => ctx.note(&e.to_string()),
            Err(e) => return Err(e),
        }
        tokio::select! {
            () = tokio::time::sleep(EACH_TEXT) => {}
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
        }
    }
}
