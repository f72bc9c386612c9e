//! Whether this machine takes a job, and what the job gets here. Pure: the worker is the only authority on this, so
//! every refusal names what was asked and what there is.

use serde::{Deserialize, Serialize};

use super::envs::EnvRoad;
use super::policy::{self, Machine};
use crate::model::{EngineKind, EngineOffer, Isolation, Limits, Offer, format_bytes};
use crate::wire::refusal::{Refusal, RefusalKind};

/// Kept free on the disk beside what a job may fill, for the owner's own programs.
const DISK_RESERVE: u64 = 512 << 20;

/// What the owner allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rules {
    /// Caps of a job.
    pub(super) limits: Limits,
    /// Jobs at once.
    pub(super) slots: u16,
    /// The weakest jail of a friend's job.
    pub(super) min_isolation: Isolation,
    /// Engines to use, the preferred first.
    pub(super) engines: Vec<EngineKind>,
}

/// How things stand here now.
#[derive(Debug, Clone)]
pub(super) struct Situation<'a> {
    /// homied is on its way down.
    pub(super) draining: bool,
    /// Why its owner lends nothing.
    pub(super) paused: Option<&'a str>,
    /// Engines that are ready.
    pub(super) engines: &'a [EngineOffer],
    /// Why no engine is ready.
    pub(super) engine_trouble: &'a str,
    /// Jobs that hold a slot.
    pub(super) hosted: usize,
    /// GPUs of this machine.
    pub(super) gpus: u32,
    /// Those that jobs have.
    pub(super) gpus_taken: &'a [u32],
    /// Free bytes where jobs live.
    pub(super) disk_free: u64,
    /// What the machine has.
    pub(super) machine: Machine,
    /// How the job's environment would be had, by engine; nothing for `base`.
    pub(super) roads: &'a [(EngineKind, EnvRoad)],
}

/// What a job gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Grant {
    /// Its engine.
    pub(super) engine: EngineKind,
    /// Its environment.
    pub(super) env: String,
    /// Its limits.
    pub(super) limits: Limits,
    /// Its GPUs.
    pub(super) gpus: Vec<u32>,
}

/// Takes or refuses `offer`. `own` jobs skip the owner's pause and the demand on isolation, never the sandbox.
///
/// # Errors
/// See [`RefusalKind`]: why, and what to do about it.
pub(super) fn admit(rules: &Rules, now: &Situation<'_>, offer: &Offer, own: bool) -> Result<Grant, Refusal> {
    let spec = &offer.spec;
    if now.draining {
        return Err(Refusal::new(RefusalKind::ShuttingDown, "this machine's homied is on its way down"));
    }
    if let Some(why) = now.paused.filter(|_| !own) {
        return Err(Refusal::new(RefusalKind::Paused, format!("its owner lends nothing now: {why}")));
    }
    policy::check_command(spec)?;
    if let Some(problem) = spec.wanted.as_ref().and_then(|wish| wish.check().err()) {
        return Err(Refusal::new(RefusalKind::BadRequest, problem.to_string()));
    }
    let engine = choose(rules, now, offer, own)?;
    let limits = policy::limits(&spec.needs, &rules.limits, now.machine)?;
    let wanted = limits.disk_bytes.saturating_add(offer.input_totals.bytes);
    // Without a wish the job gets the cap, but then only what is there now has to fit its inputs.
    let needed = if spec.needs.disk_bytes.is_some() { wanted } else { offer.input_totals.bytes };
    if now.disk_free < needed.saturating_add(DISK_RESERVE) {
        return Err(Refusal::new(
            RefusalKind::DiskFull,
            format!(
                "the job needs {} of disk; {} are free here and {} stay with the owner",
                format_bytes(needed),
                format_bytes(now.disk_free),
                format_bytes(DISK_RESERVE)
            ),
        ));
    }
    let gpus = choose_gpus(now, spec.needs.gpus)?;
    if now.hosted >= usize::from(rules.slots) {
        let text = match rules.slots {
            0 => "this machine hosts no jobs".to_owned(),
            slots => format!("all {slots} slots are taken"),
        };
        return Err(Refusal::new(RefusalKind::Busy, text));
    }
    Ok(Grant { engine, env: spec.env.clone().unwrap_or_else(|| "base".into()), limits, gpus })
}

fn choose(rules: &Rules, now: &Situation<'_>, offer: &Offer, own: bool) -> Result<EngineKind, Refusal> {
    let env = offer.spec.env.as_deref().unwrap_or("base");
    let demanded = offer.spec.needs.isolation;
    let floor = if own { Isolation::Limits } else { rules.min_isolation };
    let least = demanded.map_or(floor, |d| d.max(floor));
    let ready: Vec<&EngineOffer> =
        rules.engines.iter().filter_map(|kind| now.engines.iter().find(|e| e.kind == *kind)).collect();
    if ready.is_empty() {
        return Err(Refusal::new(RefusalKind::NoEngine, format!("no engine is ready: {}", now.engine_trouble)));
    }
    let strong: Vec<_> = ready.iter().filter(|e| e.isolation >= least).collect();
    if strong.is_empty() {
        let best = ready.iter().map(|e| e.isolation).max().unwrap_or(Isolation::Limits);
        let who = if demanded.is_some_and(|d| d >= floor) { "the job demands" } else { "its owner demands" };
        return Err(Refusal::new(RefusalKind::Isolation, format!("{who} {least}; this machine gives {best}")));
    }
    if env != "base" {
        return choose_by_road(env, &strong, now.roads);
    }
    let fit = strong.iter().find(|e| e.envs.iter().any(|have| have == env));
    fit.map(|e| e.kind).ok_or_else(|| {
        Refusal::new(RefusalKind::NoEnvironment, format!("environment {env} is not on this machine"))
            .hint(format!("its owner can build it: homie env build {env}"))
    })
}

/// The engine that has the environment, else one that a friend or a build gives it to.
fn choose_by_road(env: &str, strong: &[&&EngineOffer], roads: &[(EngineKind, EnvRoad)]) -> Result<EngineKind, Refusal> {
    let road = |e: &&EngineOffer| roads.iter().find(|(kind, _)| *kind == e.kind).map(|(_, road)| road);
    let open = strong.iter().filter_map(|e| Some((road(e)?, e.kind))).filter(|(r, _)| !matches!(r, EnvRoad::None(..)));
    // Of equals the first, which is the preferred engine.
    if let Some((_, kind)) = open.min_by(|a, b| a.0.cmp(b.0)) {
        return Ok(kind);
    }
    let closed = strong.iter().filter_map(|e| road(e)).find_map(|road| match road {
        EnvRoad::None(why, hint) => Some((why, hint)),
        _ => None,
    });
    let text = closed.map_or_else(|| format!("environment {env} is not on this machine"), |(why, _)| why.clone());
    let hint = closed.and_then(|(_, hint)| hint.clone());
    let refusal = Refusal::new(RefusalKind::NoEnvironment, text);
    Err(match hint {
        Some(hint) => refusal.hint(hint),
        None => refusal,
    })
}

fn choose_gpus(now: &Situation<'_>, wanted: u32) -> Result<Vec<u32>, Refusal> {
    let free: Vec<u32> = (0..now.gpus).filter(|g| !now.gpus_taken.contains(g)).take(wanted as usize).collect();
    if free.len() < wanted as usize {
        let text = format!("the job needs {wanted} GPUs; {} of {} are free here", free.len(), now.gpus);
        return Err(Refusal::new(RefusalKind::NoGpu, text));
    }
    Ok(free)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Digest, Epoch, JobId, JobSpec, Needs, Totals};

    fn rules() -> Rules {
        Rules {
            limits: Limits::default(),
            slots: 2,
            min_isolation: Isolation::Namespace,
            engines: vec![EngineKind::Docker, EngineKind::Native],
        }
    }

    fn engine(kind: EngineKind, isolation: Isolation, envs: &[&str]) -> EngineOffer {
        EngineOffer { kind, isolation, envs: envs.iter().map(|e| (*e).to_owned()).collect() }
    }

    fn situation(engines: &[EngineOffer]) -> Situation<'_> {
        Situation {
            draining: false,
            paused: None,
            engines,
            engine_trouble: "docker does not answer",
            hosted: 0,
            gpus: 2,
            gpus_taken: &[0],
            disk_free: 100 << 30,
            machine: Machine { cores: 8, memory_bytes: 16 << 30 },
            roads: &[],
        }
    }

    fn offer(needs: Needs) -> Offer {
        Offer {
            job: JobId([1; 16]),
            epoch: Epoch(1),
            spec: JobSpec { command: vec!["true".into()], needs, ..JobSpec::default() },
            inputs: Digest([0; 32]),
            input_totals: Totals { files: 1, bytes: 1 << 20 },
        }
    }

    #[test]
    fn the_preferred_engine_that_fits_is_taken() {
        let native = engine(EngineKind::Native, Isolation::Namespace, &["base"]);
        let docker = engine(EngineKind::Docker, Isolation::Container, &["base"]);
        let bare = engine(EngineKind::Docker, Isolation::Container, &[]);
        let plain = offer(Needs::default());
        for (engines, want) in [
            (vec![native.clone(), docker.clone()], EngineKind::Docker),
            (vec![native.clone(), bare.clone()], EngineKind::Native),
            (vec![native.clone()], EngineKind::Native),
        ] {
            assert_eq!(admit(&rules(), &situation(&engines), &plain, false).expect("taken").engine, want);
        }
        let only_native = Rules { engines: vec![EngineKind::Native], ..rules() };
        let both = [docker, native];
        assert_eq!(admit(&only_native, &situation(&both), &plain, false).expect("taken").engine, EngineKind::Native);
    }

    #[test]
    fn every_refusal_has_its_kind() {
        use RefusalKind as K;
        let engines = [engine(EngineKind::Native, Isolation::Namespace, &["base"])];
        let weak = [engine(EngineKind::Native, Isolation::Process, &["base"])];
        let now = situation(&engines);
        let refused = |now: Situation<'_>, offer: Offer, own: bool| match admit(&rules(), &now, &offer, own) {
            Ok(_) => None,
            Err(refusal) => Some(refusal.kind),
        };
        let plain = || offer(Needs::default());
        let named = |env: &str| {
            let mut o = plain();
            o.spec.env = Some(env.into());
            o
        };
        for (situation, offer, own, want) in [
            (now.clone(), plain(), false, None),
            (Situation { draining: true, ..now.clone() }, plain(), true, Some(K::ShuttingDown)),
            (Situation { paused: Some("drained"), ..now.clone() }, plain(), false, Some(K::Paused)),
            (Situation { paused: Some("drained"), ..now.clone() }, plain(), true, None),
            (Situation { engines: &[], ..now.clone() }, plain(), true, Some(K::NoEngine)),
            (Situation { engines: &weak, ..now.clone() }, plain(), false, Some(K::Isolation)),
            (Situation { engines: &weak, ..now.clone() }, plain(), true, None),
            (
                now.clone(),
                offer(Needs { isolation: Some(Isolation::Gvisor), ..Needs::default() }),
                true,
                Some(K::Isolation),
            ),
            (now.clone(), named("ml-demo"), false, Some(K::NoEnvironment)),
            (now.clone(), offer(Needs { gpus: 1, ..Needs::default() }), false, None),
            (now.clone(), offer(Needs { gpus: 2, ..Needs::default() }), false, Some(K::NoGpu)),
            (now.clone(), offer(Needs { memory_bytes: Some(1 << 40), ..Needs::default() }), false, Some(K::Limits)),
            (Situation { disk_free: 1 << 20, ..now.clone() }, plain(), false, Some(K::DiskFull)),
            (Situation { hosted: 2, ..now.clone() }, plain(), false, Some(K::Busy)),
        ] {
            assert_eq!(refused(situation, offer, own), want);
        }
        let mut empty = plain();
        empty.spec.command.clear();
        assert_eq!(refused(now, empty, false), Some(K::BadRequest));
    }

    #[test]
    fn free_gpus_are_given_by_index() {
        let engines = [engine(EngineKind::Native, Isolation::Namespace, &["base"])];
        let got = admit(&rules(), &situation(&engines), &offer(Needs { gpus: 1, ..Needs::default() }), false);
        assert_eq!(got.expect("taken").gpus, [1]);
    }
}
