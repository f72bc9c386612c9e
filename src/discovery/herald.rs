//! The task that tells the registry what was heard, and the link whom to try.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::greetings::Greetings;
use super::listen::News;
use crate::link::messages::Greet;
use crate::mailbox::{Outlet, ask_outlet, tell_outlet};
use crate::registry::messages::{PeerHeard, Worth};

/// The registry answers from memory; one that needs longer has stopped or is flooded, and the next beat will do.
const REGISTRY: Duration = Duration::from_secs(1);

/// Tells what comes, until the listener ends.
pub(super) async fn tell(
    mut news: mpsc::Receiver<News>,
    soon: Arc<Notify>,
    registry: Outlet<PeerHeard>,
    link: Outlet<Greet>,
) {
    let mut greetings = Greetings::default();
    while let Some((heard, from)) = news.recv().await {
        let beat = heard.beat;
        if heard.new_run && !beat.goodbye {
            soon.notify_one();
        }
        let addr = SocketAddr::new(from, beat.worker_port);
        let peer = beat.peer;
        match ask_outlet(&registry, PeerHeard { beat, addr }, REGISTRY).await {
            Ok(Worth::Nothing) => greetings.settled(addr),
            Ok(worth) => {
                let greet = Greet { addr, peer, friend: worth == Worth::Friend };
                if greetings.may_greet(addr, Instant::now().into_std()) && !tell_outlet(&link, greet) {
                    // Nothing was tried: the next beat may ask again.
                    greetings.settled(addr);
                }
            }
            Err(error) => tracing::debug!("a heartbeat was not noted: {error}"),
        }
    }
}
