//! What the sandbox is made of, and its start.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::actor::{self, SandboxActor};
use super::adopt::{self, Found};
use super::engines::{Engines, Survey};
use super::envs::Keeper;
use super::envs::builder::Builder;
use super::error::SandboxError;
use super::life::{Entry, Shared, blocking};
use super::lookout::Lookout;
use super::spare::{self, Spare};
use super::warm::Pool;
use super::workspace;
use crate::blobs::BlobStore;
use crate::config::Settings;
use crate::history::messages::{GetRecord, LoadOpen, PutRecord};
use crate::mailbox::{Door, Outlet, ask_outlet, tell_outlet};
use crate::model::{EngineKind, Facts, PeerId, Role, SeenGpu};
use crate::monitor::messages::{LookAtGpus, SetEngines, SetEnvs, SetHosting};
use crate::registry::messages::ListPeers;
use crate::wire::refusal::Refusal;

/// How often engines are looked at: a Docker that was just started should be used within a minute, and asking costs a
/// local request.
const SURVEY_EVERY: Duration = Duration::from_secs(30);
/// When they are looked at for the second time: as soon as homied has started, root's helper in its systemd unit gives it
/// the control groups that the first look misses.
const SECOND_SURVEY: Duration = Duration::from_secs(3);
/// History reads its open records in milliseconds.
pub(super) const LOAD_LIMIT: Duration = Duration::from_secs(30);

/// How long the start waits for the first look at the engines; it takes a tenth of this where nothing is wrong.
const FIRST_SURVEY: Duration = Duration::from_secs(2);

/// What the sandbox is made of.
#[derive(Debug, Clone)]
pub struct SandboxParts {
    /// homied's own program, executed again as launcher and supervisor. `/proc/self/exe` stays right also when a new
    /// version lies in the old one's place.
    pub exe: PathBuf,
    /// This machine.
    pub node: PeerId,
    /// Where job directories live.
    pub dir: PathBuf,
    /// What the owner allows; a reload shows here.
    pub settings: watch::Receiver<Settings>,
    /// Inputs.
    pub blobs: BlobStore,
    /// History.
    pub put: Outlet<PutRecord>,
    /// History.
    pub get: Outlet<GetRecord>,
    /// History.
    pub load: Outlet<LoadOpen>,
    /// Monitor.
    pub engines: Outlet<SetEngines>,
    /// Monitor.
    pub hosting: Outlet<SetHosting>,
    /// Monitor.
    pub set_envs: Outlet<SetEnvs>,
    /// Registry.
    pub peers: Outlet<ListPeers>,
    /// Where environments live.
    pub envs_dir: PathBuf,
    /// What makes them.
    pub builder: Arc<dyn Builder>,
    /// Monitor.
    pub look_at_gpus: Outlet<LookAtGpus>,
    /// Own load.
    pub facts: watch::Receiver<Facts>,
    /// The GPUs as last seen.
    pub gpus: watch::Receiver<Vec<SeenGpu>>,
    /// Looks at the directories of jobs; the builder's is the same.
    pub lookout: Lookout,
}

/// Starts the sandbox: adopts the jobs an earlier homied left, and begins to look for engines.
///
/// # Errors
/// The directory cannot be made, or history cannot tell which jobs are open.
pub async fn start(parts: SandboxParts) -> Result<Door<SandboxActor>, Refusal> {
    let internal = |e: SandboxError| Refusal::internal(e.to_string());
    let dir = parts.dir.clone();
    // Supervisors run elsewhere, so the path must mean the same everywhere.
    let dir = blocking(move || make_dir(dir)).await.map_err(internal)?;
    let parts = SandboxParts { dir, ..parts };
    let open = ask_outlet(&parts.load, LoadOpen { role: Role::Hosted }, LOAD_LIMIT)
        .await
        .map_err(|e| Refusal::internal(e.to_string()))??;
    let dir = parts.dir.clone();
    let (mut found, orphans) = blocking(move || {
        let found: Vec<Found> = open.into_iter().map(|r| adopt::look(&dir, r)).collect();
        let known: Vec<PathBuf> = found.iter().map(|f| f.dir.clone()).collect();
        // Listed before the first new job can come, removed when there is time.
        Ok((found, adopt::orphans(&dir, &known)))
    })
    .await
    .map_err(internal)?;

    let (docker_host, keep) = {
        let settings = parts.settings.borrow();
        (settings.docker_host.clone(), Duration::from_secs(settings.keep_results_s))
    };
    super::envs::end_builds(&parts.envs_dir).await;
    let envs = {
        let parts = parts.clone();
        let open = move || Keeper::open(parts.envs_dir, parts.builder, parts.settings, parts.set_envs, parts.peers);
        blocking(open).await.map_err(internal)?
    };
    // Before anything could be removed to make room.
    for job in found.iter_mut().filter(|job| !matches!(job.entry, Entry::Done)) {
        job.held = job.env.and_then(|key| envs.take(key));
    }
    let engines = Engines::new(parts.exe.clone(), parts.dir.clone(), docker_host.clone());
    let pool = Pool::new(
        engines.docker(),
        parts.node.to_string(),
        parts.dir.clone(),
        parts.settings.clone(),
        parts.facts.clone(),
    );
    let spare = Spare::new(parts.exe.clone(), parts.dir.clone(), docker_host.clone(), parts.settings.clone());
    // They end when the actor closes them.
    tokio::spawn(pool.clone().tend());
    tokio::spawn(spare.clone().tend());
    let shared = Arc::new(Shared {
        exe: parts.exe.clone(),
        node: parts.node.to_string(),
        blobs: parts.blobs.clone(),
        put: parts.put.clone(),
        engines: engines.clone(),
        pool,
        spare,
        docker_host,
        envs: envs.clone(),
        gpus: parts.gpus.clone(),
        keep,
        lookout: parts.lookout.clone(),
    });
    let (survey_tx, mut survey) = watch::channel(None);
    tokio::spawn(look_after_engines(parts.clone(), (engines, envs), shared.node.clone(), orphans, survey_tx));
    // A machine that is heard should know what it lends; an engine that hangs must not hold up the start.
    let _ = tokio::time::timeout(FIRST_SURVEY, survey.wait_for(Option::is_some)).await;
    Ok(actor::run(parts, shared, survey, found))
}

fn make_dir(dir: PathBuf) -> Result<PathBuf, SandboxError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir);
    made.and_then(|()| dir.canonicalize()).map_err(SandboxError::io("make", &dir))
}

/// Looks at the engines now and then, tells the monitor, and removes what nobody knows.
async fn look_after_engines(
    parts: SandboxParts,
    (engines, envs): (Engines, Keeper),
    node: String,
    mut orphans: Vec<PathBuf>,
    into: watch::Sender<Option<Survey>>,
) {
    let mut swept: Vec<EngineKind> = Vec::new();
    let mut warned = Vec::new();
    let mut pause = SECOND_SURVEY;
    loop {
        let choice = parts.settings.borrow().engine;
        let survey = engines.survey(choice).await;
        if survey.warnings != warned {
            for warning in &survey.warnings {
                tracing::warn!("{warning}");
            }
            warned.clone_from(&survey.warnings);
        }
        if let Some(trouble) = survey.trouble().filter(|_| into.borrow().as_ref().is_none_or(|s| s.trouble().is_none()))
        {
            tracing::warn!("no engine is ready, so this machine hosts no jobs: {trouble}");
        }
        tell_outlet(&parts.engines, SetEngines { engines: survey.offers.clone() });
        into.send_if_modified(|s| {
            let news = s.as_ref() != Some(&survey);
            *s = Some(survey.clone());
            news
        });
        orphans = remove_dirs(std::mem::take(&mut orphans)).await;
        // At the start, and for every engine that is back: it may hold what nobody could remove meanwhile.
        let ready: Vec<EngineKind> = survey.offers.iter().map(|offer| offer.kind).collect();
        if ready.iter().any(|kind| !swept.contains(kind)) {
            engines.sweep(&node, &parts.dir, &survey, &parts.lookout).await;
        }
        swept = ready;
        // After the engines are known: this may take longer, and a machine without it still lends `base`.
        envs.refresh().await;
        tokio::select! {
            () = tokio::time::sleep(std::mem::replace(&mut pause, SURVEY_EVERY)) => {}
            () = into.closed() => return,
        }
    }
}

/// Directories that no record speaks of are of jobs that were refused or forgotten in the last moment, or were there for the
/// next job. One that a supervisor still holds stays. Gives back those of supervisors that waited and have not noticed yet
/// that their homied is gone: unlike a job's, such a name never comes again.
async fn remove_dirs(orphans: Vec<PathBuf>) -> Vec<PathBuf> {
    let removed = blocking(move || {
        let mut held = Vec::new();
        for dir in orphans {
            match super::supervisor::try_lock(&dir) {
                Ok(Some(_free)) => workspace::remove(&dir)?,
                Ok(None) if spare::is_spare(&dir) => held.push(dir),
                // It ends with its job; the next start finds its directory free.
                Ok(None) => {}
                // Gone by itself.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(SandboxError::io("lock", &dir)(e)),
            }
        }
        Ok(held)
    });
    removed.await.unwrap_or_else(|error| {
        tracing::warn!(%error, "an old job directory stays");
        Vec::new()
    })
}
