//! The room as a whole: two or more of it in one process, over real TCP and TLS on this machine, with probes in the
//! place of the other rooms.

mod actor;
mod bulk;
mod edges;
mod paths;
mod renewal;
mod road;
mod roster;
mod strangers;
mod time;

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::LocalSet;

use super::messages::*;
use super::{LinkParts, PeerLinkActor, RegistryOutlets, SandboxOutlets, start};
use crate::blobs::BlobStore;
use crate::config::{Exit, ProxyChoice};
use crate::identity::Identity;
use crate::mailbox::{Door, ask};
use crate::model::{
    BootId, CHUNK_BYTES, CleanPath, Digest, Epoch, Facts, FileEntry, HostedState, HostedStatus, JobId, JobSpec,
    Manifest, Offer, PeerId, Totals,
};
use crate::pipe::{LogAnnouncer, LogState, OutputLog};
use crate::registry::messages::{PathTried, PeerLinked, PeerUnlinked};
use crate::sandbox::messages::{Borrower, HostedResults};
use crate::secret::{GroupKeys, Secret};
use crate::wire::ipc::DirectPeer;
use crate::wire::refusal::Refusal;

/// Ten times what the slowest of these steps takes on a loaded machine.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

static OURS: LazyLock<GroupKeys> = LazyLock::new(|| GroupKeys::derive(&Secret::new("our secret"), "homie"));
static THEIRS: LazyLock<GroupKeys> = LazyLock::new(|| GroupKeys::derive(&Secret::new("their secret"), "homie"));

/// A job as the probe of the sandbox hosts it.
struct Hosted {
    from: Borrower,
    offer: Offer,
    status: watch::Sender<HostedStatus>,
    log: OutputLog,
    announce: LogAnnouncer,
    results: Option<HostedResults>,
}

/// What the probes saw and what they answer.
#[derive(Default)]
struct Seen {
    hosted: HashMap<(JobId, Epoch), Hosted>,
    started: Vec<JobId>,
    forgotten: Vec<JobId>,
    refuse_name: Option<String>,
    addresses: HashMap<PeerId, SocketAddr>,
    /// Further places at which a peer may be, tried before its address.
    elsewhere: Vec<SocketAddr>,
    tried: Vec<PathTried>,
    linked: Vec<PeerLinked>,
    facts: Vec<PeerId>,
    unlinked: Vec<PeerUnlinked>,
    reports: Vec<(PeerId, HostedStatus)>,
    changes: Vec<(PeerId, bool)>,
    introduced: Vec<(PeerId, Option<String>)>,
}

/// One machine of the group.
struct Machine {
    id: PeerId,
    door: Door<PeerLinkActor>,
    port: u16,
    seen: Arc<Mutex<Seen>>,
    blobs: BlobStore,
    dir: tempfile::TempDir,
    _facts: watch::Sender<Facts>,
}

struct Config<'a> {
    name: &'a str,
    keys: Option<&'a GroupKeys>,
    port: u16,
    direct: Vec<(String, Option<String>)>,
}

impl Config<'_> {
    fn named(name: &str) -> Config<'_> {
        Config { name, keys: Some(&OURS), port: 0, direct: Vec::new() }
    }
}

impl Machine {
    async fn new(name: &str) -> Self {
        Self::with(Config::named(name)).await
    }

    async fn with(config: Config<'_>) -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (sandbox, registry, scheduler) = actor::probes(&seen, dir.path().to_owned());
        let identity = Identity::ephemeral().expect("key");
        let blobs = BlobStore::open(dir.path().join("blobs"), 1 << 30).expect("store");
        let (facts, facts_rx) = watch::channel(Facts { cores: 4, ..Facts::default() });
        let parts = LinkParts {
            identity: identity.clone(),
            keys: config.keys.cloned(),
            name: config.name.into(),
            boot: BootId::random().expect("random"),
            worker_port: config.port,
            listen: crate::config::Listen::Private,
            direct: config.direct,
            state: dir.path().to_owned(),
            networks: crate::networks::Networks::still(),
            // Whatever the environment of the tests says.
            proxy: ProxyChoice::Given(Exit::Direct),
            proxy_rules: Vec::new(),
            bandwidth: 0,
            sandbox: SandboxOutlets::of(&sandbox),
            registry: RegistryOutlets::of(&registry),
            blobs: blobs.clone(),
            facts: facts_rx,
        };
        let door = start(parts).expect("TLS");
        let connect = ConnectScheduler { reports: scheduler.clone().into(), changed: scheduler.into() };
        ask(&door, connect, LIMIT).await.expect("answer");
        let port = ask(&door, Listening, LIMIT).await.expect("answer").unwrap_or(0);
        Self { id: identity.peer(), door, port, seen, blobs, dir, _facts: facts }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("lock")
    }

    fn addr(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Makes this machine's registry know where `other` is.
    fn knows(&self, other: &Machine) {
        self.seen().addresses.insert(other.id, other.addr());
    }

    async fn direct(&self) -> Vec<DirectPeer> {
        ask(&self.door, ListDirect, LIMIT).await.expect("answer")
    }

    async fn offer(&self, to: PeerId, job: u8, inputs: &Manifest) -> Result<HostedStatus, Refusal> {
        let totals = Totals { files: inputs.files().len() as u64, bytes: inputs.total_bytes() };
        let spec = JobSpec { name: "train.py".into(), ..JobSpec::default() };
        let offer =
            Offer { job: JobId([job; 16]), epoch: Epoch(1), spec, inputs: inputs.digest(), input_totals: totals };
        ask(&self.door, OfferJob { peer: to, offer }, LIMIT).await.expect("answer")
    }

    async fn send_inputs(&self, to: PeerId, job: u8, inputs: &Manifest) -> Result<u64, Refusal> {
        let (_at_once, may_begin) = watch::channel(true);
        self.send_inputs_when(to, job, inputs, may_begin).await
    }

    async fn send_inputs_when(
        &self,
        to: PeerId,
        job: u8,
        inputs: &Manifest,
        may_begin: watch::Receiver<bool>,
    ) -> Result<u64, Refusal> {
        let (progress, _watched) = watch::channel((0, 0));
        let (job, epoch) = (JobId([job; 16]), Epoch(1));
        let send = SendInputs { peer: to, job, epoch, inputs: inputs.digest(), may_begin, progress };
        ask(&self.door, send, LIMIT).await.expect("answer")
    }

    async fn fetch(&self, from: PeerId, job: u8, manifest: Digest) -> Result<Totals, Refusal> {
        let (progress, _watched) = watch::channel((0, 0));
        let fetch = FetchResults { peer: from, job: JobId([job; 16]), epoch: Epoch(1), manifest, progress };
        ask(&self.door, fetch, LIMIT).await.expect("answer")
    }

    async fn query(&self, at: PeerId, job: u8) -> Result<HostedStatus, Refusal> {
        ask(&self.door, QueryJob { peer: at, job: JobId([job; 16]), epoch: Epoch(1) }, LIMIT).await.expect("answer")
    }

    /// Copies the output of `job` to `path`.
    async fn follow(&self, at: PeerId, job: u8, path: PathBuf) -> Result<u64, Refusal> {
        let len = std::fs::metadata(&path).map_or(0, |m| m.len());
        let (announce, _) = OutputLog::new(&path, LogState { len, done: false });
        let into = OutputCopy { path, announce: Arc::new(announce) };
        ask(&self.door, FollowOutput { peer: at, job: JobId([job; 16]), epoch: Epoch(1), into }, LIMIT)
            .await
            .expect("answer")
    }

    /// Puts files into this machine's store.
    fn store(&self, files: &[(&str, Vec<u8>)]) -> Manifest {
        let manifest = manifest(files);
        for (_, bytes) in files {
            for chunk in bytes.chunks(CHUNK_BYTES as usize) {
                self.blobs.put(&Digest::of(chunk), chunk).expect("put");
            }
        }
        self.blobs.put_manifest(&manifest).expect("put");
        manifest
    }

    /// Lets a hosted job write output, as its supervisor would.
    fn write_output(&self, job: u8, bytes: &[u8], done: bool) {
        use std::io::Write;
        let mut seen = self.seen();
        let hosted = seen.hosted.get_mut(&(JobId([job; 16]), Epoch(1))).expect("hosted");
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(hosted.log.path()).expect("open");
        file.write_all(bytes).expect("write");
        hosted.announce.grown(hosted.announce.state().len + bytes.len() as u64);
        if done {
            hosted.announce.done();
        }
    }

    fn set_state(&self, job: u8, state: HostedState) {
        let seen = self.seen();
        let hosted = seen.hosted.get(&(JobId([job; 16]), Epoch(1))).expect("hosted");
        hosted.status.send_modify(|s| s.state = state);
    }
}

fn manifest(files: &[(&str, Vec<u8>)]) -> Manifest {
    let entry = |path: &str, bytes: &[u8]| {
        let parts: Vec<Digest> = bytes.chunks(CHUNK_BYTES as usize).map(Digest::of).collect();
        let chunks = if parts.len() > 1 { parts } else { vec![] };
        let path = CleanPath::new(path).expect("clean");
        FileEntry { path, size: bytes.len() as u64, exec: false, hash: Digest::of(bytes), chunks, lengths: vec![] }
    };
    Manifest::new(files.iter().map(|(path, bytes)| entry(path, bytes)).collect()).expect("valid")
}

/// Bytes that do not repeat where a mistake would hide.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut x = seed | 1;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        out.extend_from_slice(&x.to_le_bytes());
    }
    out.truncate(len);
    out
}

/// Waits until `holds`, or fails with what was awaited.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    until_async(what, move || std::future::ready(holds())).await;
}

async fn until_async<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < LIMIT, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Runs a test as homied runs: actors on this thread, tasks on workers.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    runtime.block_on(LocalSet::new().run_until(test));
}

/// A relay that passes bytes on to `to` until it is cut.
struct Relay {
    addr: SocketAddr,
    cut: watch::Sender<bool>,
}

impl Relay {
    async fn to(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let addr = listener.local_addr().expect("address");
        let cut = watch::Sender::new(false);
        let cutting = cut.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut cut = cutting.subscribe();
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(to).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = cut.wait_for(|c| *c) => {}
                    }
                });
            }
        });
        Self { addr, cut }
    }

    /// Cuts every connection; new ones pass again once it is mended.
    fn cut(&self, cut: bool) {
        self.cut.send_replace(cut);
    }
}
