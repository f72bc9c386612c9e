//! Which machines have a job's environment, and which could have it. Pure; a part of the ranking.

use crate::model::{
    AllowBuilds, BuildOffer, EngineOffer, EnvOffer, Facts, JobSpec, PeerStatus, PeerView, Recipe, Via, WantedEnv,
};

/// The environment a job runs in.
fn name(spec: &JobSpec) -> &str {
    spec.env.as_deref().unwrap_or("base")
}

/// Whether an engine is as strong as the job demands.
pub(super) fn strong(engine: &EngineOffer, spec: &JobSpec) -> bool {
    spec.needs.isolation.is_none_or(|wanted| engine.level() >= wanted)
}

/// Whether a machine has another environment than `base` ready that the job names.
pub(super) fn stands_ready(facts: &Facts, spec: &JobSpec) -> bool {
    name(spec) != "base" && facts.engines.iter().any(|e| strong(e, spec) && has(facts, e, spec))
}

/// Whether that engine of a machine has the job's environment.
fn has(facts: &Facts, engine: &EngineOffer, spec: &JobSpec) -> bool {
    let is = |offer: &EnvOffer| match spec.wanted.as_deref() {
        _ if offer.engine != engine.kind => false,
        Some(WantedEnv { lock: Some(lock), recipe_digest, .. }) => {
            // A machine of another kind resolved the same recipe for itself.
            let other = facts.builds.iter().any(|b| b.engine == engine.kind && !lock.target.runs_on(&b.target));
            offer.digest == lock.digest() || (other && offer.recipe == *recipe_digest)
        }
        Some(wish) => offer.recipe == wish.recipe_digest,
        None => offer.name == name(spec),
    };
    match name(spec) {
        "base" => engine.envs.iter().any(|have| have == "base"),
        _ => facts.envs.iter().any(is),
    }
}

/// Why a machine cannot have the job's environment: it is neither there, nor at another machine that could give it,
/// nor may it be built. `all` are the machines that are known.
pub(super) fn lacks(peer: &PeerView, spec: &JobSpec, all: &[PeerView]) -> Option<String> {
    let facts = &peer.facts;
    let engines: Vec<&EngineOffer> = facts.engines.iter().filter(|e| strong(e, spec)).collect();
    if engines.iter().any(|e| has(facts, e, spec)) {
        return None;
    }
    let missing = format!("does not have the environment {}", name(spec));
    if name(spec) == "base" {
        return Some(missing);
    }
    let gives = |giver: &PeerView| {
        let same = |e: &EngineOffer| engines.iter().any(|mine| mine.kind == e.kind) && has(&giver.facts, e, spec);
        giver.id != peer.id && giver.status != PeerStatus::Offline && giver.facts.engines.iter().any(same)
    };
    if all.iter().any(gives) {
        return None;
    }
    let Some(wish) = spec.wanted.as_deref() else { return Some(missing) };
    let own = peer.via == Via::Own;
    // What a machine builds is only told on a link: before there was one, its own answer has to do.
    if facts.builds.is_empty() && !own && !peer.linked {
        return None;
    }
    let builds = facts.builds.iter().filter(|b| engines.iter().any(|e| e.kind == b.engine));
    let whys = builds.map(|b| cannot_build(b, wish, own)).collect::<Option<Vec<_>>>()?;
    Some(match whys.first() {
        Some(why) => format!("{missing}, and {why}"),
        None => format!("{missing}, and cannot build it"),
    })
}

/// Why an engine there would not build it; `None` when it would.
fn cannot_build(offer: &BuildOffer, wish: &WantedEnv, own: bool) -> Option<String> {
    if offer.allow == AllowBuilds::None && !own {
        return Some("its owner has nothing built for friends".into());
    }
    if let Some(why) = offer.lacks(wish) {
        return Some(why.into());
    }
    if wish.lock.as_ref().is_some_and(|lock| lock.target.runs_on(&offer.target)) {
        return None;
    }
    let plain = |r: &Recipe| r.apt.is_empty() && r.image.is_none() && r.dockerfile.is_none();
    match (&wish.recipe, &offer.target.python) {
        (Some(recipe), _) if !plain(recipe) && offer.allow < AllowBuilds::All && !own => {
            Some("its owner allows friends only wheels".into())
        }
        (Some(recipe), Some(python)) if !recipe.takes_python(python) => {
            let wanted = recipe.python.as_deref().unwrap_or_default();
            Some(format!("its Python is {python}, {wanted} is wanted"))
        }
        (Some(_), _) => None,
        (None, _) => Some("its recipe is too long to travel".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BootId, Digest, EngineKind, Isolation, Lock, PeerId, Target};

    fn target(python: &str) -> Target {
        Target { arch: "x86_64".into(), python: Some(python.into()), system: None }
    }

    fn peer(n: u8, python: &str, allow: AllowBuilds) -> PeerView {
        let engine = EngineOffer {
            kind: EngineKind::Native,
            isolation: Isolation::Namespace,
            envs: vec!["base".into()],
            lacks: vec![],
        };
        let build = BuildOffer { engine: EngineKind::Native, target: target(python), allow, steps: false };
        PeerView {
            id: PeerId([n; 32]),
            name: "raj".into(),
            addr: ([10, 0, 0, n], 5556).into(),
            boot: BootId([n; 16]),
            status: PeerStatus::Idle,
            via: Via::Broadcast,
            version: String::new(),
            linked: true,
            heard_ms_ago: 0,
            clock_skew_ms: None,
            roles: crate::model::Roles::default(),
            introduced_by: None,
            paths: Vec::new(),
            facts: Facts { engines: vec![engine], builds: vec![build], ..Facts::default() },
        }
    }

    fn recipe() -> Recipe {
        Recipe {
            name: "ml".into(),
            python: Some("3.11".into()),
            requirements: vec!["numpy".into()],
            ..Recipe::default()
        }
    }

    fn lock(python: &str) -> Lock {
        let recipe = recipe().digest();
        Lock { recipe, target: target(python), packages: vec![], apt: vec![], image: None, dockerfile: None }
    }

    fn with(mut peer: PeerView, digest: Digest) -> PeerView {
        let offer = EnvOffer {
            name: "ml".into(),
            digest,
            recipe: recipe().digest(),
            engine: EngineKind::Native,
            python: None,
            bytes: 1,
        };
        peer.facts.envs.push(offer);
        peer
    }

    fn spec(wish: Option<WantedEnv>) -> JobSpec {
        JobSpec { env: Some("ml".into()), wanted: wish.map(Box::new), ..JobSpec::default() }
    }

    #[test]
    fn a_machine_has_it_or_gets_it_or_says_why_not() {
        let wish = |lock: Option<&Lock>| spec(Some(WantedEnv::new(&recipe(), lock)));
        let (wheels, none) = (AllowBuilds::Wheels, AllowBuilds::None);
        let why = |peer: &PeerView, spec: &JobSpec, others: &[PeerView]| {
            let all: Vec<PeerView> = others.iter().chain([peer]).cloned().collect();
            lacks(peer, spec, &all).unwrap_or_default()
        };
        let builder = peer(1, "3.11", wheels);
        assert_eq!(why(&builder, &wish(None), &[]), "");
        assert_eq!(why(&builder, &spec(None), &[]), "does not have the environment ml");
        assert!(why(&peer(1, "3.11", none), &wish(None), &[]).ends_with("nothing built for friends"));
        assert!(why(&peer(1, "3.9", wheels), &wish(None), &[]).ends_with("its Python is 3.9, 3.11 is wanted"));
        // Another machine could give it.
        let giver = with(peer(2, "3.11", none), lock("3.11").digest());
        assert_eq!(why(&peer(1, "3.11", none), &wish(Some(&lock("3.11"))), std::slice::from_ref(&giver)), "");
        let offline = PeerView { status: PeerStatus::Offline, ..giver.clone() };
        assert_ne!(why(&peer(1, "3.11", none), &wish(Some(&lock("3.11"))), &[offline]), "");
        // One that was never spoken to is asked.
        let mut unknown = peer(1, "3.9", none);
        unknown.facts.builds.clear();
        unknown.linked = false;
        assert_eq!(why(&unknown, &wish(None), &[]), "");
        // What no engine there makes is made for nobody.
        let apt = Recipe { apt: vec!["libgomp1".into()], ..recipe() };
        let apt = spec(Some(WantedEnv::new(&apt, None)));
        let mut podman = peer(1, "3.11", AllowBuilds::All);
        podman.facts.engines[0].kind = EngineKind::Docker;
        podman.facts.builds[0].engine = EngineKind::Docker;
        assert_eq!(why(&podman, &wish(None), &[]), "");
        assert!(why(&podman, &apt, &[]).ends_with("installs no distribution packages"), "{}", why(&podman, &apt, &[]));
        podman.facts.builds[0].steps = true;
        assert_eq!(why(&podman, &apt, &[]), "");
        // The owner may.
        let own = PeerView { via: Via::Own, ..peer(1, "3.11", none) };
        assert_eq!(why(&own, &wish(None), &[]), "");
    }

    #[test]
    fn what_stands_ready_is_exactly_the_lock_or_for_another_kind_the_recipe() {
        let ready = |peer: &PeerView, spec: &JobSpec| stands_ready(&peer.facts, spec);
        let same = with(peer(1, "3.11", AllowBuilds::None), lock("3.11").digest());
        let other = with(peer(1, "3.12", AllowBuilds::None), lock("3.12").digest());
        let newer = with(peer(1, "3.11", AllowBuilds::None), Digest([7; 32]));
        let wish = spec(Some(WantedEnv::new(&recipe(), Some(&lock("3.11")))));
        assert!(ready(&same, &wish) && ready(&other, &wish) && !ready(&newer, &wish));
        assert!(ready(&newer, &spec(Some(WantedEnv::new(&recipe(), None)))));
        assert!(ready(&newer, &spec(None)));
        assert!(!ready(&newer, &JobSpec::default()));
    }
}
