//! A machine of the simulation: registry, discovery, and a link that proves who listens at an address by asking.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use actix::{Actor, Context, Handler};
use homie::discovery::messages::StartDiscovery;
use homie::discovery::{Datagrams, DiscoveryParts, Network, start_on};
use homie::link::messages::Greet;
use homie::mailbox::{Outlet, ask, ask_outlet};
use homie::model::{BootId, Facts, PeerId, PeerStatus, Via};
use homie::registry::RegistryParts;
use homie::registry::messages::{ListPeers, PeerLinked};
use homie::secret::{GroupKeys, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use turmoil::net::{TcpListener, TcpStream, UdpSocket};

const DISCOVERY: u16 = 5555;
const WORKER: u16 = 5556;
const LIMIT: Duration = Duration::from_secs(1);

/// Whom a machine saw at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sight {
    pub(crate) at: Duration,
    pub(crate) by: u8,
    pub(crate) online: BTreeSet<u8>,
    pub(crate) heard_ms_ago: Vec<u64>,
}

struct SimNet;

struct SimSocket(UdpSocket);

impl Network for SimNet {
    type Socket = SimSocket;

    async fn open(&self, port: u16) -> io::Result<SimSocket> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
        socket.set_broadcast(true)?;
        Ok(SimSocket(socket))
    }

    fn broadcast_addresses(&self) -> io::Result<Vec<Ipv4Addr>> {
        Ok(vec![Ipv4Addr::BROADCAST])
    }
}

impl Datagrams for SimSocket {
    async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.0.send_to(bytes, to).await
    }

    async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.recv_from(buffer).await
    }
}

/// The link, as far as discovery needs one: asks who listens at an address.
struct Link {
    registry: Outlet<PeerLinked>,
}

impl Actor for Link {
    type Context = Context<Self>;
}

impl Handler<Greet> for Link {
    type Result = ();

    fn handle(&mut self, greet: Greet, _: &mut Context<Self>) {
        let registry = self.registry.clone();
        tokio::task::spawn_local(tokio::time::timeout(LIMIT, async move {
            let mut stream = TcpStream::connect(greet.addr).await?;
            let (node, start) = (stream.read_u8().await?, stream.read_u8().await?);
            let link = PeerLinked {
                peer: id_of(node),
                name: crate::name(node),
                boot: boot_of(node, start),
                addr: greet.addr,
                way: None,
                version: "0.1.0".into(),
                clock_skew_ms: 0,
                via: Via::Direct,
            };
            ask_outlet(&registry, link, LIMIT).await.map_err(io::Error::other)?.map_err(io::Error::other)
        }));
    }
}

fn id_of(node: u8) -> PeerId {
    PeerId([node; 32])
}

/// Runs differ in every byte, so that their beats differ in their jitter.
fn boot_of(node: u8, start: u8) -> BootId {
    BootId(std::array::from_fn(|i| {
        node.wrapping_mul(97).wrapping_add(start.wrapping_mul(31)).wrapping_mul(i as u8 + 1)
    }))
}

fn keys() -> GroupKeys {
    static KEYS: OnceLock<GroupKeys> = OnceLock::new();
    KEYS.get_or_init(|| GroupKeys::derive(&Secret::new("simulated"), "homie")).clone()
}

/// One run of one machine. It ends only when the simulation crashes it.
pub(crate) async fn run_node(node: u8, starts: Arc<Mutex<u8>>, trace: crate::Trace) -> turmoil::Result {
    let start = {
        let mut starts = starts.lock().expect("not poisoned");
        *starts += 1;
        *starts
    };
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, WORKER)).await?;
    tokio::task::spawn_local(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::task::spawn_local(async move {
                stream.write_all(&[node, start]).await?;
                // Held open until the asker has read it and closes.
                stream.read_u8().await
            });
        }
    });

    let state = tempfile::tempdir()?;
    let (_load, facts) = watch::channel(Facts { cores: 4, job_slots: 1, ..Facts::default() });
    let registry = homie::registry::start(RegistryParts {
        id: id_of(node),
        name: crate::name(node),
        boot: boot_of(node, start),
        addr: (Ipv4Addr::LOCALHOST, WORKER).into(),
        facts: facts.clone(),
        state: state.path().to_owned(),
    })?;
    let link = Link { registry: registry.clone().recipient() }.start();
    let _discovery = start_on(
        SimNet,
        DiscoveryParts {
            says: StartDiscovery {
                keys: Some(keys()),
                boot: boot_of(node, start),
                name: crate::name(node),
                discovery_port: DISCOVERY,
                worker_port: WORKER,
                broadcast: true,
                // The only broadcast that turmoil knows is the limited one, which belongs to no private network.
                listen: homie::config::Listen::All,
            },
            id: id_of(node),
            facts,
            networks: homie::networks::Networks::still(),
            registry: registry.clone().recipient(),
            link: link.recipient(),
        },
    );
    loop {
        let list = ask(&registry, ListPeers { offline: false }, LIMIT).await?;
        let others = list.iter().filter(|view| view.via != Via::Own && view.status != PeerStatus::Offline);
        let sight = Sight {
            at: turmoil::sim_elapsed().unwrap_or_default(),
            by: node,
            online: others.clone().map(|view| view.id.0[0]).collect(),
            heard_ms_ago: others.map(|view| view.heard_ms_ago).collect(),
        };
        trace.lock().expect("not poisoned").push(sight);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
