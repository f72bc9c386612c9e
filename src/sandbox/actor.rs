//! The sandbox's mailbox: who may do what to which hosted job, and whether another one fits. Everything that takes
//! time happens in the job's own task (see [`super::life`]).

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, MessageResult, ResponseActFuture, ResponseFuture, WrapFuture,
};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;

use super::admission::{Rules, Situation, admit};
use super::adopt::Found;
use super::assignments::{Earlier, Status, Turns, check_past, earlier, shutting_down, stale, unknown, when_accepted};
use super::engines::{Survey, preferred};
use super::envs::{Keeper, roads};
use super::escape::{self, Ground};
use super::hosted::{self, Hosted};
use super::life::{Entry, Life, Shared, blocking};
use super::live;
use super::messages::{
    AdmitJob, Borrower, CheckEngines, DrainSandbox, EngineTrouble, EngineWarnings, ForgetJob, HostedFeed, HostedJobs,
    HostedResults, LimitJob, LiveJobs, OpenResults, StartJob, StopJob, TryJails, WatchJob,
};
use super::parts::SandboxParts;
use super::policy::Machine;
use super::results::Results;
use super::seen::{Next, Seen, look_at_gpus};
use crate::clock::wall_ms;
use crate::mailbox::{Door, MAILBOX, Word, ask, tell, tell_outlet};
use crate::model::{Epoch, HostedState, JobId, JobRecord, Offer, PeerId};
use crate::monitor::messages::SetHosting;
use crate::pipe::{LogState, OutputLog};
use crate::wire::doctor::DoctorRow;
use crate::wire::ipc::{LimitedJob, LiveJob};
use crate::wire::refusal::{Refusal, RefusalKind};

/// How long a new assignment waits for the end of an older one of the same job: a kill takes milliseconds.
const REPLACE_LIMIT: Duration = Duration::from_secs(15);
/// The actor answers in microseconds; one that hangs this long hangs for good.
const GONE_LIMIT: Duration = Duration::from_secs(60);

/// Owns the jobs hosted here. See [`super`].
#[derive(Debug)]
pub struct SandboxActor {
    parts: SandboxParts,
    shared: Arc<Shared>,
    jobs: HashMap<JobId, Hosted>,
    lives: JoinSet<()>,
    survey: watch::Receiver<Option<Survey>>,
    draining: bool,
    /// One escape suite at a time.
    suite: Arc<Mutex<()>>,
    turns: Turns,
    builds: JoinSet<()>,
}

/// The task of a job has ended; nothing of it is left here.
#[derive(Debug, Word)]
#[rtype(result = "()")]
struct Gone {
    job: JobId,
    epoch: Epoch,
}

/// A slot became free or was taken.
#[derive(Debug, Word)]
#[rtype(result = "()")]
struct SlotsChanged;

/// Starts the actor with what an earlier homied left.
pub(super) fn run(
    parts: SandboxParts,
    shared: Arc<Shared>,
    survey: watch::Receiver<Option<Survey>>,
    found: Vec<Found>,
) -> Door<SandboxActor> {
    SandboxActor::create(|ctx| {
        let mut actor = SandboxActor {
            parts,
            shared,
            jobs: HashMap::new(),
            lives: JoinSet::new(),
            survey,
            draining: false,
            suite: Arc::default(),
            turns: Turns::default(),
            builds: JoinSet::new(),
        };
        for found in found {
            actor.adopt(found, &ctx.address());
        }
        actor
    })
}

impl Actor for SandboxActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.tell_hosting();
    }
}

impl SandboxActor {
    pub(super) fn keeper(&self) -> &Keeper {
        &self.shared.envs
    }

    /// Builds that the owner asked for.
    pub(super) fn builds(&mut self) -> &mut JoinSet<()> {
        &mut self.builds
    }

    fn tell_hosting(&self) {
        let running = self.jobs.values().filter(|j| j.is_active()).count() as u16;
        let (slots, gpu_share) = {
            let settings = self.parts.settings.borrow();
            (settings.job_slots, settings.gpu_share)
        };
        let holders = self.jobs.values().filter(|j| j.is_active() && !j.grant.gpus.is_empty());
        let gpus = holders.map(Hosted::gpu_holder).collect();
        tell_outlet(&self.parts.hosting, SetHosting { running, slots, gpus, gpu_share });
    }

    /// The job, if it is the asker's and of that assignment.
    fn find(&self, from: PeerId, job: JobId, epoch: Epoch) -> Result<&Hosted, Refusal> {
        let hosted = self.jobs.get(&job).filter(|h| h.borrower == from).ok_or_else(|| unknown(job))?;
        match hosted.base.epoch {
            have if have == epoch => Ok(hosted),
            have if have > epoch => Err(stale(job, have)),
            _ => Err(unknown(job)),
        }
    }

    /// Takes the job or says why not. Whoever is taken holds its slot from here on.
    fn decide(&mut self, from: &Borrower, offer: &Offer, seen: &Seen, me: &Door<Self>) -> Result<(), Refusal> {
        let Seen { survey, gpus, roads } = seen;
        let grant = {
            let settings = self.parts.settings.borrow();
            let facts = self.parts.facts.borrow();
            let rules = Rules {
                limits: settings.limits.clone(),
                slots: settings.job_slots,
                min_isolation: settings.min_isolation,
                engines: preferred(settings.engine),
                gpu_share: settings.gpu_share,
            };
            let trouble = survey.trouble().unwrap_or_default();
            // An earlier assignment of the same job has ended by now, though its entry may still be here.
            let active = || self.jobs.iter().filter(|(id, h)| **id != offer.job && h.is_active()).map(|(_, h)| h);
            let taken: Vec<u32> = active().flat_map(|h| h.grant.gpus.iter().map(|g| g.index)).collect();
            let situation = Situation {
                draining: self.draining,
                paused: facts.paused.as_deref(),
                engines: &survey.offers,
                engine_trouble: &trouble,
                hosted: active().count(),
                gpus,
                gpus_taken: &taken,
                gpu_engines: &survey.gpu_engines,
                disk_free: super::free_bytes(&self.parts.dir),
                machine: Machine { cores: facts.cores, memory_bytes: facts.memory_bytes },
                roads,
            };
            admit(&rules, &situation, offer, from.own)?
        };
        let record = hosted::accepted_record(offer, from, &grant, wall_ms());
        let found = Found {
            dir: self.parts.dir.join(super::engine::job_name(offer.job, offer.epoch)),
            status: hosted::accepted_status(&record),
            log: LogState::default(),
            orders: super::follow::Orders::default(),
            entry: Entry::New,
            record,
            grant,
            env: None,
            held: None,
        };
        self.adopt(found, me);
        self.tell_hosting();
        Ok(())
    }

    /// Begins or goes on with the life of a job.
    fn adopt(&mut self, found: Found, me: &Door<Self>) {
        let Found { record, grant, dir, status, log, orders, entry, env: _, held } = found;
        let (job, epoch) = (record.id, record.epoch);
        let (status_tx, status) = watch::channel(status);
        let (orders_tx, orders) = watch::channel(orders);
        let (accepted_tx, accepted) = watch::channel(None);
        let (running_tx, running) = watch::channel(None);
        let (limited_tx, limited) = watch::channel(None);
        let (announce, log) = OutputLog::new(dir.join(super::supervisor::OUTPUT), log);
        let image = self.survey.borrow().as_ref().and_then(|s| s.image(grant.engine, "base"));
        let borrower = record.peer.unwrap_or(PeerId([0; 32]));
        let life = Life {
            shared: Arc::clone(&self.shared),
            base: record.clone(),
            grant: grant.clone(),
            image,
            dir: dir.clone(),
            status: status_tx,
            announce,
            orders,
            accepted: accepted_tx,
            env: held,
            standby: super::standby::Early::No,
            running: running_tx,
            limited: limited_tx,
        };
        let me = me.clone();
        self.lives.spawn(async move {
            let slots = me.clone();
            // A full mailbox only delays the figure in the heartbeat; the next change repairs it.
            life.live(entry, move || {
                tell(&slots, SlotsChanged);
            })
            .await;
            // Unheard only when the actor itself is gone.
            let _ = ask(&me, Gone { job, epoch }, GONE_LIMIT).await;
        });
        self.jobs.insert(
            job,
            Hosted {
                borrower,
                base: record,
                grant,
                dir,
                status,
                log,
                orders: orders_tx,
                accepted,
                running,
                limited,
                limit_turn: Arc::default(),
            },
        );
        while self.lives.try_join_next().is_some() {}
    }
}

impl Handler<AdmitJob> for SandboxActor {
    type Result = ResponseActFuture<Self, Status>;

    fn handle(&mut self, AdmitJob { from, offer }: AdmitJob, _: &mut Self::Context) -> Self::Result {
        let turn = self.turns.of(offer.job);
        let mut survey = self.survey.clone();
        let (get, look) = (self.parts.get.clone(), self.parts.look_at_gpus.clone());
        let wants_gpus = offer.spec.needs.gpus > 0;
        let keeper = self.keeper().clone();
        let (asker, asked) = (from.clone(), offer.clone());
        let busy = |_| Refusal::new(RefusalKind::Busy, "an earlier assignment of the job is still being ended here");
        let our_turn = async move { tokio::time::timeout(REPLACE_LIMIT, turn.lock_owned()).await.map_err(busy) };
        let found = our_turn.into_actor(self).map(|turn, actor, _| {
            let turn = turn?;
            Ok((turn, earlier(actor.jobs.get(&asked.job), &asker, &asked)?, asker, asked))
        });
        let ready = found.then(move |found: Result<_, Refusal>, actor, _| {
            let ready = async move {
                let (turn, earlier, asker, asked) = found?;
                match earlier {
                    Earlier::Same(taken) => return Ok((turn, Next::Taken(taken))),
                    Earlier::None => check_past(&get, &asker, &asked).await?,
                    // Its task drops the status once the directory is gone.
                    Earlier::Older(mut status) => {
                        let gone = async { while status.changed().await.is_ok() {} };
                        tokio::time::timeout(REPLACE_LIMIT, gone).await.map_err(busy)?;
                    }
                }
                let gpus = look_at_gpus(&look, wants_gpus).await?;
                let survey = survey.wait_for(Option::is_some).await.map_err(|_| shutting_down())?;
                let survey = survey.clone().unwrap_or_default();
                let roads = roads(&keeper, &asked.spec, (!asker.own).then_some(asker.peer)).await;
                Ok((turn, Next::Decide(Seen { survey, gpus, roads })))
            };
            ready.into_actor(actor)
        });
        Box::pin(ready.then(move |ready: Result<_, Refusal>, actor, ctx| {
            // From here on the table tells later offers of this one.
            let decided = ready.and_then(|(_turn, next)| match next {
                Next::Taken(taken) => Ok(taken),
                Next::Decide(seen) => {
                    actor.decide(&from, &offer, &seen, &ctx.address())?;
                    let hosted = actor.find(from.peer, offer.job, offer.epoch)?;
                    Ok((hosted.accepted.clone(), hosted.status.clone()))
                }
            });
            async move { when_accepted(decided?).await }.into_actor(actor)
        }))
    }
}

impl Handler<StartJob> for SandboxActor {
    type Result = Status;

    fn handle(&mut self, m: StartJob, _: &mut Self::Context) -> Self::Result {
        let hosted = self.find(m.from, m.job, m.epoch)?;
        hosted.orders.send_if_modified(|o| !std::mem::replace(&mut o.start, true));
        Ok(hosted.status.borrow().clone())
    }
}

impl Handler<WatchJob> for SandboxActor {
    type Result = Result<HostedFeed, Refusal>;

    fn handle(&mut self, m: WatchJob, _: &mut Self::Context) -> Self::Result {
        let hosted = self.find(m.from, m.job, m.epoch)?;
        Ok(HostedFeed { status: hosted.status.clone(), log: hosted.log.clone() })
    }
}

impl Handler<OpenResults> for SandboxActor {
    type Result = ResponseFuture<Result<HostedResults, Refusal>>;

    fn handle(&mut self, m: OpenResults, _: &mut Self::Context) -> Self::Result {
        let found = self.find(m.from, m.job, m.epoch).and_then(|hosted| {
            if hosted.is_active() {
                return Err(Refusal::new(RefusalKind::BadRequest, "the job has not ended yet"));
            }
            let some = hosted.status.borrow().results.is_some();
            Ok((some.then(|| hosted.dir.clone()), hosted.work_dir()))
        });
        Box::pin(async move {
            let (list, dir): (Option<PathBuf>, PathBuf) = found?;
            let results = match list {
                Some(job_dir) => {
                    let results = blocking(move || Results::load(&job_dir)).await;
                    results.map_err(|e| Refusal::internal(e.to_string()))?
                }
                None => Results::default(),
            };
            Ok(HostedResults { manifest: results.manifest, dir, names: results.names })
        })
    }
}

impl Handler<StopJob> for SandboxActor {
    type Result = Status;

    fn handle(&mut self, m: StopJob, _: &mut Self::Context) -> Self::Result {
        let hosted = self.find(m.from, m.job, m.epoch)?;
        if hosted.is_active() {
            hosted.orders.send_if_modified(|o| {
                let news = o.stop.is_none();
                o.stop.get_or_insert(m.by);
                news
            });
        }
        Ok(hosted.status.borrow().clone())
    }
}

impl Handler<ForgetJob> for SandboxActor {
    type Result = ();

    fn handle(&mut self, m: ForgetJob, _: &mut Self::Context) {
        if let Ok(hosted) = self.find(m.from, m.job, m.epoch) {
            hosted.orders.send_modify(|o| {
                // Whoever wants to hear no more of a running job has given it up.
                if hosted.status.borrow().state < HostedState::Collecting {
                    o.stop.get_or_insert_with(|| "you".to_owned());
                }
                o.forget = true;
            });
        }
    }
}

impl Handler<HostedJobs> for SandboxActor {
    type Result = MessageResult<HostedJobs>;

    fn handle(&mut self, _: HostedJobs, _: &mut Self::Context) -> Self::Result {
        let mut records: Vec<JobRecord> = self.jobs.values().map(Hosted::record).collect();
        records.sort_by_key(|r| std::cmp::Reverse(r.created_ms));
        MessageResult(records)
    }
}

impl Handler<LimitJob> for SandboxActor {
    type Result = ResponseFuture<Result<LimitedJob, Refusal>>;

    fn handle(&mut self, LimitJob { job, change }: LimitJob, _: &mut Self::Context) -> Self::Result {
        let found = match self.jobs.values().filter(|h| h.base.id.to_string().starts_with(&job)).collect::<Vec<_>>()[..]
        {
            [hosted] => Ok((hosted.relimit(), hosted.record())),
            [] => Err(Refusal::new(RefusalKind::UnknownJob, format!("no job {job} runs here"))
                .hint("`homie jobs --hosted` lists those that do")),
            _ => Err(Refusal::new(RefusalKind::BadRequest, format!("several jobs begin with {job}"))
                .hint("type more digits")),
        };
        let facts = self.parts.facts.borrow();
        let machine = Machine { cores: facts.cores, memory_bytes: facts.memory_bytes };
        drop(facts);
        Box::pin(async move {
            let (relimit, mut record) = found?;
            let (before, after) = relimit.make(change, machine).await?;
            record.limits = Some(after.clone());
            Ok(LimitedJob { record, before, after })
        })
    }
}

impl Handler<LiveJobs> for SandboxActor {
    type Result = ResponseFuture<Vec<LiveJob>>;

    fn handle(&mut self, _: LiveJobs, _: &mut Self::Context) -> Self::Result {
        let mut jobs: Vec<_> = self.jobs.values().filter(|h| h.is_active()).map(Hosted::measured).collect();
        jobs.sort_by_key(|m| m.record.created_ms);
        let gpus = self.parts.gpus.borrow().clone();
        Box::pin(async move { blocking(move || Ok(live::look(jobs, &gpus, wall_ms()))).await.unwrap_or_default() })
    }
}

impl Handler<DrainSandbox> for SandboxActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: DrainSandbox, _: &mut Self::Context) -> Self::Result {
        self.draining = true;
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { _ = tokio::join!(shared.spare.close(), shared.pool.close()) })
    }
}

impl Handler<EngineTrouble> for SandboxActor {
    type Result = ResponseFuture<Option<String>>;

    fn handle(&mut self, _: EngineTrouble, _: &mut Self::Context) -> Self::Result {
        let mut survey = self.survey.clone();
        Box::pin(async move { survey.wait_for(Option::is_some).await.ok()?.as_ref()?.trouble() })
    }
}

impl Handler<EngineWarnings> for SandboxActor {
    type Result = Vec<String>;

    fn handle(&mut self, _: EngineWarnings, _: &mut Self::Context) -> Self::Result {
        self.survey.borrow().as_ref().map(|survey| survey.warnings.clone()).unwrap_or_default()
    }
}

impl Handler<CheckEngines> for SandboxActor {
    type Result = MessageResult<CheckEngines>;

    fn handle(&mut self, _: CheckEngines, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.survey.borrow().as_ref().map(Survey::checks).unwrap_or_default())
    }
}

impl Handler<TryJails> for SandboxActor {
    type Result = Result<mpsc::Receiver<DoctorRow>, Refusal>;

    fn handle(&mut self, _: TryJails, _: &mut Self::Context) -> Self::Result {
        let Ok(turn) = Arc::clone(&self.suite).try_lock_owned() else {
            return Err(Refusal::new(RefusalKind::Busy, "the escape probes are running already"));
        };
        let engines = self.survey.borrow().as_ref().map(Survey::engines).unwrap_or_default();
        let ground = Ground {
            exe: self.parts.exe.clone(),
            jobs_dir: self.parts.dir.clone(),
            node: self.shared.node.clone(),
            docker_host: self.shared.docker_host.clone(),
            engines,
        };
        let (to, rows) = mpsc::channel(MAILBOX);
        self.lives.spawn(async move {
            escape::suite(ground, to).await;
            drop(turn);
        });
        Ok(rows)
    }
}

impl Handler<Gone> for SandboxActor {
    type Result = ();

    fn handle(&mut self, Gone { job, epoch }: Gone, _: &mut Self::Context) {
        if self.jobs.get(&job).is_some_and(|h| h.base.epoch == epoch) {
            self.jobs.remove(&job);
        }
        self.tell_hosting();
    }
}

impl Handler<SlotsChanged> for SandboxActor {
    type Result = ();

    fn handle(&mut self, _: SlotsChanged, _: &mut Self::Context) {
        self.tell_hosting();
    }
}
