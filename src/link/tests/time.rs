//! What happens when nothing happens: on held time, so that a minute takes a millisecond.

use futures_util::SinkExt;
use tokio_util::codec::Framed;

use super::super::dialer::{Routes, Target};
use super::super::handle::{Ending, Link, Road};
use super::super::room::{Me, Own, Room};
use super::super::secure::Frames;
use super::super::session;
use super::super::tickets::Tickets;
use super::*;
use crate::wire::frame::{Frame, FrameCodec};
use crate::wire::link::LinkFrame;

fn room(dir: &std::path::Path) -> (Arc<Room>, Arc<Mutex<Seen>>) {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let (sandbox, registry, _) = actor::probes(&seen, dir.to_owned());
    let me = actor::nobody();
    let (_, facts) = watch::channel(Facts::default());
    let room = Room {
        me: watch::Sender::new(Arc::new(Me { member: None, name: "raj".into(), boot: BootId([1; 16]) })),
        own: PeerId([1; 32]),
        routes: Routes::direct(),
        networks: crate::networks::Networks::still(),
        sandbox: SandboxOutlets::of(&sandbox),
        registry: RegistryOutlets::of(&registry),
        blobs: BlobStore::open(dir.join("blobs"), 1 << 20).expect("store"),
        pace: None,
        facts,
        actor: Own {
            up: me.clone().into(),
            down: me.clone().into(),
            dialled: me.clone().into(),
            reach: me.clone().into(),
            doubted: me.clone().into(),
            addresses: me.into(),
        },
        back: std::sync::OnceLock::new(),
        listening: Mutex::new(Ok(5556)),
        places: Mutex::default(),
        wish: Mutex::default(),
        tickets: Mutex::new(Tickets::default()),
        taking: Mutex::default(),
        invites: Mutex::default(),
        roster: super::super::roster::Roster::new(crate::identity::Identity::ephemeral().expect("key")),
        tls: super::super::tls::Tls::new(&crate::identity::Identity::ephemeral().expect("key")).expect("TLS"),
        state: std::path::PathBuf::new(),
        rotating: Mutex::default(),
        rotation_change: tokio::sync::Mutex::default(),
        reload: std::sync::OnceLock::new(),
        inputs: Mutex::default(),
        copies: Mutex::default(),
        tasks: Mutex::default(),
        closing: watch::Sender::new(false),
    };
    (Arc::new(room), seen)
}

/// Runs a session that was dialled or accepted; the other side shows a sign of life every 2 s if it is `alive`.
/// Returns how it ended and after how much time.
async fn session(dialled: bool, alive: bool, before: impl FnOnce(&Arc<Link>)) -> (Ending, Duration) {
    let dir = tempfile::tempdir().expect("tempdir");
    let (room, _seen) = room(dir.path());
    let (near, far) = tokio::io::duplex(1 << 20);
    let target = dialled.then(|| Target::Name("mike:5556".into()));
    let (link, outgoing) =
        Link::new(PeerId([2; 32]), "mike".into(), BootId([2; 16]), BootId([1; 16]), false, target, Road::default());
    before(&link);
    let frames: Frames = Framed::new(Box::new(near), FrameCodec::control());
    let other = tokio::spawn(async move {
        let mut far = Framed::new(far, FrameCodec::control());
        let mut clock = tokio::time::interval(Duration::from_secs(2));
        loop {
            clock.tick().await;
            let facts = LinkFrame::Facts { facts: Facts::default(), name: "mike".into(), now_ms: None };
            if alive && far.send(Frame::json(&facts).expect("fits")).await.is_err() {
                return;
            }
        }
    });
    let start = tokio::time::Instant::now();
    let ending = session::run(room, link.clone(), frames, outgoing).await;
    other.abort();
    let silent = link.silent_for();
    assert!(if ending == Ending::Dead { about(silent, 45) } else { silent < Duration::from_secs(3) }, "{silent:?}");
    (ending, start.elapsed())
}

fn run_held(test: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("runtime");
    runtime.block_on(LocalSet::new().run_until(test));
}

fn about(time: Duration, seconds: u64) -> bool {
    (seconds..seconds + 2).contains(&time.as_secs())
}

#[test]
fn a_silent_link_is_dead_after_forty_five_seconds() {
    run_held(async {
        let (ending, time) = session(false, false, |_| ()).await;
        assert_eq!(ending, Ending::Dead);
        assert!(about(time, 45), "{time:?}");
    });
}

#[test]
fn an_idle_link_is_closed_after_a_minute_by_the_side_that_dialled() {
    run_held(async {
        let (ending, time) = session(true, true, |_| ()).await;
        assert_eq!(ending, Ending::Idle);
        assert!(about(time, 60), "{time:?}");
        let waited = tokio::time::timeout(Duration::from_secs(600), session(false, true, |_| ())).await;
        assert!(waited.is_err(), "the side that was dialled keeps it");
    });
}

#[test]
fn a_link_that_is_kept_or_used_stays() {
    run_held(async {
        let keep = |link: &Arc<Link>| link.kept.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(tokio::time::timeout(Duration::from_secs(600), session(true, true, keep)).await.is_err());
        let only_way = |link: &Arc<Link>| link.introduced.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(tokio::time::timeout(Duration::from_secs(600), session(true, true, only_way)).await.is_err());
        let mut used = None;
        let using = session(true, true, |link| used = Some(link.in_use()));
        assert!(tokio::time::timeout(Duration::from_secs(600), using).await.is_err());
        drop(used);
    });
}

#[test]
fn a_replaced_link_ends_when_its_last_user_has_gone() {
    run_held(async {
        let (ending, time) = session(false, true, |link| link.retire()).await;
        assert_eq!(ending, Ending::Replaced);
        assert!(about(time, 1), "{time:?}");
        let (ending, time) = session(false, true, |link| {
            let used = link.in_use();
            link.retire();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(100)).await;
                drop(used);
            });
        })
        .await;
        assert_eq!(ending, Ending::Replaced);
        assert!(about(time, 101), "{time:?}");
    });
}
