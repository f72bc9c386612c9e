//! The worker port: who comes in stands at the gate first, and few may stand there at once.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::bulk;
use super::connect;
use super::dialer::tune;
use super::gate::Waiting;
use super::join;
use super::messages::AddressesChanged;
use super::room::{Room, lock};
use super::rotate;
use super::secure::{Gate, Pass, Secured};
use crate::config::Listen;
use crate::mailbox::tell_outlet;
use crate::net::{self, OwnAddress};
use crate::wire::link::Purpose;
use crate::wire::roster::LOWEST_PORT;

/// Connections the kernel may hold for us, a kilobyte each. With 128, two thousand that redial at once overflowed it, and
/// then a member's connection waits for the kernel to send again, for seconds.
const BACKLOG: i32 = 1024;
/// After a failed bind or accept (port taken, no descriptors left), so long until the next try.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Addresses at most; each is a descriptor, and a machine with more has them from an engine.
const MOST_ADDRESSES: usize = 64;

/// Where we listen, and where not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// Addresses that are open; empty with `listen: all`, which opens every one.
    pub(super) at: Vec<IpAddr>,
    /// Addresses that are left out because strangers could reach them.
    pub(super) left_out: Vec<IpAddr>,
}

/// The open ports.
pub(super) struct Ears {
    port: u16,
    wish: Listen,
    open: BTreeMap<SocketAddr, TcpListener>,
}

impl Ears {
    /// Opens the port. Port 0 picks one.
    fn open(port: u16, wish: Listen) -> io::Result<(Self, Places)> {
        let mut ears = Self { port, wish, open: BTreeMap::new() };
        match wish {
            Listen::All => {
                let any: SocketAddr = (Ipv4Addr::UNSPECIFIED, port).into();
                let v4 = bind(any)?;
                ears.port = v4.local_addr()?.port();
                ears.open.insert(any, v4);
                let any: SocketAddr = (Ipv6Addr::UNSPECIFIED, ears.port).into();
                // A machine without IPv6 is no error.
                ears.open.extend(bind(any).ok().map(|v6| (any, v6)));
                Ok((ears, Places::default()))
            }
            Listen::Private => {
                if port == 0 {
                    ears.port = bind((Ipv4Addr::LOCALHOST, 0).into())?.local_addr()?.port();
                }
                let places = ears.follow(net::own_addresses()?)?;
                Ok((ears, places))
            }
        }
    }

    /// Opens what is new among the addresses of this machine, which are `all`, and closes what is gone.
    fn follow(&mut self, all: Vec<OwnAddress>) -> io::Result<Places> {
        if self.wish == Listen::All {
            return Ok(Places::default());
        }
        let (inside, outside): (Vec<_>, Vec<_>) = all.into_iter().partition(|own| net::is_inside(own.ip));
        // The link-local address of an engine's plug leads nowhere, and there is one for each container.
        let wanted = inside.into_iter().filter(|own| !(own.of_engine && own.scope != 0)).take(MOST_ADDRESSES);
        let wanted: Vec<SocketAddr> = wanted.map(|own| self.socket_of(own)).collect();
        self.open.retain(|at, _| wanted.contains(at));
        for at in wanted {
            if self.open.contains_key(&at) {
                continue;
            }
            match bind(at) {
                Ok(listener) => _ = self.open.insert(at, listener),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
                // An address that is still being checked for doubles, or gone again; the next look decides.
                Err(error) => tracing::debug!(%at, %error, "not listening there yet"),
            }
        }
        Ok(Places {
            at: self.open.keys().map(SocketAddr::ip).collect(),
            left_out: outside.into_iter().map(|own| own.ip).collect(),
        })
    }

    fn socket_of(&self, own: OwnAddress) -> SocketAddr {
        match own.ip {
            IpAddr::V4(_) => SocketAddr::new(own.ip, self.port),
            IpAddr::V6(v6) => SocketAddrV6::new(v6, self.port, 0, own.scope).into(),
        }
    }
}

fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let domain = if addr.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    // Connections of the homied before us may linger in TIME_WAIT; they must not keep us from starting.
    socket.set_reuse_address(true)?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Binds and takes in connections until the room closes. What goes wrong is for everybody to see and tried again.
pub(super) async fn listen(room: Arc<Room>, port: u16, wish: Listen, mut bound: Option<Ears>) {
    let mut closing = room.closing.subscribe();
    let waiting = Arc::new(Mutex::new(Waiting::default()));
    loop {
        if let Some(ears) = bound.take() {
            tokio::select! {
                _ = closing.wait_for(|c| *c) => return,
                () = serve(&room, ears, &waiting) => {}
            }
        }
        tokio::select! {
            _ = closing.wait_for(|c| *c) => return,
            () = sleep(RETRY_AFTER) => bound = try_bind(&room, port, wish),
        }
    }
}

/// Opens the port, with its outcome where everybody sees it.
pub(super) fn try_bind(room: &Room, port: u16, wish: Listen) -> Option<Ears> {
    match Ears::open(port, wish) {
        Ok((ears, places)) => {
            if ears.port < LOWEST_PORT {
                tracing::warn!(
                    port = ears.port,
                    "members do not introduce this machine to each other: no card leads to a port below {LOWEST_PORT}; heartbeats \
                     and `homie add` do, or give it a higher `worker_port`"
                );
            }
            *lock(&room.listening) = Ok(ears.port);
            *lock(&room.places) = places;
            Some(ears)
        }
        Err(error) => {
            is_shut(room, port, &error);
            None
        }
    }
}

fn is_shut(room: &Room, port: u16, error: &io::Error) {
    let why = format!("cannot listen on TCP port {port}: {error}; friends cannot reach this machine");
    tracing::warn!("{why}");
    *lock(&room.listening) = Err(why);
    *lock(&room.places) = Places::default();
}

/// Tells the actor when this machine loses or gets an address, until the room closes.
pub(super) async fn watch_addresses(room: Arc<Room>) {
    let mut closing = room.closing.subscribe();
    let mut networks = room.networks.clone();
    loop {
        let own = tokio::select! {
            _ = closing.wait_for(|c| *c) => return,
            own = networks.changed() => own,
        };
        let own = own.into_iter().filter(|own| own.live).map(|own| own.ip.to_canonical()).collect();
        tell_outlet(&room.actor.addresses, AddressesChanged { own });
    }
}

/// Takes connections in and follows the addresses of this machine, until the port is no longer ours.
async fn serve(room: &Arc<Room>, mut ears: Ears, waiting: &Arc<Mutex<Waiting>>) {
    let mut networks = room.networks.clone();
    loop {
        let accepted = {
            // A machine without any such address has nobody to wait for.
            let accepts: Vec<_> = ears.open.values().map(|l| Box::pin(l.accept())).collect();
            let accepting = async {
                match accepts.is_empty() {
                    true => std::future::pending().await,
                    false => futures_util::future::select_all(accepts).await.0,
                }
            };
            tokio::select! {
                accepted = accepting => Ok(accepted),
                own = networks.changed() => Err(own),
            }
        };
        match accepted {
            Ok(Ok((stream, from))) => take_in(room, stream, from, waiting),
            // Out of descriptors, most likely: others are closed meanwhile.
            Ok(Err(error)) => {
                tracing::warn!("cannot accept a connection: {error}");
                sleep(Duration::from_millis(200)).await;
            }
            Err(own) => match ears.follow(own) {
                Ok(places) => {
                    let mut before = lock(&room.places);
                    if *before != places {
                        tracing::info!(at = ?places.at, left_out = ?places.left_out, "listening");
                        *before = places;
                    }
                }
                Err(error) => return is_shut(room, ears.port, &error),
            },
        }
    }
}

fn take_in(room: &Arc<Room>, stream: TcpStream, from: SocketAddr, waiting: &Arc<Mutex<Waiting>>) {
    let mut dice = [0];
    if getrandom::fill(&mut dice).is_err() || !lock(waiting).enter(from.ip(), dice[0]) {
        return;
    }
    let place = Place { waiting: waiting.clone(), source: from.ip() };
    let room_of_task = room.clone();
    room.spawn(async move {
        let room = room_of_task;
        let me = room.me();
        let Some(member) = &me.member else { return };
        tune(&stream);
        let local = stream.local_addr().ok().map(|at| at.ip().to_canonical());
        let mut errand = None;
        let takes = |peer, purpose: &Purpose, pass: Pass| match (purpose, pass) {
            (Purpose::Control, Pass::Group) | (Purpose::Join, Pass::Invite(_)) => true,
            (Purpose::Bulk { ticket }, Pass::Group) => {
                errand = bulk::redeem(&room, peer, ticket);
                errand.is_some()
            }
            (Purpose::Control, Pass::Before) => rotate::may_hear(&room, peer),
            _ => false,
        };
        let others = |gate: &Gate| join::opened_by(&room, gate).or_else(|| rotate::opened_by(&room, gate));
        let secured = member.accept(stream, room.worker_port(), others, takes).await;
        drop(place);
        match (secured, errand) {
            (Ok(Secured { pass: Pass::Invite(number), frames, peer, hello, .. }), _) => {
                join::welcome(&room, &me, number, peer, &hello.name, frames).await;
            }
            (Ok(secured), _) if secured.pass == Pass::Before => rotate::receive(&room, secured).await,
            (Ok(secured), Some(errand)) => {
                let peer = secured.peer;
                let done = bulk::do_errand(room.clone(), peer, errand, bulk::frames(&room, secured));
                if room.as_long_as(&me, done).await.is_err() {
                    tracing::info!(?peer, "a transfer was broken off: this machine is in another group now");
                }
            }
            (Ok(secured), None) => connect::welcome(room.clone(), &me, secured, from, local).await,
            (Err(error), _) => tracing::debug!(%from, %error, "a connection was not taken in"),
        }
    });
}

/// A place at the gate; given back when dropped.
struct Place {
    waiting: Arc<Mutex<Waiting>>,
    source: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.waiting).leave(self.source);
    }
}
