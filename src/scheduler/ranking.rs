//! Which machine is best for a job: filter, then score, and the reason for either. Pure.

use super::environment::{self, strong};
use crate::model::{
    Facts, Gpu, Isolation, JobSpec, Needs, PeerStatus, PeerView, Placement, Totals, Via, format_bytes, format_duration,
};
use crate::wire::ipc::Candidate;

/// What the own machine's score is multiplied by. Homie is there to borrow idle machines and to leave the own one
/// free for its user, so a job stays at home only where it is more than twice as well off.
const OWN_MACHINE: f64 = 0.5;
/// A job that just started is not yet seen in the load, so each one costs its peer a core in the score.
const HIDDEN_LOAD_CORES: f64 = 1.0;
/// Memory counts, but twice the memory is not twice as good: a quarter of a core for each doubling.
const MEMORY_WEIGHT: f64 = 0.25;

/// Fetching or building an environment takes longer than any number of cores makes good.
const HAS_ENV: f64 = 1000.0;

/// Round trips of a job whose link is up: offer, status and acknowledgement; for its inputs and for its results a ticket, a
/// connection (TCP, TLS, HELLO), what is lacking, and that all is there.
const ROUND_TRIPS: f64 = 15.0;

/// Ranks `peers` for `spec`, best first; those that cannot take it follow with the reason.
pub(super) fn rank(peers: &[PeerView], spec: &JobSpec, inputs: Totals) -> Vec<Candidate> {
    let mut ranked: Vec<Candidate> = peers
        .iter()
        .map(|peer| match unfit(peer, spec, inputs, peers) {
            Some(why) => Candidate { peer: peer.clone(), score: None, why },
            None => {
                let (score, why) = score(peer, spec, inputs);
                Candidate { peer: peer.clone(), score: Some(score), why }
            }
        })
        .collect();
    ranked.sort_by(|a, b| {
        let key = |c: &Candidate| c.score.unwrap_or(f64::NEG_INFINITY);
        key(b).total_cmp(&key(a)).then_with(|| a.peer.name.cmp(&b.peer.name)).then(a.peer.id.cmp(&b.peer.id))
    });
    ranked
}

/// Whether a peer is the one the user named: by name, or by the beginning of its id.
pub(super) fn is_named(peer: &PeerView, wanted: &str) -> bool {
    const SHORTEST_ID: usize = 4;
    peer.name == wanted
        || (wanted.len() >= SHORTEST_ID && peer.id.to_string().starts_with(&wanted.to_ascii_uppercase()))
}

/// Whether a filtered-out peer may take the job later without anybody changing anything.
pub(super) fn may_come_free(candidate: &Candidate) -> bool {
    candidate.score.is_none() && candidate.why.starts_with(BUSY)
}

const BUSY: &str = "busy";

fn unfit(peer: &PeerView, spec: &JobSpec, inputs: Totals, all: &[PeerView]) -> Option<String> {
    let (facts, needs) = (&peer.facts, &spec.needs);
    let own = peer.via == Via::Own;
    if let Some(wanted) = &spec.peer
        && !is_named(peer, wanted)
    {
        return Some(format!("not the named peer {wanted}"));
    }
    match spec.placement {
        Placement::Local if !own => return Some("not this machine (--local)".into()),
        Placement::Remote if own => return Some("this machine (--remote)".into()),
        _ => {}
    }
    match peer.status {
        PeerStatus::Offline => return Some("offline".into()),
        PeerStatus::Paused => {
            return Some(format!("paused: {}", facts.paused.as_deref().unwrap_or("its owner lends nothing now")));
        }
        PeerStatus::Idle | PeerStatus::Busy => {}
    }
    // Every machine has a processor: one without has been met, but has not said yet what it has.
    if facts.cores == 0 {
        return Some(format!("{BUSY}: it has not said yet what it lends"));
    }
    if let Some(why) = unfit_engines(facts, spec).or_else(|| environment::lacks(peer, spec, all)) {
        return Some(why);
    }
    if let Some(why) = over_limits(facts, needs) {
        return Some(why);
    }
    if let Some(why) = lacks_gpus(facts, needs) {
        return Some(why);
    }
    if let Some(memory) = needs.memory_bytes
        && facts.memory_free_bytes < memory
    {
        return Some(format!("only {} of memory is free", format_bytes(facts.memory_free_bytes)));
    }
    let disk = needs.disk_bytes.unwrap_or(0).max(inputs.bytes);
    if facts.disk_free_bytes < disk {
        return Some(format!("only {} of disk is free", format_bytes(facts.disk_free_bytes)));
    }
    // Last, so that only this keeps it from the job: it is worth waiting for.
    if peer.status == PeerStatus::Busy {
        return Some(format!("{BUSY}: {} of {} slots taken", facts.jobs_running, facts.job_slots));
    }
    gpus_in_use(facts, needs).map(|why| format!("{BUSY}: {why}"))
}

/// What the GPUs of a job must be, for people: `GPUs`, `GPUs like "3080" with 10.0 GB`.
fn gpus_asked(needs: &Needs) -> String {
    let model = needs.gpu_model.as_ref().map(|m| format!(" like {m:?}")).unwrap_or_default();
    let memory = needs.gpu_memory_bytes.map(|b| format!(" with {}", format_bytes(b))).unwrap_or_default();
    let many = if needs.gpus == 1 { "GPU" } else { "GPUs" };
    format!("{many}{model}{memory}")
}

/// What no waiting changes: too few that suit, or too few lent.
fn lacks_gpus(facts: &Facts, needs: &Needs) -> Option<String> {
    let suit = facts.gpus.iter().filter(|g| g.suits(needs)).count() as u32;
    if suit < needs.gpus {
        return Some(format!("has {suit} of {} {}", needs.gpus, gpus_asked(needs)));
    }
    let lent = facts.gpu_limit.unwrap_or(u32::MAX);
    (lent < needs.gpus).then(|| format!("lends {lent} GPUs, {} are needed", needs.gpus))
}

/// Those that suit are there, but somebody uses them.
fn gpus_in_use(facts: &Facts, needs: &Needs) -> Option<String> {
    let (taken, free): (Vec<&Gpu>, Vec<&Gpu>) =
        facts.gpus.iter().filter(|g| g.suits(needs)).partition(|g| g.taken.is_some());
    if free.len() as u32 >= needs.gpus {
        return None;
    }
    let uses = taken.iter().filter_map(|g| Some(format!("GPU {} is {}", g.index, g.taken?.as_text())));
    Some(uses.collect::<Vec<_>>().join(", "))
}

fn unfit_engines(facts: &Facts, spec: &JobSpec) -> Option<String> {
    if facts.engines.is_empty() {
        return Some("no engine is ready".into());
    }
    if !facts.engines.iter().any(|e| strong(e, spec)) {
        let has = facts.isolation().map_or("none", |i| i.as_str());
        let wants = spec.needs.isolation.map_or("", |i| i.as_str());
        return Some(format!("its isolation is {has}{}, {wants} is demanded", without(facts)));
    }
    None
}

/// What makes its engines weaker than their kinds.
fn without(facts: &Facts) -> String {
    let weakened = facts
        .engines
        .iter()
        .flat_map(|e| &e.lacks)
        .filter(|lack| Isolation::Gvisor.without(&[**lack]) < Isolation::Gvisor);
    let mut texts: Vec<&str> = weakened.map(|lack| lack.as_text()).collect();
    texts.sort_unstable();
    texts.dedup();
    if texts.is_empty() { String::new() } else { format!(" (without {})", texts.join(" and ")) }
}

fn over_limits(facts: &Facts, needs: &Needs) -> Option<String> {
    if let Some(cpu) = needs.cpu_millis
        && cpu > facts.cpu_limit_millis
    {
        let cores = |m: u32| f64::from(m) / 1000.0;
        return Some(format!("lends {} cores, {} are needed", cores(facts.cpu_limit_millis), cores(cpu)));
    }
    if let Some(memory) = needs.memory_bytes
        && memory > facts.memory_limit_bytes
    {
        let (has, wants) = (format_bytes(facts.memory_limit_bytes), format_bytes(memory));
        return Some(format!("lends {has} of memory, {wants} is needed"));
    }
    if let Some(time) = needs.timeout_s
        && time > facts.timeout_limit_s
    {
        let text = |s: u64| format_duration(s.saturating_mul(1000));
        return Some(format!("stops jobs after {}, {} are needed", text(facts.timeout_limit_s), text(time)));
    }
    None
}

/// Seconds that a job and its files are on their way to a peer and back, as far as is known: nothing is assumed of a way that
/// was not measured. Chunks that the peer has already count too, since nobody here knows which.
fn on_the_road(peer: &PeerView, inputs: Totals) -> f64 {
    let way = peer.paths.iter().find(|p| p.in_use).or_else(|| peer.paths.iter().find(|p| p.works == Some(true)));
    let trips = way.and_then(|w| w.rtt_us).map_or(0.0, |us| ROUND_TRIPS * f64::from(us) / 1e6);
    let files = way.and_then(|w| w.bytes_per_s).map_or(0.0, |rate| inputs.bytes as f64 / rate.max(1) as f64);
    trips + files
}

fn score(peer: &PeerView, spec: &JobSpec, inputs: Totals) -> (f64, String) {
    const GIB: f64 = (1u64 << 30) as f64;
    let (facts, needs) = (&peer.facts, &spec.needs);
    let free = f64::from(facts.cores) * f64::from(100 - facts.cpu_percent.min(100)) / 100.0;
    let cores = (free.min(f64::from(facts.cpu_limit_millis) / 1000.0)
        - HIDDEN_LOAD_CORES * f64::from(facts.jobs_running))
    .max(0.0);
    let memory = (facts.memory_free_bytes.min(facts.memory_limit_bytes)) as f64 / GIB;
    let memory_score = MEMORY_WEIGHT * (1.0 + memory).log2();
    let mut score = cores + memory_score;
    let mut why = format!("{cores:.1} free cores + {memory_score:.1} for {memory:.1} GB of memory");
    if needs.gpus > 0 {
        let mut free: Vec<f64> = facts
            .gpus
            .iter()
            .filter(|g| g.suits(needs) && g.taken.is_none())
            .map(|g| g.memory_free_bytes as f64 / GIB * f64::from(100 - g.busy_percent.min(100)) / 100.0)
            .collect();
        free.sort_by(|a, b| b.total_cmp(a));
        let gpu: f64 = free.iter().take(needs.gpus as usize).sum();
        score += gpu;
        why += &format!(" + {gpu:.1} GB of idle GPU memory");
    }
    // A core for each time that the wait doubles: a second more is much beside one, and little beside a minute.
    let road = on_the_road(peer, inputs);
    let wait = (1.0 + road).log2();
    score -= wait;
    if wait >= 0.05 {
        why += &format!(" - {wait:.1} for {} on the road", format_duration((road * 1000.0) as u64));
    }
    if peer.via == Via::Own {
        score *= OWN_MACHINE;
        why += ", halved: this machine";
    }
    if environment::stands_ready(facts, spec) {
        score += HAS_ENV;
        why += &format!(" + {HAS_ENV:.0} for having the environment");
    }
    (score, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BootId, EngineKind, EngineOffer, GpuUse, Lack, Learned, PathView, PeerId};
    use proptest::prelude::*;

    fn peer(name: &str, n: u8) -> PeerView {
        let engine = EngineOffer {
            kind: EngineKind::Native,
            isolation: Isolation::Namespace,
            envs: vec!["base".into()],
            lacks: vec![],
        };
        PeerView {
            id: PeerId([n; 32]),
            name: name.into(),
            addr: ([10, 0, 0, n], 5556).into(),
            boot: BootId([n; 16]),
            status: PeerStatus::Idle,
            via: Via::Broadcast,
            version: String::new(),
            linked: false,
            heard_ms_ago: 0,
            clock_skew_ms: None,
            roles: crate::model::Roles::default(),
            introduced_by: None,
            paths: Vec::new(),
            facts: Facts {
                cores: 8,
                cpu_percent: 10,
                memory_bytes: 32 << 30,
                memory_free_bytes: 24 << 30,
                disk_free_bytes: 100 << 30,
                engines: vec![engine],
                job_slots: 2,
                cpu_limit_millis: 8000,
                memory_limit_bytes: 16 << 30,
                timeout_limit_s: 600,
                ..Facts::default()
            },
        }
    }

    fn order(peers: &[PeerView], spec: &JobSpec) -> Vec<String> {
        rank(peers, spec, Totals::default()).into_iter().filter(|c| c.score.is_some()).map(|c| c.peer.name).collect()
    }

    fn why(p: PeerView, spec: &JobSpec) -> String {
        let all = rank(&[p], spec, Totals { files: 1, bytes: 1 << 30 });
        assert!(all[0].score.is_none(), "{}", all[0].why);
        all[0].why.clone()
    }

    fn fits(p: PeerView, spec: &JobSpec) -> bool {
        rank(&[p], spec, Totals::default())[0].score.is_some()
    }

    #[test]
    fn the_idle_machine_with_more_to_give_wins() {
        let mut loaded = peer("loaded", 1);
        loaded.facts.cpu_percent = 90;
        let mut small = peer("small", 2);
        small.facts.cores = 2;
        assert_eq!(order(&[loaded, small, peer("raj", 3)], &JobSpec::default()), ["raj", "small", "loaded"]);
    }

    #[test]
    fn equals_go_to_the_friend_and_the_own_machine_wins_when_twice_as_good() {
        let mut own = peer("me", 1);
        own.via = Via::Own;
        assert_eq!(order(&[own.clone(), peer("raj", 2)], &JobSpec::default()), ["raj", "me"]);
        let mut weak = peer("raj", 2);
        weak.facts.cpu_percent = 80;
        assert_eq!(order(&[own, weak], &JobSpec::default())[0], "me");
    }

    #[test]
    fn of_equals_the_nearer_wins_and_a_large_job_avoids_a_slow_way() {
        let over = |name: &str, n, rtt_us, bytes_per_s| {
            let mut p = peer(name, n);
            let way = PathView {
                address: "100.64.0.7:5556".into(),
                learned: Learned::Direct,
                in_use: true,
                works: Some(true),
                rtt_us,
                bytes_per_s,
                worked_ms_ago: Some(0),
                failed_ms_ago: None,
            };
            // One that is not gone does not count.
            let other = PathView { in_use: false, rtt_us: Some(9_000_000), bytes_per_s: Some(1), ..way.clone() };
            p.paths = vec![other, way];
            p
        };
        let first = |peers: &[PeerView], bytes| {
            let ranked = rank(peers, &JobSpec::default(), Totals { files: 1, bytes });
            (ranked[0].peer.name.clone(), ranked[1].why.clone())
        };
        // Farther away by 5 to 200 ms, and first by name.
        for (ms, said) in [(5, " on the road"), (60, "- 0.9 for 0.9s on the road"), (200, "- 2.0 for 3.0s on the road")]
        {
            let (won, why) = first(&[over("a", 1, Some(ms * 1000), None), over("b", 2, Some(300), None)], 0);
            assert!(won == "b" && why.ends_with(said), "{ms} ms: {won}, {why}");
        }
        // More cores are worth a longer way to a small job, and not to one of a gigabyte over a thin line.
        let mut big = over("big", 1, Some(40_000), Some(1 << 20));
        big.facts.cores = 12;
        big.facts.cpu_limit_millis = 12_000;
        let near = over("near", 2, Some(300), Some(100 << 20));
        assert_eq!(first(&[big.clone(), near.clone()], 1 << 10).0, "big");
        let (won, why) = first(&[big, near], 1 << 30);
        assert!(won == "near" && why.ends_with("- 10.0 for 17m 05s on the road"), "{won}, {why}");
        // Of a way that was not measured nothing is said.
        assert!(!first(&[over("a", 1, None, None), peer("b", 2)], 1 << 30).1.contains("road"));
    }

    #[test]
    fn a_gpu_job_goes_where_the_idle_gpu_is() {
        let gpu = |busy| Gpu {
            name: "RTX".into(),
            memory_bytes: 10 << 30,
            memory_free_bytes: 10 << 30,
            busy_percent: busy,
            ..Gpu::default()
        };
        let (mut a, mut b, none) = (peer("a", 1), peer("b", 2), peer("none", 3));
        a.facts.gpus = vec![gpu(95)];
        b.facts.gpus = vec![gpu(0)];
        let spec = JobSpec { needs: Needs { gpus: 1, ..Needs::default() }, ..JobSpec::default() };
        assert_eq!(order(&[a, b, none.clone()], &spec), ["b", "a"]);
        assert_eq!(why(none, &spec), "has 0 of 1 GPU");
    }

    #[test]
    fn a_gpu_that_does_not_suit_or_is_used_does_not_count() {
        let gpu = |index, name: &str, gib: u64, taken| Gpu {
            index,
            name: name.into(),
            memory_bytes: gib << 30,
            memory_free_bytes: gib << 30,
            taken,
            ..Gpu::default()
        };
        let with = |gpus: Vec<Gpu>| {
            let mut p = peer("p", 1);
            p.facts.gpus = gpus;
            p
        };
        let needs = |gpus, gib: Option<u64>, model: Option<&str>| JobSpec {
            needs: Needs {
                gpus,
                gpu_memory_bytes: gib.map(|g| g << 30),
                gpu_model: model.map(str::to_owned),
                ..Needs::default()
            },
            ..JobSpec::default()
        };
        let two = || with(vec![gpu(0, "NVIDIA GeForce RTX 3080", 10, None), gpu(1, "NVIDIA H200", 139, None)]);
        for fits in [needs(2, None, None), needs(1, Some(100), None), needs(1, Some(10), Some("rtx 3080"))] {
            assert_eq!(order(&[two()], &fits), ["p"], "{fits:?}");
        }
        assert_eq!(why(two(), &needs(2, Some(11), None)), "has 1 of 2 GPUs with 11.0 GB");
        assert_eq!(why(two(), &needs(1, None, Some("4090"))), "has 0 of 1 GPU like \"4090\"");
        let mut stingy = two();
        stingy.facts.gpu_limit = Some(0);
        assert_eq!(why(stingy, &needs(1, None, None)), "lends 0 GPUs, 1 are needed");
        let used = with(vec![gpu(0, "A", 10, Some(GpuUse::Owner)), gpu(1, "A", 10, Some(GpuUse::Job))]);
        let spec = needs(1, None, None);
        assert_eq!(why(used.clone(), &spec), "busy: GPU 0 is in use by its owner, GPU 1 is taken by a job");
        assert!(may_come_free(&rank(&[used], &spec, Totals::default())[0]));
    }

    #[test]
    fn every_filter_says_why() {
        let spec = JobSpec::default();
        let with = |change: &dyn Fn(&mut PeerView)| {
            let mut p = peer("p", 1);
            change(&mut p);
            p
        };
        assert_eq!(why(with(&|p| p.status = PeerStatus::Offline), &spec), "offline");
        let paused = with(&|p| {
            p.status = PeerStatus::Paused;
            p.facts.paused = Some("on battery".into());
        });
        assert_eq!(why(paused, &spec), "paused: on battery");
        assert_eq!(why(with(&|p| p.facts.engines.clear()), &spec), "no engine is ready");
        assert_eq!(why(with(&|p| p.facts.disk_free_bytes = 1 << 20), &spec), "only 1.0 MB of disk is free");
        let named = JobSpec { peer: Some("mike".into()), ..JobSpec::default() };
        assert_eq!(why(peer("p", 1), &named), "not the named peer mike");
        let local = JobSpec { placement: Placement::Local, ..JobSpec::default() };
        assert_eq!(why(peer("p", 1), &local), "not this machine (--local)");
        let remote = JobSpec { placement: Placement::Remote, ..JobSpec::default() };
        assert_eq!(why(with(&|p| p.via = Via::Own), &remote), "this machine (--remote)");
        let env = JobSpec { env: Some("ml-demo".into()), ..JobSpec::default() };
        assert_eq!(why(peer("p", 1), &env), "does not have the environment ml-demo");
        let needs = |n: Needs| JobSpec { needs: n, ..JobSpec::default() };
        let strict = needs(Needs { isolation: Some(Isolation::Container), ..Needs::default() });
        assert_eq!(why(peer("p", 1), &strict), "its isolation is namespace, container is demanded");
        let docker = |lacks: &[Lack]| {
            let mut p = peer("p", 1);
            p.facts.engines[0].isolation = Isolation::Container;
            p.facts.engines[0].lacks = lacks.to_vec();
            p
        };
        assert!(fits(docker(&[]), &strict) && fits(docker(&[Lack::Memory, Lack::Landlock]), &strict));
        assert_eq!(
            why(docker(&[Lack::Memory, Lack::OwnUser]), &strict),
            "its isolation is namespace (without a user of their own for jobs), container is demanded"
        );
        let fenced = needs(Needs { isolation: Some(Isolation::Process), ..Needs::default() });
        assert!(fits(docker(&[Lack::OwnUser]), &fenced));
        assert_eq!(
            why(docker(&[Lack::Seccomp]), &fenced),
            "its isolation is limits (without a filter of system calls), process is demanded"
        );
        let cpu = needs(Needs { cpu_millis: Some(9000), ..Needs::default() });
        assert_eq!(why(peer("p", 1), &cpu), "lends 8 cores, 9 are needed");
        let memory = needs(Needs { memory_bytes: Some(20 << 30), ..Needs::default() });
        assert_eq!(why(peer("p", 1), &memory), "lends 16.0 GB of memory, 20.0 GB is needed");
        let time = needs(Needs { timeout_s: Some(601), ..Needs::default() });
        assert_eq!(why(peer("p", 1), &time), "stops jobs after 10m 00s, 10m 01s are needed");
    }

    #[test]
    fn only_a_busy_peer_that_fits_is_worth_waiting_for() {
        let mut busy = peer("busy", 1);
        busy.status = PeerStatus::Busy;
        busy.facts.jobs_running = 2;
        let ranked = rank(std::slice::from_ref(&busy), &JobSpec::default(), Totals::default());
        assert_eq!(ranked[0].why, "busy: 2 of 2 slots taken");
        assert!(may_come_free(&ranked[0]));
        let spec = JobSpec { env: Some("nope".into()), ..JobSpec::default() };
        assert!(!may_come_free(&rank(&[busy], &spec, Totals::default())[0]));
    }

    #[test]
    fn a_peer_is_named_by_name_or_by_the_start_of_its_id() {
        let p = peer("raj", 1);
        let id = p.id.to_string().to_lowercase();
        assert!(is_named(&p, "raj") && is_named(&p, &id[..6]) && !is_named(&p, "ra") && !is_named(&p, ""));
    }

    proptest! {
        #[test]
        fn scores_are_numbers_and_sorted(percent in proptest::collection::vec(any::<u8>(), 0..12)) {
            let peers: Vec<PeerView> = percent.iter().enumerate().map(|(i, c)| {
                let mut p = peer(&format!("p{i}"), i as u8);
                p.facts.cpu_percent = *c;
                p
            }).collect();
            let ranked = rank(&peers, &JobSpec::default(), Totals::default());
            prop_assert_eq!(ranked.len(), peers.len());
            prop_assert!(ranked.iter().all(|c| c.score.is_some_and(f64::is_finite)));
            prop_assert!(ranked.windows(2).all(|w| w[0].score >= w[1].score));
        }
    }
}
