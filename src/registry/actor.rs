//! The mailbox: translates words into calls of the table, and writes pins down before it answers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use actix::{Actor, Context, Handler, MessageResult, ResponseFuture};
use tokio::sync::watch;

use super::claims::Claims;
use super::error::RegistryError;
use super::introductions::Introducers;
use super::messages::{
    ChangeSelf, ForgetPeer, ListPeers, ListPins, OnAir, PathTried, PathsOf, PeerFacts, PeerHeard, PeerIntroduced,
    PeerLinked, PeerUnlinked, RolesOf, SetRoles, TrustNewKey, Worth,
};
use super::pins::Pins;
use super::pins_file::PinsFile;
use super::table::{Table, own_view};
use crate::mailbox::{Door, MAILBOX};
use crate::model::{BootId, Facts, PeerId, PeerView};
use crate::wire::ipc::{Pin, TrustName, TrustedKey};
use crate::wire::refusal::{Refusal, RefusalKind};
use crate::wire::version::RELEASE;

/// What the registry is made of.
#[derive(Debug)]
pub struct RegistryParts {
    /// This machine's key hash.
    pub id: PeerId,
    /// Its name.
    pub name: String,
    /// This run.
    pub boot: BootId,
    /// Where its own worker listens, for its own row of the list.
    pub addr: SocketAddr,
    /// Its load.
    pub facts: watch::Receiver<Facts>,
    /// The state directory, where `peers.json` lives.
    pub state: PathBuf,
}

/// Who is there.
#[derive(Debug)]
pub struct PeerRegistryActor {
    id: PeerId,
    name: String,
    boot: BootId,
    addr: SocketAddr,
    own_facts: watch::Receiver<Facts>,
    table: Table,
    pins: Pins,
    claims: Claims,
    introducers: Introducers,
    file: PinsFile,
}

/// Starts the registry, inside the System. Reads `peers.json` first, so it blocks for as long as that takes.
///
/// # Errors
/// `peers.json` is there and cannot be read or understood.
pub fn start(parts: RegistryParts) -> Result<Door<PeerRegistryActor>, RegistryError> {
    let (file, pins) = PinsFile::open(&parts.state)?;
    let RegistryParts { id, name, boot, addr, facts: own_facts, state: _ } = parts;
    Ok(PeerRegistryActor {
        id,
        name,
        boot,
        addr,
        own_facts,
        table: Table::new(id),
        pins,
        claims: Claims::default(),
        introducers: Introducers::default(),
        file,
    }
    .start())
}

impl PeerRegistryActor {
    /// Does `work` with the table and the pins, and answers once changed pins are on disk.
    fn pinning<T: 'static>(&mut self, work: impl FnOnce(&mut Table, &mut Pins) -> T) -> ResponseFuture<T> {
        let before = self.pins.revision();
        let answer = work(&mut self.table, &mut self.pins);
        let revision = self.pins.revision();
        if revision == before {
            return Box::pin(std::future::ready(answer));
        }
        let write = self.file.clone().write(revision, self.pins.encode());
        Box::pin(async move {
            write.await;
            answer
        })
    }
}

/// tokio's clock, which tests may hold.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Actor for PeerRegistryActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<PeerHeard> for PeerRegistryActor {
    type Result = MessageResult<PeerHeard>;

    fn handle(&mut self, word: PeerHeard, _: &mut Self::Context) -> Self::Result {
        let peer = word.beat.peer;
        MessageResult(match self.table.heard(word.beat, word.addr, now()) {
            false => Worth::Nothing,
            true if self.pins.knows(peer) => Worth::Friend,
            true => Worth::Stranger,
        })
    }
}

impl Handler<PeerLinked> for PeerRegistryActor {
    type Result = ResponseFuture<Result<(), Refusal>>;

    fn handle(&mut self, word: PeerLinked, _: &mut Self::Context) -> Self::Result {
        let (addr, name, peer) = (word.addr, word.name.clone(), word.peer);
        let mut refused = false;
        let answer = self.pinning(|table, pins| {
            table.linked(word, pins, now()).inspect_err(|refusal| {
                refused = refusal.kind == RefusalKind::NotAllowed;
                tracing::warn!(%addr, %name, "refused a machine of the group: {refusal}");
            })
        });
        if refused {
            self.claims.note(&name, peer, addr, now());
        }
        answer
    }
}

impl Handler<PeerFacts> for PeerRegistryActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, word: PeerFacts, _: &mut Self::Context) -> Self::Result {
        let PeerFacts { peer, name, facts, clock_skew_ms } = word;
        self.pinning(|table, pins| {
            if let Err(refusal) = table.facts(peer, name, facts, clock_skew_ms, pins, now()) {
                tracing::debug!(?peer, "kept its old name: {refusal}");
            }
        })
    }
}

impl Handler<PathsOf> for PeerRegistryActor {
    type Result = MessageResult<PathsOf>;

    fn handle(&mut self, word: PathsOf, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.table.ways(word.peer, now()))
    }
}

impl Handler<PathTried> for PeerRegistryActor {
    type Result = ();

    fn handle(&mut self, word: PathTried, _: &mut Self::Context) {
        self.table.tried(word, now());
    }
}

impl Handler<PeerUnlinked> for PeerRegistryActor {
    type Result = ();

    fn handle(&mut self, word: PeerUnlinked, _: &mut Self::Context) {
        self.table.unlinked(word.peer, word.goodbye);
    }
}

impl Handler<ChangeSelf> for PeerRegistryActor {
    type Result = ();

    fn handle(&mut self, word: ChangeSelf, _: &mut Self::Context) {
        let ChangeSelf { name, boot, worker_port, same_group } = word;
        (self.name, self.boot) = (name, boot);
        self.addr.set_port(worker_port);
        if !same_group {
            self.table = Table::new(self.id);
            self.introducers = Introducers::default();
        }
    }
}

impl Handler<PeerIntroduced> for PeerRegistryActor {
    type Result = ();

    fn handle(&mut self, word: PeerIntroduced, _: &mut Self::Context) {
        self.introducers.note(word.peer, word.by);
    }
}

impl Handler<OnAir> for PeerRegistryActor {
    type Result = MessageResult<OnAir>;

    fn handle(&mut self, _: OnAir, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.table.on_air(now()))
    }
}

impl Handler<ForgetPeer> for PeerRegistryActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, word: ForgetPeer, _: &mut Self::Context) -> Self::Result {
        let names: Vec<_> =
            self.pins.all().filter(|(_, id)| *id == word.peer).map(|(name, _)| name.to_owned()).collect();
        self.introducers.forget(word.peer, &names);
        self.pinning(|table, pins| {
            table.forget(word.peer);
            pins.forget(word.peer);
        })
    }
}

impl Handler<ListPeers> for PeerRegistryActor {
    type Result = Vec<PeerView>;

    fn handle(&mut self, word: ListPeers, _: &mut Self::Context) -> Vec<PeerView> {
        let facts = self.own_facts.borrow().clone();
        let own = own_view(self.id, &self.name, self.addr, self.boot, RELEASE, facts);
        let others = self.table.list(&self.name, word.offline, now());
        let others = others.into_iter().map(|view| PeerView {
            roles: self.pins.roles_of(view.id),
            introduced_by: self.introducers.of(&view),
            ..view
        });
        std::iter::once(own).chain(others).collect()
    }
}

impl Handler<TrustNewKey> for PeerRegistryActor {
    type Result = ResponseFuture<Result<(TrustedKey, SocketAddr), Refusal>>;

    fn handle(&mut self, word: TrustNewKey, _: &mut Self::Context) -> Self::Result {
        let TrustName { name, key } = word.trust;
        if !self.pins.all().any(|(known, _)| known == name) {
            let refusal = Refusal::new(RefusalKind::UnknownPeer, format!("no machine called {name} is known"));
            return Box::pin(std::future::ready(Err(refusal.hint("`homie trust` lists the known ones"))));
        }
        let chosen = match self.claims.choose(&name, key.as_deref(), now()) {
            Ok(chosen) => chosen,
            Err(refusal) => return Box::pin(std::future::ready(Err(refusal))),
        };
        self.claims.settle(&name);
        self.pinning(|table, pins| {
            let old = pins.free(&name).unwrap_or(chosen.id);
            table.forget(old);
            pins.claim(&name, chosen.id)?;
            pins.choose(chosen.id);
            tracing::info!(%name, %old, new = %chosen.id, "trusts a new key");
            Ok((TrustedKey { name, old, new: chosen.id }, chosen.addr))
        })
    }
}

impl Handler<RolesOf> for PeerRegistryActor {
    type Result = MessageResult<RolesOf>;

    fn handle(&mut self, word: RolesOf, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.pins.roles_of(word.peer))
    }
}

impl Handler<SetRoles> for PeerRegistryActor {
    type Result = ResponseFuture<Result<Pin, Refusal>>;

    fn handle(&mut self, word: SetRoles, _: &mut Self::Context) -> Self::Result {
        let SetRoles { name, roles } = word;
        let others = self.claims.of(&name, now());
        self.pinning(|_, pins| {
            let id = pins.allow(&name, roles).ok_or_else(|| {
                Refusal::new(RefusalKind::UnknownPeer, format!("no machine called {name} is known"))
                    .hint("`homie trust` lists the known ones")
            })?;
            tracing::info!(%name, %roles, "may do this here from now on");
            Ok(Pin { name, id, roles, others })
        })
    }
}

impl Handler<ListPins> for PeerRegistryActor {
    type Result = Vec<Pin>;

    fn handle(&mut self, _: ListPins, _: &mut Self::Context) -> Vec<Pin> {
        let pin = |(name, id): (&str, PeerId)| Pin {
            name: name.to_owned(),
            id,
            roles: self.pins.roles_of(id),
            others: self.claims.of(name, now()),
        };
        self.pins.all().map(pin).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::{ask, tell};
    use crate::model::{PeerStatus, Via};
    use crate::wire::heartbeat::{Beat, INTERVAL};
    use std::time::Duration;
    use tokio::task::LocalSet;

    const LIMIT: Duration = Duration::from_secs(5);
    const BOB: PeerId = PeerId([1; 32]);

    fn parts(state: &std::path::Path) -> (watch::Sender<Facts>, RegistryParts) {
        let (tx, facts) = watch::channel(Facts { cores: 2, job_slots: 1, ..Facts::default() });
        let addr = SocketAddr::from(([127, 0, 0, 1], 5556));
        let parts = RegistryParts {
            id: PeerId([9; 32]),
            name: "me".into(),
            boot: BootId([9; 16]),
            addr,
            facts,
            state: state.to_owned(),
        };
        (tx, parts)
    }

    fn link(key: PeerId) -> PeerLinked {
        PeerLinked {
            peer: key,
            name: "bob".into(),
            boot: BootId([1; 16]),
            addr: SocketAddr::from(([10, 0, 0, 1], 5556)),
            way: None,
            version: "0.1.0".into(),
            clock_skew_ms: 0,
            via: Via::Direct,
        }
    }

    fn heard(seq: u64) -> PeerHeard {
        let facts = Facts { cores: 4, job_slots: 1, ..Facts::default() };
        let boot = BootId([1; 16]);
        let beat = Beat { peer: BOB, boot, seq, worker_port: 5556, name: "bob".into(), facts, goodbye: false };
        PeerHeard { beat, addr: SocketAddr::from(([10, 0, 0, 1], 5556)) }
    }

    #[tokio::test(start_paused = true)]
    async fn this_machine_comes_first_and_a_silent_peer_goes() {
        let dir = tempfile::tempdir().expect("tempdir");
        let (own, parts) = parts(dir.path());
        LocalSet::new()
            .run_until(async move {
                let door = start(parts).expect("starts");
                assert_eq!(ask(&door, heard(1), LIMIT).await, Ok(Worth::Stranger), "worth a link");
                assert_eq!(ask(&door, link(BOB), LIMIT).await, Ok(Ok(())));
                own.send_replace(Facts { paused: Some("in use".into()), ..Facts::default() });
                let list = ask(&door, ListPeers { offline: false }, LIMIT).await.expect("answers");
                let shown: Vec<_> = list.iter().map(|v| (v.name.as_str(), v.via, v.status)).collect();
                let me = ("me", Via::Own, PeerStatus::Paused);
                assert_eq!(shown, [me, ("bob", Via::Broadcast, PeerStatus::Idle)]);
                for seq in 2..1800 {
                    tokio::time::sleep(INTERVAL).await;
                    assert!(tell(&door, heard(seq)));
                }
                assert_eq!(ask(&door, ListPeers { offline: false }, LIMIT).await.expect("answers").len(), 2);
                tokio::time::sleep(INTERVAL * 4).await;
                assert_eq!(ask(&door, ListPeers { offline: false }, LIMIT).await.expect("answers").len(), 1);
                assert_eq!(ask(&door, ListPeers { offline: true }, LIMIT).await.expect("answers").len(), 2);
            })
            .await;
    }

    #[tokio::test]
    async fn a_pin_is_on_disk_before_the_link_is_told_and_outlives_homied() {
        let dir = tempfile::tempdir().expect("tempdir");
        let state = dir.path().to_owned();
        LocalSet::new()
            .run_until(async move {
                let (_own, first) = parts(&state);
                let door = start(first).expect("starts");
                assert_eq!(ask(&door, link(BOB), LIMIT).await, Ok(Ok(())));
                drop(door);
                let (_own, second) = parts(&state);
                let door = start(second).expect("starts again");
                let eve = PeerId([2; 32]);
                let refusal = ask(&door, link(eve), LIMIT).await.expect("answers").expect_err("pinned");
                assert_eq!(refusal.kind, RefusalKind::NotAllowed);
                let pins = ask(&door, ListPins, LIMIT).await.expect("answers");
                assert_eq!((pins.len(), pins[0].id, pins[0].others[0].id), (1, BOB, eve));
                let trust = |name: &str| TrustNewKey { trust: TrustName { name: name.into(), key: None } };
                let (trusted, addr) = ask(&door, trust("bob"), LIMIT).await.expect("answers").expect("was shown");
                assert_eq!((trusted.old, trusted.new, addr.port()), (BOB, eve, 5556));
                assert_eq!(ask(&door, link(eve), LIMIT).await, Ok(Ok(())));
                let back = ask(&door, link(BOB), LIMIT).await.expect("answers");
                assert_eq!(back.expect_err("the name is another's now").kind, RefusalKind::NotAllowed);
                let nobody = ask(&door, trust("tom"), LIMIT).await.expect("answers");
                assert_eq!(nobody.expect_err("unknown").kind, RefusalKind::UnknownPeer);
                drop(door);
                let (_own, third) = parts(&state);
                let door = start(third).expect("starts again");
                assert_eq!(ask(&door, ListPins, LIMIT).await.expect("answers")[0].id, eve, "it was written down");
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn in_another_group_nobody_is_known_and_names_stay_pinned() {
        let dir = tempfile::tempdir().expect("tempdir");
        let (_own, parts) = parts(dir.path());
        LocalSet::new()
            .run_until(async move {
                let door = start(parts).expect("starts");
                let become_ = |name: &str, same_group| ChangeSelf {
                    name: name.into(),
                    boot: BootId([8; 16]),
                    worker_port: 7000,
                    same_group,
                };
                ask(&door, heard(1), LIMIT).await.expect("answers");
                ask(&door, link(BOB), LIMIT).await.expect("answers").expect("free name");
                ask(&door, become_("myself", true), LIMIT).await.expect("answers");
                let list = ask(&door, ListPeers { offline: false }, LIMIT).await.expect("answers");
                let shown: Vec<_> = list.iter().map(|v| (v.name.as_str(), v.addr.port(), v.boot)).collect();
                assert_eq!(shown, [("myself", 7000, BootId([8; 16])), ("bob", 5556, BootId([1; 16]))]);

                ask(&door, become_("myself", false), LIMIT).await.expect("answers");
                assert_eq!(ask(&door, ListPeers { offline: true }, LIMIT).await.expect("answers").len(), 1);
                assert_eq!(
                    ask(&door, heard(2), LIMIT).await,
                    Ok(Worth::Friend),
                    "what was proven in the other group is not"
                );
                let eve = ask(&door, link(PeerId([2; 32])), LIMIT).await.expect("answers");
                assert_eq!(eve.expect_err("pinned").kind, RefusalKind::NotAllowed);
            })
            .await;
    }

    #[tokio::test]
    async fn a_broken_file_of_pins_stops_the_start() {
        let dir = tempfile::tempdir().expect("tempdir");
        std::fs::write(dir.path().join("peers.json"), "?").expect("writable");
        let (_own, parts) = parts(dir.path());
        LocalSet::new()
            .run_until(async move { assert!(matches!(start(parts), Err(RegistryError::Parse { .. }))) })
            .await;
    }
}
