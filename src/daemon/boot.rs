//! The start: every room and every wire between them, on one screen.

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::sync::{mpsc, watch};

use super::address;
use super::background::Readiness;
use super::housekeeping::{self, Broom};
use super::lock::StateLock;
use super::shutdown::House;
use super::{service, signals};
use crate::blobs::BlobStore;
use crate::identity::Identity;
use crate::ipc::messages::ReloadConfig;
use crate::mailbox::{Door, ask};
use crate::model::BootId;
use crate::networks::Networks;
use crate::paths::Places;
use crate::registry::PeerRegistryActor;
use crate::registry::messages::ListPeers;
use crate::sandbox::envs::build::{HostBuilder, HostBuilderParts};
use crate::secret::GroupKeys;
use crate::{config, discovery, history, ipc, link, monitor, registry, sandbox, scheduler};

/// What homied's command line says.
#[derive(Debug)]
pub struct Options {
    /// Where things are.
    pub places: Places,
    /// Settings over the file and the environment, as pairs of key and value.
    pub flags: Vec<(String, String)>,
    /// Whoever started us in the background waits for this.
    pub ready: Readiness,
}

/// Runs homied until it is told to end, on this thread and a few workers.
///
/// # Errors
/// It cannot start: the config cannot be used, another homied has the socket, the state cannot be read or written.
pub fn run(mut options: Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(address::workers())
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    // One System: actors on this thread, everything that moves bytes on the runtime's workers.
    let system = actix::System::with_tokio_rt(move || runtime);
    let done = system.block_on(up(&mut options));
    if let Err(error) = &done {
        options.ready.failed(&format!("{error:#}"));
    }
    done
}

async fn up(options: &mut Options) -> anyhow::Result<()> {
    let began = Instant::now();
    let places = options.places.clone();
    let env = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let loaded = config::load(&places, &config::host_name(), env, &options.flags)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let settings = loaded.settings.clone();
    make_private(&places.state)?;

    let _lock = StateLock::take(&places.state)?;
    let socket = ipc::bind(&places.socket).await?;
    let identity = Identity::load_or_create(&places.state.join("identity.key"))?;
    let keys = group_keys(&settings).await?;
    let boot = BootId::random().context("no random bytes")?;
    let blobs = BlobStore::open(places.state.join("store"), settings.store_bytes)?;
    housekeeping::drop_stale_puts(&blobs);
    let sent_dir = places.state.join("sent");
    let (settings_tx, settings_rx) = watch::channel(settings.clone());
    let (shutdown_tx, mut shutdown_rx) = mpsc::channel(1);

    let history = history::start(&places.state.join("homie.db"))?;
    let monitor::Monitor { door: monitor, facts, gpus } = monitor::start(monitor::MonitorParts {
        limits: settings.limits.clone(),
        slots: settings.job_slots,
        disk: places.state.clone(),
        nvml: std::env::var_os("HOMIE_NVML").map(Into::into),
    })?;
    let networks = Networks::follow();
    let registry = registry::start(registry::RegistryParts {
        id: identity.peer(),
        name: settings.name.clone(),
        boot,
        addr: SocketAddr::new(address::own_address(), settings.worker_port),
        facts: facts.clone(),
        state: places.state.clone(),
    })?;
    // Environments come over the link, which starts after the room that wants them.
    let link_of_builds = std::sync::Arc::new(std::sync::OnceLock::new());
    let lookout = sandbox::Lookout::default();
    let builder = HostBuilder::new(HostBuilderParts {
        exe: "/proc/self/exe".into(),
        node: identity.peer().to_string(),
        docker_host: settings.docker_host.clone(),
        cache: places.state.join("wheels"),
        limits: settings.limits.clone(),
        blobs: blobs.clone(),
        link: link_of_builds.clone(),
        lookout: lookout.clone(),
    })
    .with_context(|| format!("cannot make {}", places.state.join("wheels").display()))?;
    let sandbox = sandbox::start(sandbox::SandboxParts {
        exe: "/proc/self/exe".into(),
        node: identity.peer(),
        dir: places.state.join("jobs"),
        settings: settings_rx.clone(),
        blobs: blobs.clone(),
        put: history.clone().recipient(),
        get: history.clone().recipient(),
        load: history.clone().recipient(),
        engines: monitor.clone().recipient(),
        hosting: monitor.clone().recipient(),
        look_at_gpus: monitor.clone().recipient(),
        set_envs: monitor.clone().recipient(),
        peers: registry.clone().recipient(),
        envs_dir: places.state.join("envs"),
        builder: std::sync::Arc::new(builder),
        facts: facts.clone(),
        gpus,
        lookout,
    })
    .await?;
    let link = link::start(link::LinkParts {
        identity: identity.clone(),
        keys: keys.clone(),
        name: settings.name.clone(),
        boot,
        worker_port: settings.worker_port,
        direct: settings.direct.clone(),
        state: places.state.clone(),
        listen: settings.listen,
        networks: networks.clone(),
        proxy: settings.proxy.clone(),
        proxy_rules: settings.proxy_rules.clone(),
        bandwidth: settings.bandwidth_bytes,
        facts: facts.clone(),
        blobs: blobs.clone(),
        registry: link::RegistryOutlets::of(&registry),
        sandbox: link::SandboxOutlets::of(&sandbox),
    })?;
    let _ = link_of_builds.set(link.clone().recipient());
    let scheduler = scheduler::start(scheduler::SchedulerParts {
        outlets: scheduler::Outlets {
            put: history.clone().recipient(),
            get: history.clone().recipient(),
            load: history.clone().recipient(),
            peers: registry.clone().recipient(),
            wish: sandbox.clone().recipient(),
            offer: link.clone().recipient(),
            inputs: link.clone().recipient(),
            follow: link.clone().recipient(),
            query: link.clone().recipient(),
            results: link.clone().recipient(),
            stop: link.clone().recipient(),
            acknowledge: link.clone().recipient(),
        },
        blobs: blobs.clone(),
        dir: sent_dir.clone(),
    })
    .await?;
    // The one back edge: what workers report goes to whoever sent the job.
    let connect = link::messages::ConnectScheduler {
        reports: scheduler.clone().recipient(),
        changed: scheduler.clone().recipient(),
    };
    ask(&link, connect, Duration::from_secs(5)).await?;
    let discovery = discovery::start(discovery::DiscoveryParts {
        says: discovery::messages::StartDiscovery {
            keys: keys.clone(),
            boot,
            name: settings.name.clone(),
            discovery_port: settings.discovery_port,
            worker_port: settings.worker_port,
            broadcast: settings.broadcast,
            listen: settings.listen,
        },
        id: identity.peer(),
        facts: facts.clone(),
        networks,
        registry: registry.clone().recipient(),
        link: link.clone().recipient(),
    });
    let outlets = ipc::Outlets {
        submit: scheduler.clone().recipient(),
        cancel: scheduler.clone().recipient(),
        fetch_again: scheduler.clone().recipient(),
        explain: scheduler.clone().recipient(),
        follow: scheduler.clone().recipient(),
        open_jobs: scheduler.clone().recipient(),
        peers: registry.clone().recipient(),
        add_direct: link.clone().recipient(),
        remove_direct: link.clone().recipient(),
        forget_introduced: link.clone().recipient(),
        direct: link.clone().recipient(),
        listening: link.clone().recipient(),
        listening_at: link.clone().recipient(),
        pins: registry.clone().recipient(),
        trust: registry.clone().recipient(),
        set_roles: registry.clone().recipient(),
        greet: link.clone().recipient(),
        invite: link.clone().recipient(),
        join: link.clone().recipient(),
        kick: link.clone().recipient(),
        link_self: link.clone().recipient(),
        registry_self: registry.clone().recipient(),
        discovery_error: discovery.clone().recipient(),
        strangers: discovery.clone().recipient(),
        start_discovery: discovery.clone().recipient(),
        stop_discovery: discovery.clone().recipient(),
        limits: monitor.clone().recipient(),
        hosted: sandbox.clone().recipient(),
        limit: sandbox.clone().recipient(),
        live: sandbox.clone().recipient(),
        engine_trouble: sandbox.clone().recipient(),
        engine_warnings: sandbox.clone().recipient(),
        envs: sandbox.clone().recipient(),
        show_env: sandbox.clone().recipient(),
        create_env: sandbox.clone().recipient(),
        build_env: sandbox.clone().recipient(),
        remove_env: sandbox.clone().recipient(),
        check_engines: sandbox.clone().recipient(),
        try_jails: sandbox.clone().recipient(),
        find: history.clone().recipient(),
        get: history.clone().recipient(),
        put: history.clone().recipient(),
        records: history.clone().recipient(),
        stats: history.clone().recipient(),
        remember: history.clone().recipient(),
        placed: history.clone().recipient(),
    };
    let broom = Broom {
        blobs: blobs.clone(),
        sent_dir: sent_dir.clone(),
        get: history.clone().recipient(),
        put: history.clone().recipient(),
        keep: Duration::from_secs(settings.keep_results_s),
    };
    tokio::spawn(broom.run());
    let parts = ipc::IpcParts {
        outlets,
        places: places.clone(),
        loaded,
        keys,
        flags: options.flags.clone(),
        settings: settings_tx,
        blobs,
        sent_dir,
        id: identity.peer(),
        facts,
        began,
        shutdown: shutdown_tx,
    };
    let ipc = ipc::start(parts, socket);
    // The other back edge: a new secret of the group is for every room.
    ask(&link, link::messages::ConnectIpc { reload: ipc.clone().recipient() }, Duration::from_secs(5)).await?;
    tracing::info!(name = %settings.name, id = %identity.peer(), socket = %places.socket.display(), "homied is up");

    let house = House { discovery, ipc: ipc.clone(), scheduler, sandbox, link, history };
    options.ready.ready();
    service::ready(&settings.name);
    let watchdog = tokio::spawn(service::keep_watchdog(move || is_alive(registry.clone())));
    signals::until_told_to_end(&mut shutdown_rx, || {
        let ipc = ipc.clone();
        async move {
            match ask(&ipc, ReloadConfig, Duration::from_secs(30)).await {
                Ok(Ok(_)) => tracing::info!("configuration read again"),
                Ok(Err(refusal)) => tracing::error!(error = %refusal, "the configuration stays as it was"),
                Err(error) => tracing::error!(%error, "the configuration was not read again"),
            }
        }
    })
    .await?;
    service::stopping();
    watchdog.abort();
    house.shut_down().await;
    tracing::info!("homied has ended");
    Ok(())
}

/// Whether the actors' thread still answers: what the watchdog wants to know.
async fn is_alive(registry: Door<PeerRegistryActor>) -> bool {
    ask(&registry, ListPeers { offline: false }, Duration::from_secs(5)).await.is_ok()
}

/// The group's keys, away from the runtime's threads: 600,000 rounds take a tenth of a second.
async fn group_keys(settings: &config::Settings) -> anyhow::Result<Option<GroupKeys>> {
    if settings.group_secret.is_empty() {
        tracing::warn!("no group secret is set, so this machine stays alone; `homie setup` makes or joins a group");
        return Ok(None);
    }
    let (secret, group) = (settings.group_secret.clone(), settings.group.clone());
    Ok(tokio::task::spawn_blocking(move || GroupKeys::of(&secret, &group)).await?)
}

fn make_private(dir: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot make the state directory {}", dir.display()))
}
