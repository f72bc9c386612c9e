//! The task that receives. It must keep up with a flood, so it awaits nothing but the socket.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::ear::{Dropped, Ear, Heard};
use super::network::Datagrams;
use super::strangers::Strangers;
use crate::secret::GroupKeys;
use crate::wire::heartbeat::MAX_BEAT;

/// Pause after an error of the socket, so that one that stays does not spin.
const ERROR_PAUSE: Duration = Duration::from_millis(100);
/// Machines of other groups that are named in the log; then no more, for a flood must not fill it.
const MAX_NAMED: usize = 16;

/// A beat and where it came from.
pub(super) type News = (Heard, IpAddr);

/// Listens for ever. What does not fit into `news` is dropped: the next beat says it again.
pub(super) async fn listen(
    socket: Arc<impl Datagrams>,
    keys: GroupKeys,
    mut ear: Ear,
    news: mpsc::Sender<News>,
    strangers: Arc<Mutex<Strangers>>,
) {
    // One byte more than a beat may have, so that a longer datagram is not cut to the size of one.
    let mut buffer = [0; MAX_BEAT + 1];
    let mut named = HashSet::new();
    loop {
        let (len, from) = match socket.receive(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                tracing::debug!(%error, "cannot hear heartbeats");
                tokio::time::sleep(ERROR_PAUSE).await;
                continue;
            }
        };
        let now = Instant::now().into_std();
        match ear.hear(&buffer[..len], from.ip(), now, |signed, mac| keys.verify_beat(signed, mac)) {
            Ok(heard) => {
                let _ = news.try_send((heard, from.ip()));
            }
            Err(dropped) => {
                if dropped == Dropped::OtherGroup {
                    let friend = ear.is_friend(from.ip(), now);
                    strangers.lock().unwrap_or_else(PoisonError::into_inner).heard(from.ip(), friend, now);
                }
                say_once(&mut named, dropped, from);
            }
        }
    }
}

/// Says at most once for each address what its owner can do something about.
fn say_once(named: &mut HashSet<IpAddr>, dropped: Dropped, from: SocketAddr) {
    let why = match dropped {
        Dropped::OtherGroup => "it is of another group, or has another group secret".to_owned(),
        Dropped::Foreign(error @ crate::wire::heartbeat::BeatError::Version(_)) => error.to_string(),
        Dropped::Malformed(error) => error.to_string(),
        _ => return,
    };
    if named.len() < MAX_NAMED && named.insert(from.ip()) {
        tracing::info!(from = %from.ip(), "heard a Homie machine and ignore it: {why}");
    }
}
