//! Pure: the peers, from what was heard, proven and said of them.
//!
//! A beat can be captured and sent again by anybody, from anywhere, so it alone moves nothing that matters. A *row*
//! begins with a link that proved the key, for one run (boot id) of the peer; beats of that run with growing
//! sequence numbers then keep it alive. What is heard of other runs is a *rumour*: worth trying a link, shown as
//! offline and only on request.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Instant;

use super::liveness::{Life, willing};
use super::messages::{PathTried, PeerLinked, Tried};
use super::paths::Paths;
use super::pins::Pins;
use crate::model::{BootId, Facts, Learned, PeerId, PeerStatus, PeerView, Roles, Via, Way};
use crate::wire::heartbeat::{Beat, LOST_AFTER};
use crate::wire::refusal::Refusal;

/// Rows and rumours kept, each: four times the largest group that was ever measured, about 2 MiB.
const MAX_PEERS: usize = 4096;

/// Everybody but this machine.
#[derive(Debug)]
pub(super) struct Table {
    own: PeerId,
    rows: BTreeMap<PeerId, Row>,
    rumours: HashMap<PeerId, Rumour>,
}

/// A peer whose key was proven.
#[derive(Debug)]
struct Row {
    name: String,
    boot: BootId,
    /// Sequence number of its latest beat.
    seq: u64,
    addr: SocketAddr,
    /// When a beat last came from anywhere.
    beat_heard: Option<Instant>,
    /// When a beat last came from `addr`.
    addr_heard: Option<Instant>,
    paths: Paths,
    via: Via,
    version: String,
    linked: bool,
    life: Life,
    clock_skew_ms: i64,
    facts: Facts,
    /// When the link last gave a sign of life.
    link_heard: Instant,
    /// When the link last brought facts; they are whole, those of beats are cut.
    facts_linked: Option<Instant>,
}

/// A run of a peer that no link has proven.
#[derive(Debug)]
struct Rumour {
    beat: Beat,
    addr: SocketAddr,
    heard: Instant,
}

impl Table {
    /// An empty table of the machine `own`.
    pub(super) fn new(own: PeerId) -> Self {
        Self { own, rows: BTreeMap::new(), rumours: HashMap::new() }
    }

    /// A beat with a right MAC came from `addr`. Returns whether a link to `addr` is worth trying.
    pub(super) fn heard(&mut self, beat: Beat, addr: SocketAddr, now: Instant) -> bool {
        if beat.peer == self.own {
            return false;
        }
        match self.rows.get_mut(&beat.peer) {
            Some(row) if row.boot == beat.boot => row.heard(beat, addr, now),
            _ => self.rumour(beat, addr, now),
        }
    }

    fn rumour(&mut self, beat: Beat, addr: SocketAddr, now: Instant) -> bool {
        let known = self.rumours.get(&beat.peer);
        if known.is_some_and(|r| r.beat.boot == beat.boot && r.beat.seq >= beat.seq) {
            return false;
        }
        if beat.goodbye {
            self.rumours.remove(&beat.peer);
            return false;
        }
        if known.is_none() && self.rumours.len() >= MAX_PEERS {
            self.rumours.retain(|_, r| is_fresh(r.heard, now));
            if self.rumours.len() >= MAX_PEERS {
                return false;
            }
        }
        self.rumours.insert(beat.peer, Rumour { beat, addr, heard: now });
        true
    }

    /// A link has proven a key. Pins the name to it.
    ///
    /// # Errors
    /// The name is pinned to another key, or is no name; then nothing changed.
    pub(super) fn linked(&mut self, link: PeerLinked, pins: &mut Pins, now: Instant) -> Result<(), Refusal> {
        pins.claim(&link.name, link.peer)?;
        pins.make_room(|key| key == link.peer || self.rows.get(&key).is_some_and(|row| row.linked));
        let rumour = self.rumours.remove(&link.peer).filter(|r| r.beat.boot == link.boot);
        if let Some(row) = self.rows.get_mut(&link.peer).filter(|row| row.boot == link.boot) {
            row.relinked(link, now);
            return Ok(());
        }
        self.make_room(now);
        let before = self.rows.remove(&link.peer);
        // Better the facts of the run before than none, for the moment until the first ones of this run come.
        let (facts, paths) = before.map(|old| (old.facts, old.paths.of_before())).unwrap_or_default();
        let mut row = Row {
            paths,
            name: link.name.clone(),
            boot: link.boot,
            seq: 0,
            addr: link.addr,
            beat_heard: rumour.as_ref().map(|r| r.heard),
            addr_heard: None,
            via: link.via,
            version: link.version.clone(),
            linked: true,
            life: Life::heard_at(now),
            clock_skew_ms: link.clock_skew_ms,
            facts,
            link_heard: now,
            facts_linked: None,
        };
        row.proved(&link, now);
        if let Some(Rumour { beat, addr, heard }) = rumour {
            row.seq = beat.seq;
            row.via = Via::Broadcast;
            row.addr_heard = (addr == row.addr).then_some(heard);
            row.take_facts(beat.facts);
        }
        self.rows.insert(link.peer, row);
        Ok(())
    }

    /// Facts came over the link, and perhaps a new name.
    ///
    /// # Errors
    /// The new name is another key's; the old one stays, the facts are taken all the same.
    pub(super) fn facts(
        &mut self,
        peer: PeerId,
        name: String,
        facts: Facts,
        skew_ms: Option<i64>,
        pins: &mut Pins,
        now: Instant,
    ) -> Result<(), Refusal> {
        let Some(row) = self.rows.get_mut(&peer) else { return Ok(()) };
        row.life = Life::heard_at(now);
        row.facts = facts;
        row.clock_skew_ms = skew_ms.unwrap_or(row.clock_skew_ms);
        row.link_heard = now;
        row.facts_linked = Some(now);
        if row.name != name {
            pins.claim(&name, peer)?;
            row.name = name;
        }
        Ok(())
    }

    /// A way to it has turned out well or not.
    pub(super) fn tried(&mut self, word: PathTried, now: Instant) {
        let Some(row) = self.rows.get_mut(&word.peer) else { return };
        match word.tried {
            Tried::Answered(rtt_us) => row.paths.measured(&word.way, rtt_us, now),
            Tried::Failed => row.paths.failed(&word.way, now),
            Tried::Carried(bytes_per_s) => row.paths.carried(&word.way, bytes_per_s),
            Tried::InUse => {
                if let Way::Straight(addr) = word.way
                    && addr != row.addr
                {
                    (row.addr, row.addr_heard) = (addr, None);
                }
                row.paths.uses(Some(word.way));
            }
        }
    }

    /// Where to dial `peer`, best first. The address of a rumour comes last, since anybody may send a captured beat: a
    /// peer that came back on another port is found there when nobody answers at the old one.
    pub(super) fn ways(&self, peer: PeerId, now: Instant) -> Vec<(Way, Learned)> {
        let mut ways: Vec<_> = self.rows.get(&peer).into_iter().flat_map(|row| row.paths.ranked()).collect();
        let rumour = self.rumours.get(&peer).filter(|r| ways.is_empty() || is_fresh(r.heard, now));
        if let Some(addr) = rumour.map(|r| r.addr).filter(|a| !ways.iter().any(|(way, _)| *way == Way::Straight(*a))) {
            ways.push((Way::Straight(addr), Learned::Beat));
        }
        ways
    }

    /// The link to it is gone.
    pub(super) fn unlinked(&mut self, peer: PeerId, goodbye: bool) {
        if let Some(row) = self.rows.get_mut(&peer) {
            row.linked = false;
            row.life.gone |= goodbye;
            row.paths.uses(None);
        }
    }

    /// Its name went to another key.
    pub(super) fn forget(&mut self, peer: PeerId) {
        self.rows.remove(&peer);
    }

    /// The peers, by name; those that are not there only with `offline`. `taken` is a name they cannot be shown by.
    pub(super) fn list(&self, taken: &str, offline: bool, now: Instant) -> Vec<PeerView> {
        let mut views: Vec<PeerView> = self
            .rows
            .iter()
            .map(|(id, row)| row.view(*id, now))
            .filter(|view| offline || view.status != PeerStatus::Offline)
            .collect();
        if offline {
            let unknown = self.rumours.iter().filter(|(id, _)| !self.rows.contains_key(id));
            views.extend(unknown.map(|(_, rumour)| rumour.view(now)));
        }
        let mut uses: HashMap<String, u32> = HashMap::from([(taken.to_owned(), 1)]);
        for view in &views {
            *uses.entry(view.name.clone()).or_default() += 1;
        }
        for view in &mut views {
            if uses.get(&view.name).is_some_and(|n| *n > 1) {
                view.name = format!("{}~{}", view.name, view.id.short());
            }
        }
        views.sort_by(|a, b| a.name.cmp(&b.name).then(a.id.cmp(&b.id)));
        views
    }

    /// Whose beats are heard.
    pub(super) fn on_air(&self, now: Instant) -> Vec<PeerId> {
        let rows =
            self.rows.iter().filter(|(_, r)| r.beat_heard.is_some_and(|at| is_fresh(at, now))).map(|(id, _)| *id);
        rows.chain(self.rumours.iter().filter(|(_, r)| is_fresh(r.heard, now)).map(|(id, _)| *id)).collect()
    }

    /// Drops the row that was silent longest, if there are too many.
    fn make_room(&mut self, now: Instant) {
        if self.rows.len() < MAX_PEERS {
            return;
        }
        let silent = self.rows.iter().filter(|(_, row)| !row.linked).max_by_key(|(_, row)| row.life.silence(now));
        if let Some(id) = silent.map(|(id, _)| *id) {
            self.rows.remove(&id);
        }
    }
}

impl Row {
    /// A beat of this run. Returns whether a link to `addr` is worth trying.
    fn heard(&mut self, beat: Beat, addr: SocketAddr, now: Instant) -> bool {
        if beat.seq <= self.seq {
            return false;
        }
        self.seq = beat.seq;
        if beat.goodbye {
            self.life.gone = true;
            return false;
        }
        self.life = Life::heard_at(now);
        self.beat_heard = Some(now);
        self.via = Via::Broadcast;
        if !self.facts_linked.is_some_and(|at| is_fresh(at, now)) {
            self.take_facts(beat.facts);
        }
        let worth_a_try = self.paths.heard(addr, now);
        if addr == self.addr {
            self.addr_heard = Some(now);
            return worth_a_try;
        }
        // Somewhere else: moved, or on several networks, or somebody sends its beats on. The old address stays for
        // as long as it is alive; a link may prove the new one earlier.
        let link_is_alive = self.linked && is_fresh(self.link_heard, now);
        if !link_is_alive && !self.addr_heard.is_some_and(|at| is_fresh(at, now)) {
            self.addr = addr;
            self.addr_heard = Some(now);
        }
        worth_a_try
    }

    /// The peer has shown its key at the other end of `link`.
    fn proved(&mut self, link: &PeerLinked, now: Instant) {
        let known = (!link.addr.ip().is_unspecified()).then_some(link.addr);
        let (way, learned) = match (&link.way, known) {
            (Some(way), _) => {
                let learned = match (link.via, way) {
                    (Via::Proxy, _) => Learned::Proxy,
                    (Via::Broadcast, _) => Learned::Beat,
                    // What the user gives is a name, also where it is a number.
                    (_, Way::Named(_)) => Learned::Direct,
                    (_, Way::Straight(_)) => Learned::Introduced,
                };
                (way.clone(), learned)
            }
            (None, Some(addr)) => (Way::Straight(addr), Learned::Link),
            (None, None) => return,
        };
        // A peer that cannot be dialled says port 0.
        if known.is_none_or(|addr| addr.port() != 0) {
            let at = known.filter(|_| learned != Learned::Proxy);
            self.paths.proved(way, at, learned, now);
        }
    }

    /// A further link to the same run.
    fn relinked(&mut self, link: PeerLinked, now: Instant) {
        self.proved(&link, now);
        self.name = link.name;
        self.version = link.version;
        self.linked = true;
        self.link_heard = now;
        self.clock_skew_ms = link.clock_skew_ms;
        self.life = Life::heard_at(now);
        // Nothing is as sure as the address that works now. A peer on two networks changes it once for each of them,
        // since only unproven addresses are tried.
        if self.addr != link.addr {
            self.addr = link.addr;
            self.addr_heard = None;
        }
    }

    /// Takes the facts of a beat, and keeps what only a link tells: environments beside `base`, and the GPUs that
    /// did not fit.
    fn take_facts(&mut self, mut facts: Facts) {
        for engine in &mut facts.engines {
            let before = self.facts.engines.iter().find(|e| e.kind == engine.kind);
            for env in before.into_iter().flat_map(|e| &e.envs) {
                if env != "base" && !engine.envs.contains(env) {
                    engine.envs.push(env.clone());
                }
            }
        }
        if facts.gpus.len() == self.facts.gpus.len() {
            for (gpu, before) in facts.gpus.iter_mut().zip(&self.facts.gpus).filter(|(gpu, _)| gpu.memory_bytes == 0) {
                gpu.clone_from(before);
            }
        }
        facts.envs = std::mem::take(&mut self.facts.envs);
        facts.builds = std::mem::take(&mut self.facts.builds);
        self.facts = facts;
    }

    fn view(&self, id: PeerId, now: Instant) -> PeerView {
        PeerView {
            id,
            name: self.name.clone(),
            addr: self.addr,
            boot: self.boot,
            // A link is up a moment before its first facts are here; until then nobody could rank the machine.
            status: if self.facts.cores == 0 { PeerStatus::Offline } else { self.life.status(&self.facts, now) },
            via: self.via,
            version: self.version.clone(),
            linked: self.linked,
            heard_ms_ago: u64::try_from(self.life.silence(now).as_millis()).unwrap_or(u64::MAX),
            clock_skew_ms: Some(self.clock_skew_ms),
            roles: Roles::default(),
            introduced_by: None,
            paths: self.paths.view(now),
            facts: self.facts.clone(),
        }
    }
}

fn is_fresh(heard: Instant, now: Instant) -> bool {
    now.saturating_duration_since(heard) <= LOST_AFTER
}

impl Rumour {
    fn view(&self, now: Instant) -> PeerView {
        PeerView {
            id: self.beat.peer,
            name: self.beat.name.clone(),
            addr: self.addr,
            boot: self.beat.boot,
            status: PeerStatus::Offline,
            via: Via::Broadcast,
            version: String::new(),
            linked: false,
            heard_ms_ago: u64::try_from(now.saturating_duration_since(self.heard).as_millis()).unwrap_or(u64::MAX),
            clock_skew_ms: None,
            roles: Roles::default(),
            introduced_by: None,
            paths: Vec::new(),
            facts: self.beat.facts.clone(),
        }
    }
}

/// This machine as a row of the list.
pub(super) fn own_view(
    id: PeerId,
    name: &str,
    addr: SocketAddr,
    boot: BootId,
    version: &str,
    facts: Facts,
) -> PeerView {
    PeerView {
        id,
        name: name.to_owned(),
        addr,
        boot,
        status: willing(&facts),
        via: Via::Own,
        version: version.to_owned(),
        linked: true,
        heard_ms_ago: 0,
        clock_skew_ms: Some(0),
        roles: Roles::default(),
        introduced_by: None,
        paths: Vec::new(),
        facts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EngineKind, EngineOffer, Isolation};
    use crate::registry::pins::MAX_KEYS;
    use crate::wire::heartbeat::INTERVAL;
    use crate::wire::refusal::RefusalKind;
    use proptest::prelude::*;
    use std::time::Duration;

    const OWN: PeerId = PeerId([9; 32]);
    const BOB: PeerId = PeerId([1; 32]);
    const BOOT: BootId = BootId([1; 16]);
    const LATER_BOOT: BootId = BootId([2; 16]);

    fn at(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 5556))
    }

    fn beat(boot: BootId, seq: u64) -> Beat {
        let facts = Facts { cores: 4, job_slots: 1, ..Facts::default() };
        Beat { peer: BOB, boot, seq, worker_port: 5556, name: "bob".into(), facts, goodbye: false }
    }

    fn link(boot: BootId, host: u8) -> PeerLinked {
        PeerLinked {
            peer: BOB,
            name: "bob".into(),
            boot,
            addr: at(host),
            way: None,
            version: "0.1.0".into(),
            clock_skew_ms: -3,
            via: Via::Direct,
        }
    }

    /// A table in which bob was heard at 10.0.0.1 and proven.
    fn with_bob(now: Instant) -> (Table, Pins) {
        let (mut table, mut pins) = (Table::new(OWN), Pins::default());
        assert!(table.heard(beat(BOOT, 1), at(1), now), "worth a link");
        table.linked(link(BOOT, 1), &mut pins, now).expect("free name");
        (table, pins)
    }

    fn bob(table: &Table, now: Instant) -> PeerView {
        table.list("me", true, now).pop().expect("bob is known")
    }

    #[test]
    fn a_linked_peer_is_online_once_it_has_said_what_it_has() {
        let (now, mut table, mut pins) = (Instant::now(), Table::new(OWN), Pins::default());
        table.linked(link(BOOT, 1), &mut pins, now).expect("free name");
        assert!(table.list("me", false, now).is_empty(), "nobody could rank it yet");
        let facts = Facts { cores: 4, job_slots: 1, ..Facts::default() };
        table.facts(BOB, "bob".into(), facts, None, &mut pins, now).expect("own name");
        assert_eq!(table.list("me", false, now).len(), 1);
    }

    #[test]
    fn a_peer_is_online_once_its_key_is_proven() {
        let now = Instant::now();
        let mut table = Table::new(OWN);
        assert!(table.heard(beat(BOOT, 1), at(1), now));
        assert!(table.list("me", false, now).is_empty(), "a beat alone is a rumour");
        assert_eq!(bob(&table, now).status, PeerStatus::Offline);
        table.linked(link(BOOT, 1), &mut Pins::default(), now).expect("free name");
        let [view] = &table.list("me", false, now)[..] else { panic!("one peer") };
        assert_eq!((view.status, view.via, view.facts.cores), (PeerStatus::Idle, Via::Broadcast, 4));
        assert_eq!((view.linked, view.clock_skew_ms, view.version.as_str()), (true, Some(-3), "0.1.0"));
    }

    #[test]
    fn own_beats_are_nobodys() {
        let mut table = Table::new(OWN);
        assert!(!table.heard(Beat { peer: OWN, ..beat(BOOT, 1) }, at(1), Instant::now()));
        assert!(table.list("me", true, Instant::now()).is_empty());
    }

    #[test]
    fn an_hour_of_beats_keeps_it_and_silence_loses_it() {
        let start = Instant::now();
        let (mut table, _) = with_bob(start);
        table.unlinked(BOB, false);
        let mut now = start;
        for seq in 2..1800 {
            now += INTERVAL;
            assert!(!table.heard(beat(BOOT, seq), at(1), now), "nothing new");
            assert_eq!(bob(&table, now).status, PeerStatus::Idle);
        }
        assert_eq!(bob(&table, now + Duration::from_secs(5)).status, PeerStatus::Idle);
        assert_eq!(bob(&table, now + Duration::from_secs(7)).status, PeerStatus::Offline);
        assert_eq!(bob(&table, now + Duration::from_secs(7)).heard_ms_ago, 7000);
    }

    #[test]
    fn a_goodbye_counts_at_once_and_only_in_its_run() {
        let now = Instant::now();
        let (mut table, mut pins) = with_bob(now);
        assert!(!table.heard(Beat { goodbye: true, ..beat(LATER_BOOT, 9) }, at(1), now));
        assert_eq!(bob(&table, now).status, PeerStatus::Idle, "another run's goodbye");
        table.heard(Beat { goodbye: true, ..beat(BOOT, 2) }, at(1), now);
        assert_eq!(bob(&table, now).status, PeerStatus::Offline);
        table.linked(link(LATER_BOOT, 1), &mut pins, now).expect("same key");
        assert_eq!((bob(&table, now).status, bob(&table, now).boot), (PeerStatus::Idle, LATER_BOOT));
    }

    #[test]
    fn a_moved_peer_is_followed_once_its_old_address_is_silent_or_a_link_proves_the_new() {
        let start = Instant::now();
        let (mut table, mut pins) = with_bob(start);
        table.unlinked(BOB, false);
        let soon = start + INTERVAL;
        assert!(table.heard(beat(BOOT, 2), at(2), soon), "a link is worth trying");
        assert_eq!(bob(&table, soon).addr, at(1), "the old one may still be good");
        table.linked(link(BOOT, 2), &mut pins, soon).expect("same key");
        assert_eq!(bob(&table, soon).addr, at(2));

        let (mut table, _) = with_bob(start);
        let late = start + LOST_AFTER * 2;
        assert!(table.heard(beat(BOOT, 2), at(3), late));
        assert_eq!(bob(&table, late).addr, at(3), "the link is as silent as the address");
    }

    #[test]
    fn a_peer_that_came_back_on_another_port_is_tried_there_after_the_old_one() {
        let now = Instant::now();
        let (mut table, _) = with_bob(now);
        table.unlinked(BOB, true);
        let moved = SocketAddr::new(at(1).ip(), 7000);
        assert!(table.heard(beat(LATER_BOOT, 1), moved, now));
        let ways = |table: &Table, now| table.ways(BOB, now).into_iter().map(|(way, _)| way).collect::<Vec<_>>();
        assert_eq!(ways(&table, now), [Way::Straight(at(1)), Way::Straight(moved)]);
        assert_eq!(ways(&table, now + LOST_AFTER * 2), [Way::Straight(at(1))], "an old rumour is worth nothing");
        let mut table = Table::new(OWN);
        table.heard(beat(BOOT, 1), at(2), now);
        assert_eq!(ways(&table, now + LOST_AFTER * 2), [Way::Straight(at(2))], "but better than nothing");
    }

    #[test]
    fn of_two_networks_the_one_that_was_proven_last_stays_and_both_are_tried_once() {
        let start = Instant::now();
        let (mut table, mut pins) = with_bob(start);
        assert!(table.heard(beat(BOOT, 2), at(2), start));
        assert!(!table.heard(beat(BOOT, 3), at(1), start));
        table.linked(link(BOOT, 2), &mut pins, start).expect("same key");
        for seq in 2..100 {
            let now = start + INTERVAL * seq;
            let first = table.heard(beat(BOOT, u64::from(seq) * 2), at(2), now);
            let second = table.heard(beat(BOOT, u64::from(seq) * 2 + 1), at(1), now);
            assert_eq!((first, second, bob(&table, now).addr), (false, false, at(2)));
        }
    }

    #[test]
    fn a_changed_key_for_a_known_name_changes_nothing_but_the_answer() {
        let now = Instant::now();
        let (mut table, mut pins) = with_bob(now);
        let before = table.list("me", true, now);
        let stranger = || PeerLinked { peer: PeerId([2; 32]), ..link(BOOT, 7) };
        let refusal = table.linked(stranger(), &mut pins, now).expect_err("pinned");
        assert_eq!(refusal.kind, RefusalKind::NotAllowed);
        assert_eq!(table.list("me", true, now), before);
        assert_eq!(pins.free("bob"), Some(BOB));
        table.linked(stranger(), &mut pins, now).expect("free now");
        assert!(table.facts(BOB, "me too".into(), Facts::default(), Some(7), &mut pins, now).is_ok());
    }

    #[test]
    fn two_machines_of_one_name_are_told_apart() {
        let now = Instant::now();
        let (mut table, _) = with_bob(now);
        table.heard(Beat { peer: PeerId([2; 32]), ..beat(BOOT, 1) }, at(2), now);
        let names: Vec<String> = table.list("me", true, now).into_iter().map(|v| v.name).collect();
        assert_eq!(names, [format!("bob~{}", BOB.short()), format!("bob~{}", PeerId([2; 32]).short())]);
        assert_eq!(table.list("bob", false, now)[0].name, format!("bob~{}", BOB.short()), "my own name is taken");
        assert_eq!(table.list("me", false, now)[0].name, "bob");
    }

    #[test]
    fn the_whole_facts_of_a_link_outweigh_the_cut_ones_of_beats() {
        let start = Instant::now();
        let (mut table, mut pins) = with_bob(start);
        let engine = |envs: &[&str]| EngineOffer {
            kind: EngineKind::Native,
            isolation: Isolation::Namespace,
            envs: envs.iter().map(|e| (*e).to_owned()).collect(),
            lacks: vec![],
        };
        let whole = Facts { cores: 8, engines: vec![engine(&["base", "ml-demo"])], ..Facts::default() };
        table.facts(BOB, "bob".into(), whole.clone(), None, &mut pins, start).expect("its name");
        table.heard(beat(BOOT, 2), at(1), start + INTERVAL);
        assert_eq!(bob(&table, start).facts, whole);
        let mut later = beat(BOOT, 3);
        later.facts.engines = vec![engine(&["base"])];
        table.heard(later, at(1), start + LOST_AFTER * 2);
        let facts = bob(&table, start).facts;
        assert_eq!((facts.cores, facts.engines), (4, vec![engine(&["base", "ml-demo"])]));
    }

    #[test]
    fn a_flood_of_made_up_peers_by_a_member_is_bounded() {
        let start = Instant::now();
        let (mut table, _) = with_bob(start);
        for i in 0..10_000u32 {
            let mut id = [0; 32];
            id[..4].copy_from_slice(&i.to_le_bytes());
            table.heard(Beat { peer: PeerId(id), ..beat(BOOT, 1) }, at(5), start);
        }
        assert_eq!(table.rumours.len(), MAX_PEERS);
        assert_eq!(table.list("me", false, start).len(), 1);
        table.heard(Beat { peer: PeerId([7; 32]), ..beat(BOOT, 1) }, at(5), start + LOST_AFTER * 2);
        assert_eq!(table.rumours.len(), 1, "silent rumours make room");
    }

    #[test]
    fn a_flood_of_names_by_a_member_is_bounded_and_drops_nobody_who_matters() {
        let now = Instant::now();
        let (mut table, mut pins) = with_bob(now);
        let made = |i: usize| PeerId(std::array::from_fn(|at| if at < 8 { i.to_le_bytes()[at] } else { 77 }));
        let links = |table: &mut Table, pins: &mut Pins, i: usize| {
            let link = PeerLinked { peer: made(i), name: format!("m{i}"), ..link(BOOT, 2) };
            table.linked(link, pins, now).expect("free name");
            table.unlinked(made(i), true);
        };
        for i in 0..5 {
            links(&mut table, &mut pins, i);
        }
        pins.allow("m0", Roles { run: false, gpu: false });
        pins.choose(made(1));
        let mut pins = Pins::decode(&pins.encode()).expect("what was decided is written down");
        for i in 5..MAX_KEYS + 2 {
            links(&mut table, &mut pins, i);
        }
        let keys: std::collections::BTreeSet<PeerId> = pins.all().map(|(_, key)| key).collect();
        assert_eq!(keys.len(), MAX_KEYS);
        // bob, 4,094 others, and of those who came last only who is here now.
        let left = [MAX_KEYS - 3, MAX_KEYS - 2, MAX_KEYS - 1, MAX_KEYS, MAX_KEYS + 1].map(|i| pins.knows(made(i)));
        assert_eq!(left, [true, false, false, false, true], "those that came last went");
        assert!(pins.knows(BOB) && (0..5).all(|i| pins.knows(made(i))), "whoever was here first keeps its name");
        // And one that comes back is let in, in the place of the last.
        pins.choose(made(MAX_KEYS + 1));
        links(&mut table, &mut pins, MAX_KEYS);
        let left = [MAX_KEYS - 3, MAX_KEYS, MAX_KEYS + 1].map(|i| pins.knows(made(i)));
        assert_eq!(left, [false, true, true], "but nobody whom the owner has chosen");
    }

    proptest! {
        /// Whatever of the past is sent again, from wherever, in whatever order: nothing in the list moves but time.
        #[test]
        fn replays_change_nothing(
            captured in proptest::collection::vec((any::<bool>(), 1u64..50, any::<bool>()), 0..60), from in 1u8..9,
        ) {
            let start = Instant::now();
            let (mut table, mut pins) = with_bob(start);
            table.heard(beat(BOOT, 50), at(1), start);
            table.linked(link(LATER_BOOT, 1), &mut pins, start).expect("same key");
            table.heard(beat(LATER_BOOT, 50), at(1), start);
            let before = table.list("me", true, start);
            for (earlier, seq, goodbye) in captured {
                let boot = if earlier { BOOT } else { LATER_BOOT };
                table.heard(Beat { goodbye, ..beat(boot, seq) }, at(from), start);
            }
            prop_assert_eq!(table.list("me", true, start), before);
        }
    }
}
