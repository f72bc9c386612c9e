//! The environment of one hosted job: how it would be had, and having it.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::watch;

use super::books::who_has;
use super::held::EnvHeld;
use super::keeper::{Ask, Keeper, nameless};
use crate::model::{
    BuildFailure, BuildProgress, EngineKind, FailKind, FailedBuild, HostedStatus, JobSpec, Outcome, PeerId,
};
use crate::sandbox::follow::Orders;

/// Between two reports of progress to the submitter: livelier than this nobody reads.
const PACE: Duration = Duration::from_millis(250);
/// Lines of output that travel with each report; the failure has them all.
const LINES: usize = 3;
/// Lines that a failed job's message ends with.
const LAST_LINES: usize = 12;

/// How a job's environment would be had here, the best first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sandbox) enum EnvRoad {
    /// It is here.
    Here,
    /// A friend has it.
    Friend,
    /// It can be built.
    Build,
    /// Not at all: why, and what to do.
    None(String, Option<String>),
}

/// The environment that a job names, unless it is `base`.
fn named(spec: &JobSpec) -> Option<&str> {
    spec.env.as_deref().filter(|name| *name != "base")
}

fn ask(spec: &JobSpec, name: &str, engine: EngineKind, from: Option<PeerId>) -> Ask {
    let wish = spec.wanted.as_deref().cloned();
    Ask { name: name.to_owned(), wish, engine, from, again: false }
}

impl Keeper {
    /// How an environment would be had with an engine.
    async fn road(&self, ask: &Ask) -> EnvRoad {
        let make = {
            let books = self.0.books();
            if books.find(&ask.name, ask.wish.as_ref(), ask.engine, ask.from).is_some() {
                return EnvRoad::Here;
            }
            let wish = ask.wish.clone().or_else(|| books.wish(&ask.name));
            let wish = wish.ok_or_else(|| nameless(&ask.name));
            wish.and_then(|wish| books.make(&ask.name, &wish, ask.engine, self.allowed(ask)))
        };
        if who_has(&self.peers().await, &ask.name, ask.wish.as_ref(), ask.engine).is_some() {
            return EnvRoad::Friend;
        }
        match make {
            Ok(_) => EnvRoad::Build,
            Err(failure) => EnvRoad::None(failure.message, failure.hint),
        }
    }
}

/// How the environment of an offered job would be had, by engine; nothing for `base`. `from` is the friend who asks.
pub(in crate::sandbox) async fn roads(
    keeper: &Keeper,
    spec: &JobSpec,
    from: Option<PeerId>,
) -> Vec<(EngineKind, EnvRoad)> {
    let Some(name) = named(spec) else { return Vec::new() };
    let mut roads = Vec::new();
    for engine in [EngineKind::Docker, EngineKind::Native] {
        roads.push((engine, keeper.road(&ask(spec, name, engine, from)).await));
    }
    roads
}

/// Has the environment here, and tells the submitter how it goes on. `None` is `base`.
///
/// # Errors
/// How the job ends without it.
pub(in crate::sandbox) async fn for_job(
    keeper: &Keeper,
    spec: &JobSpec,
    engine: EngineKind,
    from: Option<PeerId>,
    orders: &mut watch::Receiver<Orders>,
    status: &watch::Sender<HostedStatus>,
) -> Result<Option<EnvHeld>, Outcome> {
    let Some(name) = named(spec) else { return Ok(None) };
    let ask = ask(spec, name, engine, from);
    let (progress, news) = watch::channel(BuildProgress::default());
    let report = async {
        let mut news = news;
        while news.changed().await.is_ok() {
            let mut now = news.borrow_and_update().clone();
            let more = now.lines.len().saturating_sub(LINES);
            now.lines.drain(..more);
            status.send_modify(|s| s.preparing = Some(now));
            tokio::time::sleep(PACE).await;
        }
    };
    let mut report = pin!(report);
    let mut had = pin!(keeper.ensure(&ask, &progress));
    let mut told = false;
    let ended = loop {
        tokio::select! {
            ended = &mut had => break ended,
            () = &mut report, if !told => told = true,
            // Without anybody to give orders homied is on its way down; the next one begins again.
            Ok(ordered) = orders.wait_for(|o| o.stop.is_some() || o.forget) => {
                let by = ordered.stop.clone().unwrap_or_else(|| "you".to_owned());
                return Err(Outcome::Cancelled { by });
            }
        }
    };
    status.send_modify(|s| s.preparing = None);
    ended.map(Some).map_err(|failure| Outcome::failed(kind(&failure), sentence(name, &failure)))
}

fn kind(failure: &BuildFailure) -> FailKind {
    match failure.kind {
        FailedBuild::DiskFull => FailKind::DiskLimit,
        _ => FailKind::Environment,
    }
}

/// What the submitter reads: what failed at which step, what to do, and the last lines.
fn sentence(name: &str, failure: &BuildFailure) -> String {
    let step = if failure.at.steps > 0 { format!(" at {}", failure.at.sentence()) } else { String::new() };
    let mut text = format!("environment {name} could not be made{step}: {}", failure.message);
    if let Some(hint) = &failure.hint {
        text.push_str(&format!("; {hint}"));
    }
    let lines = &failure.at.lines;
    for line in &lines[lines.len().saturating_sub(LAST_LINES)..] {
        text.push_str(&format!("\n  {line}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BuildStep;

    #[test]
    fn a_failure_names_the_step_and_ends_with_the_last_lines() {
        let mut failure = BuildFailure::new(FailedBuild::Step, "pip ended with 1").hint("try another version");
        *failure.at = BuildProgress { step: 3, steps: 5, what: BuildStep::Install, ..BuildProgress::default() };
        for n in 0..30 {
            failure.at.push_line(format!("line {n}").as_bytes());
        }
        let text = sentence("ml", &failure);
        assert!(
            text.starts_with("environment ml could not be made at step 3/5: installing Python packages: pip ended")
        );
        assert!(text.contains("; try another version\n  line 18\n") && text.ends_with("line 29"), "{text}");
        assert_eq!(kind(&BuildFailure::new(FailedBuild::DiskFull, "x")), FailKind::DiskLimit);
    }
}
