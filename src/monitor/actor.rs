//! MonitorActor: merges what is sampled with what the other rooms report, and publishes it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use actix::{Actor, AsyncContext, Context, Handler};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::change::worth_telling;
use super::error::MonitorError;
use super::messages::{SetEngines, SetHosting, SetLimits};
use super::sample::{Sample, Sampler};
use super::smoothing::Smooth;
use crate::mailbox::{AskError, Door, MAILBOX, Word, ask};
use crate::model::{Facts, Limits};

/// Between two looks: as often as heartbeats go out.
const TICK: Duration = Duration::from_secs(2);
/// Before the first: processor use is a difference of two looks, and the kernel counts in steps of 10 ms.
const FIRST_TICK: Duration = Duration::from_millis(250);

/// What the monitor is made of.
#[derive(Debug, Clone)]
pub struct MonitorParts {
    /// The caps of a hosted job.
    pub limits: Limits,
    /// Jobs hosted at once.
    pub slots: u16,
    /// A directory on the file system where jobs live.
    pub disk: PathBuf,
}

/// Own load and offer, for everybody who decides by it.
#[derive(Debug)]
pub struct MonitorActor {
    disk: PathBuf,
    facts: Facts,
    cpu: Smooth,
    sampled: Option<Instant>,
    told: watch::Sender<Facts>,
    tasks: JoinSet<()>,
}

/// A look at the machine.
#[derive(Debug, Word)]
#[rtype(result = "()")]
struct Sampled(Sample);

/// Starts the monitor, inside the System. The receiver has this machine's size from the start; its load follows.
///
/// # Errors
/// The system does not tell its processors and memory.
pub fn start(parts: MonitorParts) -> Result<(Door<MonitorActor>, watch::Receiver<Facts>), MonitorError> {
    let (actor, receiver) = MonitorActor::new(parts)?;
    Ok((actor.start(), receiver))
}

fn offer(facts: &mut Facts, limits: &Limits) {
    facts.cpu_limit_millis = limits.cpu_millis;
    facts.memory_limit_bytes = limits.memory_bytes;
    facts.timeout_limit_s = limits.timeout_s;
    facts.gpu_limit = limits.gpus;
}

impl MonitorActor {
    fn new(parts: MonitorParts) -> Result<(Self, watch::Receiver<Facts>), MonitorError> {
        // GPUs are left to the first look in the background: loading their driver may take a second.
        let mut facts = super::sample::size(&parts.disk).map_err(MonitorError)?;
        offer(&mut facts, &parts.limits);
        facts.job_slots = parts.slots;
        let (told, receiver) = watch::channel(facts.clone());
        let (cpu, sampled, tasks) = (Smooth::default(), None, JoinSet::new());
        Ok((Self { disk: parts.disk, facts, cpu, sampled, told, tasks }, receiver))
    }

    /// Takes in a look at the machine.
    fn take(&mut self, s: Sample) {
        let since = self.sampled.map_or(TICK, |before| s.at.saturating_duration_since(before));
        self.sampled = Some(s.at);
        // In 0..=100 after the clamp, so the cast keeps it; NaN becomes 0.
        self.facts.cpu_percent = self.cpu.push(s.cpu_percent.clamp(0.0, 100.0), since).round() as u8;
        self.facts.cores = s.cores;
        self.facts.memory_bytes = s.memory_bytes;
        self.facts.memory_free_bytes = s.memory_free_bytes;
        self.facts.disk_free_bytes = s.disk_free_bytes;
        self.facts.gpus = s.gpus;
        self.publish();
    }

    fn publish(&self) {
        self.told.send_if_modified(|told| {
            let news = worth_telling(told, &self.facts);
            if news {
                told.clone_from(&self.facts);
            }
            news
        });
    }
}

impl Actor for MonitorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.tasks.spawn(look_for_ever(ctx.address(), self.disk.clone()));
    }
}

/// Looks at the machine on a blocking thread, tick by tick, until the actor is gone. A look that hangs (a broken GPU
/// driver does that) leaves the last facts as they are, and nothing piles up behind it.
async fn look_for_ever(to: Door<MonitorActor>, disk: PathBuf) {
    let mut sampler = match Sampler::new(disk) {
        Ok(sampler) => sampler,
        Err(e) => return tracing::error!("this machine's load cannot be seen: {e}"),
    };
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + FIRST_TICK, TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let look = tokio::task::spawn_blocking(move || {
            let sample = sampler.sample();
            (sampler, sample)
        });
        let Ok((back, sample)) = look.await else { return };
        sampler = back;
        if ask(&to, Sampled(sample), TICK).await == Err(AskError::Stopped("MonitorActor")) {
            return;
        }
    }
}

impl Handler<Sampled> for MonitorActor {
    type Result = ();
    fn handle(&mut self, Sampled(sample): Sampled, _: &mut Context<Self>) {
        self.take(sample);
    }
}

impl Handler<SetEngines> for MonitorActor {
    type Result = ();
    fn handle(&mut self, m: SetEngines, _: &mut Context<Self>) {
        self.facts.engines = m.engines;
        self.publish();
    }
}

impl Handler<SetHosting> for MonitorActor {
    type Result = ();
    fn handle(&mut self, m: SetHosting, _: &mut Context<Self>) {
        self.facts.jobs_running = m.running;
        self.facts.job_slots = m.slots;
        self.publish();
    }
}

impl Handler<SetLimits> for MonitorActor {
    type Result = ();
    fn handle(&mut self, m: SetLimits, _: &mut Context<Self>) {
        offer(&mut self.facts, &m.limits);
        self.facts.job_slots = m.slots;
        self.publish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EngineKind, EngineOffer, Isolation};

    const LIMIT: Duration = Duration::from_secs(60);

    async fn until(facts: &mut watch::Receiver<Facts>, wanted: impl FnMut(&Facts) -> bool) -> Facts {
        let seen = tokio::time::timeout(LIMIT, facts.wait_for(wanted)).await;
        seen.expect("in time").expect("monitor lives").clone()
    }

    #[test]
    fn facts_are_there_at_once_and_follow_what_the_rooms_report() {
        actix::System::new().block_on(async {
            let limits = Limits { cpu_millis: 1500, memory_bytes: 7 << 30, timeout_s: 60, ..Limits::default() };
            let parts = MonitorParts { limits: limits.clone(), slots: 3, disk: std::env::temp_dir() };
            let (door, mut facts) = start(parts).expect("monitor");
            let first = facts.borrow().clone();
            assert!(first.cores > 0 && first.memory_free_bytes > 0 && first.disk_free_bytes > 0, "{first:?}");
            assert_eq!((first.job_slots, first.cpu_limit_millis, first.timeout_limit_s), (3, 1500, 60));
            assert_eq!(first.memory_limit_bytes, 7 << 30);

            let engine = EngineOffer { kind: EngineKind::Native, isolation: Isolation::Namespace, envs: vec![] };
            ask(&door, SetEngines { engines: vec![engine.clone()] }, LIMIT).await.expect("answer");
            assert_eq!(until(&mut facts, |f| !f.engines.is_empty()).await.engines, [engine]);
            ask(&door, SetHosting { running: 1, slots: 2 }, LIMIT).await.expect("answer");
            assert_eq!(until(&mut facts, |f| f.jobs_running == 1).await.job_slots, 2);
            ask(&door, SetLimits { limits: Limits { timeout_s: 5, ..limits }, slots: 4 }, LIMIT).await.expect("answer");
            assert_eq!(until(&mut facts, |f| f.timeout_limit_s == 5).await.job_slots, 4);
        });
    }

    #[test]
    fn samples_are_merged_smoothed_and_only_told_when_they_are_news() {
        let parts = MonitorParts { limits: Limits::default(), slots: 1, disk: std::env::temp_dir() };
        let (mut monitor, mut told) = MonitorActor::new(parts).expect("monitor");
        let at = Instant::now();
        let mut take = |cpu_percent, s| {
            monitor.take(Sample {
                at: at + Duration::from_secs(s),
                cores: 77,
                cpu_percent,
                memory_bytes: 100 << 30,
                memory_free_bytes: 50 << 30,
                disk_free_bytes: 9 << 30,
                gpus: Vec::new(),
            });
            let news = told.has_changed().expect("monitor lives");
            news.then(|| told.borrow_and_update().cpu_percent)
        };
        assert_eq!(take(20.0, 0), Some(20));
        assert_eq!(take(24.0, 2), None, "noise");
        assert_eq!(take(f32::NAN, 4), Some(15), "nonsense counts as nothing");
        let after_a_spike = take(100.0, 6).expect("news");
        assert!((30..80).contains(&after_a_spike), "{after_a_spike}");
    }
}
