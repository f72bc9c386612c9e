//! The mailbox: owns the tasks and passes words on to them.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::{Actor, ActorFutureExt, Context, Handler, ResponseActFuture, ResponseFuture, WrapFuture};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::beacon::Beacon;
use super::ear::Ear;
use super::error::SilenceError;
use super::lan::Lan;
use super::messages::{BeatSoon, DiscoveryError, ListStrangers, StartDiscovery, StopDiscovery};
use super::network::Network;
use super::strangers::Strangers;
use super::voice::Voice;
use super::{herald, listen};
use crate::link::messages::Greet;
use crate::mailbox::{Door, MAILBOX, Outlet};
use crate::model::{Facts, PeerId};
use crate::networks::Networks;
use crate::registry::messages::PeerHeard;
use crate::wire::heartbeat::KeyId;
use crate::wire::ipc::Stranger;

/// How often a port that could not be opened is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// How long the goodbye may take; it is a few datagrams.
const GOODBYE: Duration = Duration::from_secs(1);
/// Beats that may wait for the registry: one of each machine of a large group.
const NEWS: usize = 1024;

/// What discovery is made of.
#[derive(Debug, Clone)]
pub struct DiscoveryParts {
    /// What it says at first.
    pub says: StartDiscovery,
    /// This machine's key hash.
    pub id: PeerId,
    /// Its load.
    pub facts: watch::Receiver<Facts>,
    /// Its addresses: a change is a reason to beat at once.
    pub networks: Networks,
    /// Who is told what was heard.
    pub registry: Outlet<PeerHeard>,
    /// Who is asked to make sure of a new peer.
    pub link: Outlet<Greet>,
}

/// One conversation with the group, from the hello to the goodbye.
type Conversation = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Begins one, until the sender of the last argument says that it ends.
type Begin = Box<dyn Fn(StartDiscovery, oneshot::Receiver<()>) -> Conversation>;

/// Says that we are there and hears who else is.
pub struct DiscoveryActor {
    begin: Begin,
    soon: Arc<Notify>,
    trouble: watch::Receiver<Option<String>>,
    strangers: Arc<Mutex<Strangers>>,
    stop: Option<oneshot::Sender<()>>,
    tasks: JoinSet<()>,
}

impl std::fmt::Debug for DiscoveryActor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiscoveryActor").field("trouble", &self.trouble).finish_non_exhaustive()
    }
}

/// Starts discovery, inside the System. It always starts; whether it works is what [`DiscoveryError`] tells.
pub fn start(parts: DiscoveryParts) -> Door<DiscoveryActor> {
    start_on(Lan, parts)
}

/// [`start`] on another network than this machine's.
pub fn start_on(network: impl Network, parts: DiscoveryParts) -> Door<DiscoveryActor> {
    let soon = Arc::new(Notify::new());
    let (trouble, trouble_seen) = watch::channel(None);
    let network = Arc::new(network);
    let strangers = Arc::<Mutex<Strangers>>::default();
    let says = parts.says.clone();
    let begin: Begin = {
        let (soon, strangers) = (Arc::clone(&soon), Arc::clone(&strangers));
        Box::new(move |says, stop| {
            let parts = DiscoveryParts { says, ..parts.clone() };
            let (soon, strangers) = (Arc::clone(&soon), Arc::clone(&strangers));
            Box::pin(run(Arc::clone(&network), parts, soon, strangers, trouble.clone(), stop))
        })
    };
    let tasks = JoinSet::new();
    let mut actor = DiscoveryActor { begin, soon, trouble: trouble_seen, strangers, stop: None, tasks };
    actor.begin(says);
    actor.start()
}

impl DiscoveryActor {
    fn begin(&mut self, says: StartDiscovery) {
        let (stop, stopped) = oneshot::channel();
        self.stop = Some(stop);
        self.tasks.spawn((self.begin)(says, stopped));
    }

    /// Says goodbye, if there is anybody to say it to; done when it is said.
    fn end(&mut self) -> impl Future<Output = ()> + use<> {
        if let Some(stop) = self.stop.take() {
            // The task is gone already if nobody hears it; then there is nobody to say goodbye to.
            let _ = stop.send(());
        }
        let mut tasks = std::mem::take(&mut self.tasks);
        async move {
            let ended = async { while tasks.join_next().await.is_some() {} };
            if tokio::time::timeout(GOODBYE, ended).await.is_err() {
                tracing::debug!("the goodbye took too long");
            }
        }
    }
}

/// Opens the port and runs voice, ear and herald on it until `stop`.
async fn run(
    network: Arc<impl Network>,
    parts: DiscoveryParts,
    soon: Arc<Notify>,
    strangers: Arc<Mutex<Strangers>>,
    trouble: watch::Sender<Option<String>>,
    mut stop: oneshot::Receiver<()>,
) {
    let DiscoveryParts { says, id, facts, networks, registry, link } = parts;
    let Some(keys) = says.keys else {
        trouble.send_replace(Some(SilenceError::NoGroup.to_string()));
        let _ = stop.await;
        return;
    };
    let port = says.discovery_port;
    let socket = loop {
        match network.open(port).await {
            Ok(socket) => break Arc::new(socket),
            Err(source) => {
                let why = SilenceError::Port { port, source }.to_string();
                tracing::warn!("{why}; trying again every {} s", RETRY.as_secs());
                trouble.send_replace(Some(why));
            }
        }
        tokio::select! {
            _ = &mut stop => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    };
    trouble.send_replace(None);
    // Those of another group of ours may be friends now.
    *lock(&strangers) = Strangers::default();

    let key = KeyId(keys.beat_key_id());
    let ear = Ear::new(id, key, Instant::now().into_std());
    let (news, heard) = mpsc::channel(NEWS);
    let mut tasks = JoinSet::new();
    tasks.spawn(listen::listen(Arc::clone(&socket), keys.clone(), ear, news, strangers));
    tasks.spawn(herald::tell(heard, Arc::clone(&soon), registry, link));
    if says.broadcast {
        let beacon = Beacon { peer: id, boot: says.boot, name: says.name, worker_port: says.worker_port, key, seq: 0 };
        Voice { network, socket, port, listen: says.listen, keys, beacon, facts, networks, soon, trouble }
            .run(stop)
            .await;
    } else {
        trouble.send_replace(Some(SilenceError::SwitchedOff.to_string()));
        let _ = stop.await;
    }
    // The port is free, and nothing more is told, when this has ended.
    tasks.shutdown().await;
}

/// Nobody panics while it holds the list, and a panic ends the process anyway.
fn lock(strangers: &Mutex<Strangers>) -> MutexGuard<'_, Strangers> {
    strangers.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Actor for DiscoveryActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<BeatSoon> for DiscoveryActor {
    type Result = ();

    fn handle(&mut self, _: BeatSoon, _: &mut Self::Context) {
        self.soon.notify_one();
    }
}

impl Handler<DiscoveryError> for DiscoveryActor {
    type Result = Option<String>;

    fn handle(&mut self, _: DiscoveryError, _: &mut Self::Context) -> Option<String> {
        self.trouble.borrow().clone()
    }
}

impl Handler<ListStrangers> for DiscoveryActor {
    type Result = Vec<Stranger>;

    fn handle(&mut self, _: ListStrangers, _: &mut Self::Context) -> Vec<Stranger> {
        lock(&self.strangers).list(Instant::now().into_std())
    }
}

impl Handler<StopDiscovery> for DiscoveryActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: StopDiscovery, _: &mut Self::Context) -> Self::Result {
        Box::pin(self.end())
    }
}

impl Handler<StartDiscovery> for DiscoveryActor {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, says: StartDiscovery, _: &mut Self::Context) -> Self::Result {
        let ended = self.end().into_actor(self);
        Box::pin(ended.map(|(), actor, _| actor.begin(says)))
    }
}

#[cfg(test)]
mod tests {
    //! The whole room on real sockets: over the broadcast of loopback, and between network namespaces when run as root.
    //! The registry is the real one; in the place of the link stands a probe that proves whom it is asked to greet.

    use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
    use std::sync::OnceLock;

    use tokio::sync::mpsc::UnboundedReceiver;
    use tokio::task::LocalSet;
    use tokio::time::timeout;

    use super::*;
    use crate::discovery::interfaces::LOOPBACK;
    use crate::mailbox::{ask, probe};
    use crate::model::{BootId, PeerView, Via};
    use crate::registry::messages::{ListPeers, PeerLinked};
    use crate::registry::{PeerRegistryActor, RegistryParts};
    use crate::secret::{GroupKeys, Secret};
    use crate::wire::heartbeat::MAX_BEAT;

    /// The bar is 300 ms from the start of a peer to its row in the list; ten times that on a busy test machine.
    const LISTED: Duration = Duration::from_secs(3);
    /// Enough for anything that takes a beat or a loss.
    const LONG: Duration = Duration::from_secs(60);

    fn group(which: usize) -> GroupKeys {
        static KEYS: OnceLock<[GroupKeys; 2]> = OnceLock::new();
        let make = |secret: &str| GroupKeys::derive(&Secret::new(secret), "homie");
        KEYS.get_or_init(|| [make("one secret"), make("another secret")])[which].clone()
    }

    /// A port that nobody has.
    fn free_port() -> u16 {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
        socket.local_addr().expect("bound").port()
    }

    /// A homied, as far as this room goes.
    struct Node {
        number: u8,
        registry: Door<PeerRegistryActor>,
        discovery: Door<DiscoveryActor>,
        greets: UnboundedReceiver<Greet>,
        _facts: watch::Sender<Facts>,
        _state: tempfile::TempDir,
    }

    impl Node {
        fn start(number: u8, port: u16, keys: Option<GroupKeys>) -> Self {
            let state = tempfile::tempdir().expect("tempdir");
            let (facts_tx, facts) = watch::channel(Facts { cores: 2, job_slots: 1, ..Facts::default() });
            let (id, boot, name) = (PeerId([number; 32]), BootId([number; 16]), format!("node{number}"));
            let own = RegistryParts {
                id,
                boot,
                name: name.clone(),
                addr: SocketAddr::from(([127, 0, 0, 1], 1)),
                facts: facts.clone(),
                state: state.path().to_owned(),
            };
            let registry = crate::registry::start(own).expect("starts");
            let (link, greets) = probe(|_: &Greet| ());
            let worker_port = 1000 + u16::from(number);
            let says = StartDiscovery {
                keys,
                boot,
                name,
                discovery_port: port,
                worker_port,
                broadcast: true,
                listen: crate::config::Listen::Private,
            };
            let discovery = start(DiscoveryParts {
                says,
                id,
                facts,
                networks: Networks::still(),
                registry: registry.clone().recipient(),
                link,
            });
            Self { number, registry, discovery, greets, _facts: facts_tx, _state: state }
        }

        /// Waits until discovery asks for a link, and is the link.
        async fn prove_next(&mut self) -> Greet {
            let greet = timeout(LONG, self.greets.recv()).await.expect("in time").expect("runs");
            let number = greet.peer.0[0];
            let link = PeerLinked {
                peer: greet.peer,
                name: format!("node{number}"),
                boot: BootId([number; 16]),
                addr: greet.addr,
                way: None,
                version: "0.1.0".into(),
                clock_skew_ms: 0,
                via: Via::Direct,
            };
            ask(&self.registry, link, LONG).await.expect("answers").expect("welcome");
            greet
        }

        /// The other machines that it lists, once `right` likes them.
        async fn others(&self, right: impl Fn(&[PeerView]) -> bool) -> Vec<PeerView> {
            let wait = async {
                loop {
                    let mut list = ask(&self.registry, ListPeers { offline: false }, LONG).await.expect("answers");
                    assert_eq!(list.remove(0).via, Via::Own);
                    if right(&list) {
                        return list;
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            timeout(LONG, wait).await.expect("in time")
        }

        /// Why nobody hears it, once `right` likes that.
        async fn trouble(&self, right: impl Fn(Option<&str>) -> bool) -> Option<String> {
            let wait = async {
                loop {
                    let trouble = ask(&self.discovery, DiscoveryError, LONG).await.expect("answers");
                    if right(trouble.as_deref()) {
                        return trouble;
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            timeout(LONG, wait).await.expect("in time")
        }

        async fn stop(&self) {
            ask(&self.discovery, StopDiscovery, LONG).await.expect("answers");
        }
    }

    fn numbers(list: &[PeerView]) -> Vec<u8> {
        list.iter().map(|view| view.id.0[0]).collect()
    }

    /// Hears what is broadcast on this machine, as anybody can.
    struct Eavesdropper(tokio::net::UdpSocket);

    impl Eavesdropper {
        fn new(port: u16) -> Self {
            Self(crate::discovery::lan::open(port).expect("shared port"))
        }

        async fn capture(&self, count: usize) -> Vec<Vec<u8>> {
            let mut captured = Vec::new();
            while captured.len() < count {
                let mut buffer = [0; MAX_BEAT];
                let (len, _) = timeout(LONG, self.0.recv_from(&mut buffer)).await.expect("in time").expect("readable");
                captured.push(buffer[..len].to_vec());
            }
            captured
        }
    }

    #[tokio::test]
    async fn machines_of_a_group_find_each_other_at_once_and_a_stranger_nobody() {
        let port = free_port();
        LocalSet::new()
            .run_until(async move {
                let mut stranger = Node::start(3, port, Some(group(1)));
                let mut a = Node::start(1, port, Some(group(0)));
                // Another one has been here for a while when the newcomer starts.
                Eavesdropper::new(port).capture(2).await;
                let begin = Instant::now();
                let mut b = Node::start(2, port, Some(group(0)));
                let (greeted_by_a, greeted_by_b) = tokio::join!(a.prove_next(), b.prove_next());
                assert_eq!((greeted_by_a.peer.0[0], greeted_by_b.peer.0[0]), (b.number, a.number));
                assert_eq!(greeted_by_a.addr.port(), 1002, "the worker port of the beat at the source address");
                let list = b.others(|list| !list.is_empty()).await;
                assert!(begin.elapsed() < LISTED, "{:?}", begin.elapsed());
                assert_eq!((list[0].name.as_str(), list[0].facts.cores, list[0].via), ("node1", 2, Via::Broadcast));

                // A goodbye counts at once, not after three beats.
                let begin = Instant::now();
                b.stop().await;
                a.others(<[PeerView]>::is_empty).await;
                assert!(begin.elapsed() < LISTED, "{:?}", begin.elapsed());

                assert!(stranger.greets.try_recv().is_err(), "a wrong secret hears nobody");
                let known = ask(&stranger.registry, ListPeers { offline: true }, LONG).await.expect("answers");
                assert_eq!(known.len(), 1, "{known:?}");
                let known = ask(&a.registry, ListPeers { offline: true }, LONG).await.expect("answers");
                assert_eq!(known.len(), 2, "{known:?}");
            })
            .await;
    }

    #[tokio::test]
    async fn a_replayed_capture_changes_nothing() {
        let port = free_port();
        LocalSet::new()
            .run_until(async move {
                let anybody = Eavesdropper::new(port);
                let mut a = Node::start(1, port, Some(group(0)));
                let mut b = Node::start(2, port, Some(group(0)));
                a.prove_next().await;
                b.prove_next().await;
                // Both hellos, both beats that answer them, and the next ones.
                let captured = anybody.capture(8).await;
                b.stop().await;
                a.others(<[PeerView]>::is_empty).await;
                let before = ask(&a.registry, ListPeers { offline: true }, LONG).await.expect("answers");
                while a.greets.try_recv().is_ok() {}
                for datagram in captured.iter().chain(captured.iter().rev()) {
                    anybody.0.send_to(datagram, (LOOPBACK, port)).await.expect("sent");
                }
                // Datagrams are heard in order: when a newcomer is, the replayed ones have been.
                let _c = Node::start(3, port, Some(group(0)));
                assert_eq!(a.prove_next().await.peer.0[0], 3, "no replay led to a link");
                let mut after = ask(&a.registry, ListPeers { offline: true }, LONG).await.expect("answers");
                after.retain(|view| view.id.0[0] != 3);
                for (was, is) in before.iter().zip(&after) {
                    assert_eq!((was.id, was.addr, was.boot, was.status), (is.id, is.addr, is.boot, is.status));
                    assert!(is.via == Via::Own || is.heard_ms_ago >= was.heard_ms_ago);
                }
                assert_eq!(before.len(), after.len());
            })
            .await;
    }

    #[tokio::test]
    async fn a_flood_of_forgeries_hides_nobody() {
        let port = free_port();
        LocalSet::new()
            .run_until(async move {
                let mut a = Node::start(1, port, Some(group(0)));
                let forged = {
                    let mut captured = Eavesdropper::new(port).capture(1).await.remove(0);
                    let last = captured.len() - 1;
                    captured[last] ^= 1;
                    captured
                };
                let (stop, stopped) = std::sync::mpsc::channel::<()>();
                let flooder = std::thread::spawn(move || {
                    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
                    let mut sent = 0u32;
                    // 100 every 10 ms are 10,000 a second.
                    while stopped.recv_timeout(Duration::from_millis(10)).is_err() {
                        for _ in 0..100 {
                            sent += u32::from(socket.send_to(&forged, (Ipv4Addr::LOCALHOST, port)).is_ok());
                        }
                    }
                    sent
                });
                let begin = Instant::now();
                let mut b = Node::start(2, port, Some(group(0)));
                a.prove_next().await;
                assert!(begin.elapsed() < LISTED, "{:?}", begin.elapsed());
                b.prove_next().await;
                // Past the time after which silence counts as loss, it is still there.
                while begin.elapsed() < Duration::from_secs(8) {
                    assert_eq!(numbers(&a.others(|_| true).await), [2]);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                stop.send(()).expect("flooding");
                assert!(flooder.join().expect("no panic") > 10_000);
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_taken_port_is_said_and_tried_again() {
        let taken = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
        let port = taken.local_addr().expect("bound").port();
        LocalSet::new()
            .run_until(async move {
                let node = Node::start(1, port, Some(group(0)));
                let trouble = node.trouble(|trouble| trouble.is_some_and(|t| t.contains("cannot open UDP port"))).await;
                assert!(trouble.expect("some").contains(&port.to_string()));
                drop(taken);
                node.trouble(|trouble| trouble.is_none_or(|t| !t.contains("cannot open UDP port"))).await;
                node.stop().await;
            })
            .await;
    }

    #[tokio::test]
    async fn without_a_group_nothing_is_sent_and_the_reason_is_told() {
        let port = free_port();
        LocalSet::new()
            .run_until(async move {
                let node = Node::start(1, port, None);
                let trouble = node.trouble(|trouble| trouble.is_some()).await.expect("some");
                assert!(trouble.contains("homie setup"), "{trouble}");
                UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).expect("the port was not opened");
                node.stop().await;
            })
            .await;
    }

    /// Runs `ip` in the network namespace of this thread.
    fn ip(arguments: &str) {
        let status = std::process::Command::new("ip").args(arguments.split(' ')).status().expect("ip is installed");
        assert!(status.success(), "ip {arguments}");
    }

    /// Runs `work` on a thread with a network of its own, which ends with the thread.
    fn in_own_network(work: impl AsyncFnOnce() + Send + 'static) -> std::thread::JoinHandle<()> {
        std::thread::spawn(move || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("root may");
            ip("link set lo up");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            LocalSet::new().block_on(&runtime, work());
        })
    }

    #[test]
    fn a_machine_that_moves_is_followed_and_one_that_vanishes_is_lost_and_comes_back() {
        let allowed = || nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).is_ok();
        if !std::thread::spawn(allowed).join().expect("no panic") {
            eprintln!("skipped: network namespaces need root and CAP_SYS_ADMIN");
            return;
        }
        let (wire_to, thread_of_b) = std::sync::mpsc::channel();
        let (wired, b_is_wired) = std::sync::mpsc::channel();
        let (do_at_b, mut steps) = tokio::sync::mpsc::unbounded_channel::<&str>();
        let b = in_own_network(async move || {
            wire_to.send(nix::unistd::gettid()).expect("a waits");
            b_is_wired.recv_timeout(LONG).expect("a wires");
            ip("addr add 10.77.0.2/24 dev hdisco1");
            ip("link set hdisco1 up");
            let b = Node::start(2, 5555, Some(group(0)));
            while let Some(step) = steps.recv().await {
                ip(step);
                if step.ends_with("down") {
                    b.trouble(|trouble| trouble.is_some_and(|t| t.contains("no network interface"))).await;
                }
            }
        });
        let a = in_own_network(async move || {
            let thread_of_b = thread_of_b.recv_timeout(LONG).expect("b runs");
            ip("link add hdisco0 type veth peer name hdisco1");
            ip(&format!("link set hdisco1 netns {thread_of_b}"));
            ip("addr add 10.77.0.1/24 dev hdisco0");
            ip("link set hdisco0 up");
            wired.send(()).expect("b waits");
            let at = |last: u8| SocketAddr::from(([10, 77, 0, last], 1002));
            let mut a = Node::start(1, 5555, Some(group(0)));
            assert_eq!(a.prove_next().await.addr, at(2));
            a.others(|list| list.len() == 1 && list[0].addr == at(2)).await;

            do_at_b.send("addr del 10.77.0.2/24 dev hdisco1").expect("b runs");
            do_at_b.send("addr add 10.77.0.3/24 dev hdisco1").expect("b runs");
            while a.prove_next().await.addr != at(3) {}
            a.others(|list| list.len() == 1 && list[0].addr == at(3)).await;

            let begin = Instant::now();
            do_at_b.send("link set hdisco1 down").expect("b runs");
            a.others(<[PeerView]>::is_empty).await;
            assert!(begin.elapsed() > Duration::from_secs(3), "two missed beats are forgiven");
            do_at_b.send("link set hdisco1 up").expect("b runs");
            a.others(|list| numbers(list) == [2]).await;
        });
        a.join().expect("a is right");
        b.join().expect("b is right");
    }
}
