//! The worker port: who comes in stands at the gate first, and few may stand there at once.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::bulk;
use super::connect;
use super::dialer::tune;
use super::gate::Waiting;
use super::room::{Room, lock};
use crate::wire::link::Purpose;

/// Connections the kernel may hold for us.
const BACKLOG: i32 = 128;
/// After a failed bind or accept (port taken, no descriptors left), so long until the next try.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Opens the port on every address of this machine: IPv4, and IPv6 where there is any. Port 0 picks one.
pub(super) fn bind(port: u16) -> io::Result<(u16, Vec<TcpListener>)> {
    let open = |domain, addr: SocketAddr| -> io::Result<TcpListener> {
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
    };
    let v4 = open(Domain::IPV4, (Ipv4Addr::UNSPECIFIED, port).into())?;
    let port = v4.local_addr()?.port();
    let mut all = vec![v4];
    // A machine without IPv6 is no error.
    if let Ok(v6) = open(Domain::IPV6, (Ipv6Addr::UNSPECIFIED, port).into()) {
        all.push(v6);
    }
    Ok((port, all))
}

/// Binds and takes in connections until the room closes. What goes wrong is for everybody to see and tried again.
pub(super) async fn listen(room: Arc<Room>, port: u16, mut bound: Option<Vec<TcpListener>>) {
    let mut closing = room.closing.subscribe();
    let waiting = Arc::new(Mutex::new(Waiting::default()));
    loop {
        if let Some(listeners) = bound.take() {
            tokio::select! {
                _ = closing.wait_for(|c| *c) => return,
                () = serve(&room, &listeners, &waiting) => {}
            }
        }
        tokio::select! {
            _ = closing.wait_for(|c| *c) => return,
            () = sleep(RETRY_AFTER) => bound = try_bind(&room, port),
        }
    }
}

/// [`bind`] with its outcome where everybody sees it.
pub(super) fn try_bind(room: &Room, port: u16) -> Option<Vec<TcpListener>> {
    let (listening, bound) = match bind(port) {
        Ok((port, listeners)) => (Ok(port), Some(listeners)),
        Err(error) => {
            (Err(format!("cannot listen on TCP port {port}: {error}; friends cannot reach this machine")), None)
        }
    };
    if let Err(error) = &listening {
        tracing::warn!("{error}");
    }
    *lock(&room.listening) = listening;
    bound
}

async fn serve(room: &Arc<Room>, listeners: &[TcpListener], waiting: &Arc<Mutex<Waiting>>) {
    loop {
        let accepts = listeners.iter().map(|l| Box::pin(l.accept()));
        let (accepted, _, _) = futures_util::future::select_all(accepts).await;
        match accepted {
            Ok((stream, from)) => take_in(room, stream, from, waiting),
            // Out of descriptors, most likely: others are closed meanwhile.
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                sleep(Duration::from_millis(200)).await;
            }
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
        let mut errand = None;
        let takes = |peer, purpose: &Purpose| match purpose {
            Purpose::Control => true,
            Purpose::Bulk { ticket } => {
                errand = bulk::redeem(&room, peer, ticket);
                errand.is_some()
            }
        };
        let secured = member.accept(stream, room.worker_port(), takes).await;
        drop(place);
        match (secured, errand) {
            (Ok(secured), Some(errand)) => {
                let peer = secured.peer;
                let done = bulk::do_errand(room.clone(), peer, errand, bulk::frames(&room, secured));
                if room.as_long_as(&me, done).await.is_err() {
                    tracing::info!(?peer, "a transfer was broken off: this machine is in another group now");
                }
            }
            (Ok(secured), None) => connect::welcome(room.clone(), &me, secured, from).await,
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
