//! MonitorActor: merges what is sampled with what the other rooms report, and publishes it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use actix::{Actor, AsyncContext, Context, Handler, ResponseFuture};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::change::worth_telling;
use super::error::MonitorError;
use super::gpu::Gpus;
use super::messages::{GpuHolder, LookAtGpus, SetEngines, SetEnvs, SetHosting, SetLimits};
use super::sample::{Sample, Sampler};
use super::smoothing::Smooth;
use crate::mailbox::{AskError, Door, MAILBOX, Word, ask};
use crate::model::{Facts, Gpu, GpuUse, Limits, SeenGpu};

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
    /// NVIDIA's library, if not the one that the loader finds (`HOMIE_NVML`).
    pub nvml: Option<PathBuf>,
}

/// Own load and offer, for everybody who decides by it.
#[derive(Debug)]
pub struct MonitorActor {
    disk: PathBuf,
    nvml: Option<PathBuf>,
    facts: Facts,
    /// The GPUs as last seen; `facts` says besides which ones jobs have.
    seen: watch::Sender<Vec<SeenGpu>>,
    holders: watch::Sender<Vec<GpuHolder>>,
    gpu_share: bool,
    /// Whoever wants a look right now.
    looks: mpsc::Sender<oneshot::Sender<Vec<SeenGpu>>>,
    /// The other end, until the actor has started.
    asked: Option<mpsc::Receiver<oneshot::Sender<Vec<SeenGpu>>>>,
    cpu: Smooth,
    sampled: Option<Instant>,
    told: watch::Sender<Facts>,
    tasks: JoinSet<()>,
}

/// A look at the machine.
#[derive(Debug, Word)]
#[rtype(result = "()")]
struct Sampled(Sample);

/// A look at the GPUs.
#[derive(Debug, Word)]
#[rtype(result = "()")]
struct SawGpus(Vec<SeenGpu>);

/// What a started monitor gives.
#[derive(Debug)]
pub struct Monitor {
    /// Itself.
    pub door: Door<MonitorActor>,
    /// What peers are told.
    pub facts: watch::Receiver<Facts>,
    /// The GPUs with what only this machine needs to know.
    pub gpus: watch::Receiver<Vec<SeenGpu>>,
}

/// Starts the monitor, inside the System. The facts have this machine's size from the start; its load follows.
///
/// # Errors
/// The system does not tell its processors and memory.
pub fn start(parts: MonitorParts) -> Result<Monitor, MonitorError> {
    let (actor, facts) = MonitorActor::new(parts)?;
    let gpus = actor.seen.subscribe();
    Ok(Monitor { door: actor.start(), facts, gpus })
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
        // More at once than jobs are ever offered at once; one who finds it full is told what was last seen.
        let (looks, asked) = mpsc::channel(64);
        let monitor = Self {
            disk: parts.disk,
            nvml: parts.nvml,
            facts,
            seen: watch::Sender::default(),
            holders: watch::Sender::default(),
            gpu_share: false,
            looks,
            asked: Some(asked),
            cpu: Smooth::default(),
            sampled: None,
            told,
            tasks: JoinSet::new(),
        };
        Ok((monitor, receiver))
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
        self.publish();
    }

    /// The GPUs as peers are told of them.
    fn tell_gpus(&mut self) {
        let holders = self.holders.borrow();
        let held = |gpu: &Gpu| !self.gpu_share && holders.iter().any(|h| h.gpus.contains(&gpu.index));
        let told = |seen: &SeenGpu| {
            let by_job = held(&seen.gpu).then_some(GpuUse::Job);
            Gpu { taken: seen.gpu.taken.or(by_job), ..seen.gpu.clone() }
        };
        self.facts.gpus = self.seen.borrow().iter().map(told).collect();
        drop(holders);
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
        if let Some(asked) = self.asked.take() {
            let gpus = Gpus::new(self.nvml.take());
            self.tasks.spawn(look_at_gpus(ctx.address(), gpus, asked, self.holders.subscribe()));
        }
    }
}

/// Looks at the GPUs at their own pace and whenever somebody asks, apart from the rest: a driver that hangs shall not
/// hold up the load.
async fn look_at_gpus(
    to: Door<MonitorActor>,
    mut gpus: Gpus,
    mut asked: mpsc::Receiver<oneshot::Sender<Vec<SeenGpu>>>,
    mut holders: watch::Receiver<Vec<GpuHolder>>,
) {
    let mut asking = Vec::new();
    loop {
        let jobs = holders.borrow_and_update().clone();
        let look = tokio::task::spawn_blocking(move || {
            let seen = gpus.look(&jobs);
            let pause = gpus.pause(&jobs);
            (gpus, seen, pause)
        });
        let Ok((back, seen, pause)) = look.await else { return };
        gpus = back;
        if ask(&to, SawGpus(seen.clone()), TICK).await == Err(AskError::Stopped("MonitorActor")) {
            return;
        }
        for asker in asking.drain(..) {
            // One who has lost patience needs no answer.
            let _: Result<(), _> = oneshot::Sender::send(asker, seen.clone());
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            changed = holders.changed() => if changed.is_err() { return },
            Some(asker) = asked.recv() => asking.push(asker),
        }
        while let Ok(asker) = asked.try_recv() {
            asking.push(asker);
        }
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

impl Handler<SetEnvs> for MonitorActor {
    type Result = ();
    fn handle(&mut self, m: SetEnvs, _: &mut Context<Self>) {
        self.facts.envs = m.envs;
        self.facts.builds = m.builds;
        self.publish();
    }
}

impl Handler<SetHosting> for MonitorActor {
    type Result = ();
    fn handle(&mut self, m: SetHosting, _: &mut Context<Self>) {
        self.facts.jobs_running = m.running;
        self.facts.job_slots = m.slots;
        self.gpu_share = m.gpu_share;
        self.holders.send_if_modified(|known| {
            let news = *known != m.gpus;
            *known = m.gpus;
            news
        });
        self.tell_gpus();
    }
}

impl Handler<SawGpus> for MonitorActor {
    type Result = ();
    fn handle(&mut self, SawGpus(seen): SawGpus, _: &mut Context<Self>) {
        self.seen.send_replace(seen);
        self.tell_gpus();
    }
}

impl Handler<LookAtGpus> for MonitorActor {
    type Result = ResponseFuture<Vec<SeenGpu>>;
    fn handle(&mut self, _: LookAtGpus, _: &mut Context<Self>) -> Self::Result {
        let (tell, told) = oneshot::channel();
        let last = self.seen.borrow().clone();
        let queued = self.looks.try_send(tell).is_ok();
        Box::pin(async move { if queued { told.await.unwrap_or(last) } else { last } })
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
            let parts = MonitorParts { limits: limits.clone(), slots: 3, disk: std::env::temp_dir(), nvml: None };
            let Monitor { door, mut facts, .. } = start(parts).expect("monitor");
            let first = facts.borrow().clone();
            assert!(first.cores > 0 && first.memory_free_bytes > 0 && first.disk_free_bytes > 0, "{first:?}");
            assert_eq!((first.job_slots, first.cpu_limit_millis, first.timeout_limit_s), (3, 1500, 60));
            assert_eq!(first.memory_limit_bytes, 7 << 30);

            let engine =
                EngineOffer { kind: EngineKind::Native, isolation: Isolation::Namespace, envs: vec![], lacks: vec![] };
            ask(&door, SetEngines { engines: vec![engine.clone()] }, LIMIT).await.expect("answer");
            assert_eq!(until(&mut facts, |f| !f.engines.is_empty()).await.engines, [engine]);
            ask(&door, SetHosting { running: 1, slots: 2, gpus: vec![], gpu_share: false }, LIMIT)
                .await
                .expect("answer");
            assert_eq!(until(&mut facts, |f| f.jobs_running == 1).await.job_slots, 2);
            ask(&door, SetLimits { limits: Limits { timeout_s: 5, ..limits }, slots: 4 }, LIMIT).await.expect("answer");
            assert_eq!(until(&mut facts, |f| f.timeout_limit_s == 5).await.job_slots, 4);
        });
    }

    #[test]
    fn samples_are_merged_smoothed_and_only_told_when_they_are_news() {
        let parts = MonitorParts { limits: Limits::default(), slots: 1, disk: std::env::temp_dir(), nvml: None };
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
