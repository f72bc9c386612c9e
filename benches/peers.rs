//! Other machines of a group as far as the wire goes, for benches/peers.py. They have the real link and the real
//! heartbeats, and rooms behind them that know nothing.
//!
//! `peers crowd COUNT FIRST-ADDRESS BROADCAST-ADDRESS < SECRET` is so many machines on consecutive addresses of this
//! one, until its input ends. `peers dial HOST:PORT ROUNDS < SECRET` makes so many connections, asks a question as
//! often, and prints the milliseconds of each as JSON.

use std::io::{self, BufRead};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Context, Handler, MessageResult};
use anyhow::{Context as _, bail};
use homie::blobs::BlobStore;
use homie::config::{Exit, Listen, ProxyChoice};
use homie::discovery::messages::StartDiscovery;
use homie::discovery::{Datagrams, DiscoveryActor, DiscoveryParts, Network, start_on};
use homie::identity::Identity;
use homie::link::messages::{AddDirect, CloseLinks, ListDirect, QueryJob};
use homie::link::{LinkParts, PeerLinkActor, RegistryOutlets, SandboxOutlets};
use homie::mailbox::ask;
use homie::model::{BootId, Epoch, Facts, HostedStatus, JobId, JobRecord, Learned, PeerId, PeerView, Roles, Way};
use homie::registry::messages as registry;
use homie::sandbox::messages as sandbox;
use homie::secret::{GroupKeys, Secret};
use homie::wire::ipc::Pin;
use homie::wire::refusal::{Refusal, RefusalKind};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::timeout;

const GROUP: &str = "homie";
const DISCOVERY_PORT: u16 = 5555;
/// The first machine's; each of the others has the next one.
const FIRST_PORT: u16 = 20_000;
const PATIENCE: Duration = Duration::from_secs(20);

/// The rooms behind the link: no job, no peer, nothing kept but who was linked last.
struct Nobody {
    linked: watch::Sender<Option<PeerId>>,
}

impl Actor for Nobody {
    type Context = Context<Self>;
}

macro_rules! answers {
    ($($message:ty => $answer:ty: $value:expr;)*) => {$(
        impl Handler<$message> for Nobody {
            type Result = MessageResult<$message>;
            fn handle(&mut self, _: $message, _: &mut Context<Self>) -> Self::Result {
                let answer: $answer = $value;
                MessageResult(answer)
            }
        }
    )*};
}

fn unknown() -> Refusal {
    Refusal::new(RefusalKind::UnknownJob, "no such job")
}

answers! {
    sandbox::AdmitJob => Result<HostedStatus, Refusal>: Err(unknown());
    sandbox::StartJob => Result<HostedStatus, Refusal>: Err(unknown());
    sandbox::WatchJob => Result<sandbox::HostedFeed, Refusal>: Err(unknown());
    sandbox::OpenResults => Result<sandbox::HostedResults, Refusal>: Err(unknown());
    sandbox::StopJob => Result<HostedStatus, Refusal>: Err(unknown());
    sandbox::ForgetJob => (): ();
    sandbox::FindEnv => Option<sandbox::EnvHeld>: None;
    sandbox::HostedJobs => Vec<JobRecord>: Vec::new();
    registry::PeerFacts => (): ();
    registry::PeerUnlinked => (): ();
    registry::ForgetPeer => (): ();
    registry::ListPeers => Vec<PeerView>: Vec::new();
    registry::PathsOf => Vec<(Way, Learned)>: Vec::new();
    registry::PathTried => (): ();
    registry::PeerIntroduced => (): ();
    registry::ListPins => Vec<Pin>: Vec::new();
    registry::RolesOf => Roles: Roles::default();
}

impl Handler<registry::PeerLinked> for Nobody {
    type Result = Result<(), Refusal>;
    fn handle(&mut self, word: registry::PeerLinked, _: &mut Context<Self>) -> Self::Result {
        self.linked.send_replace(Some(word.peer));
        Ok(())
    }
}

impl Handler<registry::OnAir> for Nobody {
    type Result = Vec<PeerId>;
    fn handle(&mut self, _: registry::OnAir, _: &mut Context<Self>) -> Self::Result {
        // The one machine that everybody here has a link to; heard, so that idle links close as they do on a LAN.
        self.linked.borrow().iter().copied().collect()
    }
}

/// Speaks from one address and hears nothing.
struct From {
    address: Ipv4Addr,
    broadcast: Ipv4Addr,
}

struct Mouth(UdpSocket);

impl Network for From {
    type Socket = Mouth;

    async fn open(&self, _: u16) -> io::Result<Mouth> {
        let socket = UdpSocket::bind((self.address, 0)).await?;
        socket.set_broadcast(true)?;
        Ok(Mouth(socket))
    }

    fn broadcast_addresses(&self) -> io::Result<Vec<Ipv4Addr>> {
        Ok(vec![self.broadcast])
    }
}

impl Datagrams for Mouth {
    async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.0.send_to(bytes, to).await
    }

    async fn receive(&self, _: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        std::future::pending().await
    }
}

/// What all machines of this process share.
struct Sitting {
    keys: GroupKeys,
    nobody: Addr<Nobody>,
    linked: watch::Receiver<Option<PeerId>>,
    facts: watch::Receiver<Facts>,
    blobs: BlobStore,
    state: tempfile::TempDir,
}

impl Sitting {
    fn new(facts: watch::Receiver<Facts>) -> anyhow::Result<Self> {
        let secret =
            io::stdin().lock().lines().next().context("the group's secret is the first line of the input")??;
        let state = tempfile::tempdir()?;
        let (tell, linked) = watch::channel(None);
        Ok(Self {
            keys: GroupKeys::derive(&Secret::new(secret), GROUP),
            nobody: Nobody { linked: tell }.start(),
            linked,
            facts,
            blobs: BlobStore::open(state.path().join("blobs"), 1 << 20)?,
            state,
        })
    }

    fn link(
        &self,
        identity: &Identity,
        name: &str,
        boot: BootId,
        worker_port: u16,
    ) -> anyhow::Result<Addr<PeerLinkActor>> {
        let state = self.state.path().join(name);
        std::fs::create_dir_all(&state)?;
        Ok(homie::link::start(LinkParts {
            networks: homie::networks::Networks::still(),
            identity: identity.clone(),
            keys: Some(self.keys.clone()),
            name: name.to_owned(),
            boot,
            worker_port,
            listen: Listen::All,
            direct: Vec::new(),
            state,
            proxy: ProxyChoice::Given(Exit::Direct),
            proxy_rules: Vec::new(),
            sandbox: SandboxOutlets::of(&self.nobody),
            registry: RegistryOutlets::of(&self.nobody),
            bandwidth: 0,
            blobs: self.blobs.clone(),
            facts: self.facts.clone(),
        })?)
    }

    /// One machine of the crowd.
    fn peer(&self, number: u16, address: Ipv4Addr, broadcast: Ipv4Addr) -> anyhow::Result<Machine> {
        let (identity, boot, name) = (Identity::ephemeral()?, BootId::random()?, format!("peer{number}"));
        let worker_port = FIRST_PORT + number;
        let link = self.link(&identity, &name, boot, worker_port)?;
        let says = StartDiscovery {
            keys: Some(self.keys.clone()),
            boot,
            name,
            discovery_port: DISCOVERY_PORT,
            worker_port,
            broadcast: true,
            listen: Listen::All,
        };
        let heard = DiscoveryParts {
            networks: homie::networks::Networks::still(),
            says,
            id: identity.peer(),
            facts: self.facts.clone(),
            registry: Silent.start().recipient(),
            link: link.clone().recipient(),
        };
        Ok(Machine { _link: link, _voice: start_on(From { address, broadcast }, heard) })
    }
}

/// Is told of nobody, since nobody is heard.
struct Silent;

impl Actor for Silent {
    type Context = Context<Self>;
}

impl Handler<registry::PeerHeard> for Silent {
    type Result = MessageResult<registry::PeerHeard>;
    fn handle(&mut self, _: registry::PeerHeard, _: &mut Context<Self>) -> Self::Result {
        MessageResult(registry::Worth::Nothing)
    }
}

struct Machine {
    _link: Addr<PeerLinkActor>,
    _voice: Addr<DiscoveryActor>,
}

async fn crowd(sitting: Sitting, count: u16, first: Ipv4Addr, broadcast: Ipv4Addr) -> anyhow::Result<()> {
    let mut machines = Vec::new();
    for number in 0..count {
        let address = Ipv4Addr::from_bits(first.to_bits() + u32::from(number));
        machines.push(sitting.peer(number, address, broadcast)?);
        // Machines do not all start in one moment, and their beats keep the distance that they begin with.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    println!("{}", machines.len());
    tokio::task::spawn_blocking(|| io::stdin().lock().lines().count()).await?;
    Ok(())
}

async fn dial(mut sitting: Sitting, at: SocketAddr, rounds: usize) -> anyhow::Result<()> {
    let identity = Identity::ephemeral()?;
    let (mut set_up, mut round_trip) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let link = sitting.link(&identity, "dialler", BootId::random()?, 0)?;
        sitting.linked.mark_unchanged();
        let began = Instant::now();
        let added = ask(&link, AddDirect { address: at.to_string(), name: None }, PATIENCE).await?;
        added.map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
        timeout(PATIENCE, sitting.linked.changed()).await.with_context(|| format!("no link to {at}"))??;
        set_up.push(began.elapsed().as_secs_f64() * 1000.0);
        let peer = sitting.linked.borrow().context("nobody is linked")?;
        if round == rounds {
            // The registry hears of a link a moment before the link's own room does.
            while !ask(&link, ListDirect, PATIENCE).await?.iter().any(|peer| peer.linked) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            round_trip = questions(&link, peer, rounds).await?;
        }
        ask(&link, CloseLinks { restart: true }, PATIENCE).await?;
    }
    println!("{}", serde_json::json!({ "set_up_ms": set_up, "round_trip_ms": round_trip }));
    Ok(())
}

/// Asks after a job that nobody has: a frame there, a look in a table, a frame back.
async fn questions(link: &Addr<PeerLinkActor>, peer: PeerId, rounds: usize) -> anyhow::Result<Vec<f64>> {
    let mut taken = Vec::new();
    for _ in 0..rounds {
        let question = QueryJob { peer, job: JobId([7; 16]), epoch: Epoch(1) };
        let began = Instant::now();
        match ask(link, question, PATIENCE).await? {
            Err(refusal) if refusal.kind == RefusalKind::UnknownJob => {}
            other => bail!("not the answer to this question: {other:?}"),
        }
        taken.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(taken)
}

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    actix::System::with_tokio_rt(move || runtime).block_on(async move {
        let facts = Facts { cores: 4, job_slots: 1, ..Facts::default() };
        // Dropped at the end: until then the load is known and does not change.
        let (_load, facts) = watch::channel(facts);
        let sitting = Sitting::new(facts)?;
        match words[..] {
            ["crowd", count, first, broadcast] => {
                crowd(sitting, count.parse()?, first.parse()?, broadcast.parse()?).await
            }
            ["dial", at, rounds] => dial(sitting, at.parse()?, rounds.parse()?).await,
            _ => bail!("usage: peers crowd COUNT FIRST BROADCAST | peers dial ADDR:PORT ROUNDS, the secret as input"),
        }
    })
}
