//! Whether this machine takes a job, and what the job gets here. Pure: the worker is the only authority on this, so
//! every refusal names what was asked and what there is.

use serde::{Deserialize, Serialize};

use super::envs::EnvRoad;
use super::policy::{self, Machine};
use crate::model::{
    EngineKind, EngineOffer, GpuDevice, GpuUse, Isolation, Limits, Needs, Offer, SeenGpu, format_bytes,
};
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
    /// Whether several jobs may have one GPU.
    pub(super) gpu_share: bool,
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
    /// GPUs of this machine, as they are now.
    pub(super) gpus: &'a [SeenGpu],
    /// Indices of those that jobs have.
    pub(super) gpus_taken: &'a [u32],
    /// The engines that can give a job a GPU.
    pub(super) gpu_engines: &'a [EngineKind],
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
    /// Its GPUs. Kept with the grant, so that an adopted job keeps them.
    pub(super) gpus: Vec<GpuDevice>,
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
    let gpus = choose_gpus(rules, now, &spec.needs)?;
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
    let strong: Vec<_> = ready.iter().filter(|e| e.level() >= least).collect();
    if strong.is_empty() {
        let best = ready.iter().map(|e| e.level()).max().unwrap_or(Isolation::Limits);
        let who = if demanded.is_some_and(|d| d >= floor) { "the job demands" } else { "its owner demands" };
        return Err(Refusal::new(RefusalKind::Isolation, format!("{who} {least}; this machine gives {best}")));
    }
    let fit: Vec<EngineKind> = match env {
        "base" => strong.iter().filter(|e| e.envs.iter().any(|have| have == env)).map(|e| e.kind).collect(),
        _ => choose_by_road(env, &strong, now.roads)?,
    };
    if fit.is_empty() {
        return Err(Refusal::new(RefusalKind::NoEnvironment, format!("environment {env} is not on this machine"))
            .hint(format!("its owner can build it: homie env build {env}")));
    }
    let gives_gpus = |kind: &EngineKind| offer.spec.needs.gpus == 0 || now.gpu_engines.contains(kind);
    fit.iter().copied().find(gives_gpus).ok_or_else(|| {
        let names: Vec<&str> = fit.iter().map(|e| e.as_str()).collect();
        Refusal::new(RefusalKind::NoGpu, format!("its {} engine cannot give a job a GPU", names.join(" and its ")))
            .hint("its owner can install the NVIDIA Container Toolkit, or set `engine: native`")
    })
}

/// The engines that have the environment, then those that a friend or a build gives it to.
fn choose_by_road(
    env: &str,
    strong: &[&&EngineOffer],
    roads: &[(EngineKind, EnvRoad)],
) -> Result<Vec<EngineKind>, Refusal> {
    let road = |e: &&EngineOffer| roads.iter().find(|(kind, _)| *kind == e.kind).map(|(_, road)| road);
    let open = strong.iter().filter_map(|e| Some((road(e)?, e.kind))).filter(|(r, _)| !matches!(r, EnvRoad::None(..)));
    let mut open: Vec<_> = open.collect();
    if !open.is_empty() {
        // A stable order: of equals the preferred engine comes first.
        open.sort_by(|a, b| a.0.cmp(b.0));
        return Ok(open.into_iter().map(|(_, kind)| kind).collect());
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

/// The free ones that suit, by index. What another job or the owner uses is worth waiting for, so that is "busy".
fn choose_gpus(rules: &Rules, now: &Situation<'_>, needs: &Needs) -> Result<Vec<GpuDevice>, Refusal> {
    let wanted = needs.gpus as usize;
    if wanted == 0 {
        return Ok(vec![]);
    }
    let lent = rules.limits.gpus.unwrap_or(u32::MAX);
    if lent < needs.gpus {
        let text = format!("the job needs {wanted} GPUs; this machine gives at most {lent}");
        let hint = "ask for fewer, or let its owner raise the limit (homie config --gpu all)";
        return Err(Refusal::new(RefusalKind::Limits, text).hint(hint));
    }
    let suit: Vec<&SeenGpu> = now.gpus.iter().filter(|g| g.gpu.suits(needs)).collect();
    if suit.len() < wanted {
        let kind = if suit.len() < now.gpus.len() { " of that kind" } else { "" };
        let text = format!("the job needs {wanted} GPUs{kind}; this machine has {}", suit.len());
        return Err(Refusal::new(RefusalKind::NoGpu, text));
    }
    let held = |g: &SeenGpu| now.gpus_taken.contains(&g.gpu.index);
    let user = |g: &SeenGpu| {
        let shared_full = || needs.gpu_memory_bytes.is_some_and(|least| g.gpu.memory_free_bytes < least);
        match (g.gpu.taken, held(g)) {
            (Some(GpuUse::Owner), _) => Some(GpuUse::Owner),
            (_, true) if !rules.gpu_share || shared_full() => Some(GpuUse::Job),
            _ => None,
        }
    };
    let mut free: Vec<&SeenGpu> = suit.iter().copied().filter(|g| user(g).is_none()).collect();
    if free.len() < wanted {
        let uses = suit.iter().filter_map(|g| Some(format!("GPU {} is {}", g.gpu.index, user(g)?.as_text())));
        return Err(Refusal::new(RefusalKind::Busy, uses.collect::<Vec<_>>().join(", ")));
    }
    // Where they may be shared, an unused one still comes first.
    free.sort_by_key(|g| (held(g), g.gpu.index));
    Ok(free.iter().take(wanted).map(|g| g.device.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Digest, Epoch, Gpu, JobId, JobSpec, Totals};
    use std::sync::LazyLock;

    fn rules() -> Rules {
        Rules {
            limits: Limits::default(),
            slots: 2,
            min_isolation: Isolation::Namespace,
            engines: vec![EngineKind::Docker, EngineKind::Native],
            gpu_share: false,
        }
    }

    fn gpu(index: u32, gib: u64) -> SeenGpu {
        let bytes = gib << 30;
        SeenGpu {
            gpu: Gpu {
                index,
                name: format!("GPU of {gib}"),
                memory_bytes: bytes,
                memory_free_bytes: bytes,
                ..Gpu::default()
            },
            device: GpuDevice { index, minor: index + 1, uuid: format!("GPU-{index}") },
            processes: vec![],
        }
    }

    static TWO: LazyLock<[SeenGpu; 2]> = LazyLock::new(|| [gpu(0, 10), gpu(1, 24)]);

    fn with_gpus(gpus: u32) -> Needs {
        Needs { gpus, ..Needs::default() }
    }

    fn engine(kind: EngineKind, isolation: Isolation, envs: &[&str]) -> EngineOffer {
        EngineOffer { kind, isolation, envs: envs.iter().map(|e| (*e).to_owned()).collect(), lacks: vec![] }
    }

    fn situation(engines: &[EngineOffer]) -> Situation<'_> {
        Situation {
            draining: false,
            paused: None,
            engines,
            engine_trouble: "docker does not answer",
            hosted: 0,
            gpus: &*TWO,
            gpus_taken: &[0],
            gpu_engines: &[EngineKind::Docker, EngineKind::Native],
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
            (now.clone(), offer(with_gpus(1)), false, None),
            (now.clone(), offer(with_gpus(2)), false, Some(K::Busy)),
            (now.clone(), offer(with_gpus(3)), false, Some(K::NoGpu)),
            (Situation { gpu_engines: &[], ..now.clone() }, offer(with_gpus(1)), false, Some(K::NoGpu)),
            (Situation { gpu_engines: &[], ..now.clone() }, plain(), false, None),
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
    fn free_gpus_are_given_by_what_they_are_and_who_uses_them() {
        let engines = [engine(EngineKind::Native, Isolation::Namespace, &["base"])];
        let given = |rules: &Rules, now: Situation<'_>, needs: Needs| {
            let grant = admit(rules, &now, &offer(needs), false).map_err(|r| r.message)?;
            Ok::<_, String>(grant.gpus.iter().map(|g| g.index).collect::<Vec<_>>())
        };
        let none_taken = || Situation { gpus_taken: &[], ..situation(&engines) };
        let big = Needs { gpu_memory_bytes: Some(20 << 30), ..with_gpus(1) };
        let model = Needs { gpu_model: Some("OF 10".into()), ..with_gpus(1) };
        assert_eq!(given(&rules(), none_taken(), with_gpus(2)), Ok(vec![0, 1]));
        assert_eq!(given(&rules(), situation(&engines), with_gpus(1)), Ok(vec![1]));
        assert_eq!(given(&rules(), none_taken(), big.clone()), Ok(vec![1]));
        assert_eq!(given(&rules(), none_taken(), model.clone()), Ok(vec![0]));
        let taken = given(&rules(), situation(&engines), model.clone()).expect_err("taken");
        assert_eq!(taken, "GPU 0 is taken by a job");
        let two_big = given(&rules(), none_taken(), Needs { gpus: 2, ..big }).expect_err("one suits");
        assert_eq!(two_big, "the job needs 2 GPUs of that kind; this machine has 1");

        let mut used = TWO.clone();
        used[1].gpu.taken = Some(GpuUse::Owner);
        let now = Situation { gpus: &used, ..situation(&engines) };
        let both = given(&rules(), now.clone(), with_gpus(2)).expect_err("used");
        assert_eq!(both, "GPU 0 is taken by a job, GPU 1 is in use by its owner");

        let share = Rules { gpu_share: true, ..rules() };
        assert_eq!(given(&share, situation(&engines), with_gpus(1)), Ok(vec![1]), "an unused one comes first");
        assert_eq!(given(&share, now.clone(), with_gpus(1)), Ok(vec![0]), "jobs share");
        let refused = given(&share, now, with_gpus(2)).expect_err("an owner does not");
        assert_eq!(refused, "GPU 1 is in use by its owner");

        let lent = Limits { gpus: Some(1), ..Limits::default() };
        let stingy = Rules { limits: lent, ..rules() };
        assert_eq!(given(&stingy, none_taken(), with_gpus(1)), Ok(vec![0]));
        let both_numbers = given(&stingy, none_taken(), with_gpus(2)).expect_err("too many");
        assert_eq!(both_numbers, "the job needs 2 GPUs; this machine gives at most 1");
    }

    #[test]
    fn a_job_for_a_gpu_goes_to_an_engine_that_has_one() {
        let engines = [
            engine(EngineKind::Docker, Isolation::Container, &["base"]),
            engine(EngineKind::Native, Isolation::Namespace, &["base"]),
        ];
        let now = Situation { gpu_engines: &[EngineKind::Native], ..situation(&engines) };
        let engine_of = |needs| admit(&rules(), &now, &offer(needs), false).map(|g| g.engine).map_err(|r| r.kind);
        assert_eq!(engine_of(with_gpus(1)), Ok(EngineKind::Native));
        assert_eq!(engine_of(Needs::default()), Ok(EngineKind::Docker));
        let container = Needs { isolation: Some(Isolation::Container), ..with_gpus(1) };
        assert_eq!(engine_of(container), Err(RefusalKind::NoGpu));
    }
}
