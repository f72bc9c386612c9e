//! What the engine says about a job's container is what the template asked for, field by field.

use bollard::models::{ContainerInspectResponse, HostConfigCgroupnsModeEnum, RestartPolicyNameEnum};
use homie::sandbox::engine::{Engine, EngineJob};

use crate::engine::{TestJob, client, is_podman, shared};

#[tokio::test]
async fn the_engine_made_what_the_template_says() {
    let Some(shared) = shared().await else { return };
    let mut job = TestJob::new(&shared, &["sleep", "600"]);
    job.launch.vars.insert("SEED".to_owned(), "7".to_owned());
    let mut started = shared.engine.start(&job.launch).await.expect("started");
    let name = format!("homie-{}", job.launch.name());
    let docker = client(&shared).await;
    let podman = is_podman(&shared).await;
    let found = docker.inspect_container(&name, None).await.expect("inspected");
    started.job.kill().await.expect("killed");
    started.job.wait().await.expect("known end");
    started.job.remove().await.expect("removed").await;
    compare(&found, &job, podman);
}

fn compare(found: &ContainerInspectResponse, job: &TestJob, podman: bool) {
    let launch = &job.launch;
    assert_eq!(found.name.as_deref().map(|n| n.trim_start_matches('/')), Some(&*format!("homie-{}", launch.name())));
    let config = found.config.as_ref().expect("config");
    assert_eq!(config.user.as_deref(), Some(&*format!("{}:{}", launch.uid, launch.gid)));
    assert_eq!(config.working_dir.as_deref(), Some("/work"));
    assert_eq!((config.tty, config.open_stdin), (Some(false), Some(false)));
    // What a job was given is between its supervisor and its init; whoever may look at containers need not see it.
    let env = config.env.as_deref().unwrap_or_default();
    assert!(env.iter().all(|e| !e.contains("SEED")), "{env:?}");
    let labels = config.labels.as_ref().expect("labels");
    for (label, want) in [
        ("homie.node", &launch.node),
        ("homie.job", &launch.job.to_string()),
        ("homie.epoch", &launch.epoch.to_string()),
    ] {
        assert_eq!(labels.get(label), Some(want), "{label}");
    }

    let host = found.host_config.as_ref().expect("host config");
    assert_eq!(host.network_mode.as_deref(), Some("none"));
    assert_eq!(host.privileged, Some(false));
    assert!(host.cap_add.as_deref().unwrap_or_default().is_empty());
    let dropped = host.cap_drop.as_deref().expect("dropped capabilities");
    // Podman lists what ALL was; Docker keeps the word.
    assert!(dropped.iter().any(|c| c == "ALL") || dropped.len() >= 10, "{dropped:?}");
    let options = host.security_opt.as_deref().expect("options");
    assert!(options.iter().any(|o| o.starts_with("no-new-privileges")), "{options:?}");
    assert!(options.iter().any(|o| o.starts_with("seccomp=")), "{options:?}");
    assert_eq!(host.readonly_rootfs, Some(true));
    assert_eq!(host.memory, Some(256 << 20));
    assert_eq!(host.memory_swap, Some(256 << 20));
    assert_eq!(host.pids_limit, Some(64));
    // Podman answers with the quota that it made of it.
    let quota = host.cpu_quota.unwrap_or_default() * 1_000_000_000 / host.cpu_period.filter(|p| *p > 0).unwrap_or(1);
    assert!(host.nano_cpus == Some(1_000_000_000) || quota == 1_000_000_000, "{:?} {quota}", host.nano_cpus);
    // Podman 4 says `shareable` of every ipc namespace of a container's own.
    let own_ipc =
        matches!(host.ipc_mode.as_deref(), Some("private")) || podman && host.ipc_mode.as_deref() == Some("shareable");
    assert!(own_ipc, "{:?}", host.ipc_mode);
    assert!(matches!(host.pid_mode.as_deref(), None | Some("" | "private")), "{:?}", host.pid_mode);
    assert!(matches!(host.uts_mode.as_deref(), None | Some("" | "private")), "{:?}", host.uts_mode);
    if !podman {
        assert_eq!(host.cgroupns_mode, Some(HostConfigCgroupnsModeEnum::PRIVATE));
        assert_eq!(config.network_disabled, Some(true));
        assert_eq!(config.entrypoint.as_deref(), Some(&["/run/homie/init".to_owned(), "300".to_owned()][..]));
        assert!(host.binds.as_deref().unwrap_or_default().is_empty());
        assert_eq!(host.init, Some(false));
        let seccomp = options.iter().find_map(|o| o.strip_prefix("seccomp=")).expect("seccomp");
        let profile: serde_json::Value = serde_json::from_str(seccomp).expect("the profile itself");
        assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    }
    assert_eq!(host.oom_score_adj, Some(500));
    assert_eq!(host.shm_size, Some(16 << 20));
    assert_eq!(host.log_config.as_ref().and_then(|l| l.typ.as_deref()), Some("none"));
    let restart = host.restart_policy.as_ref().and_then(|r| r.name);
    assert!(matches!(restart, None | Some(RestartPolicyNameEnum::NO | RestartPolicyNameEnum::EMPTY)), "{restart:?}");
    assert_eq!(host.auto_remove, Some(false));
    assert!(host.devices.as_deref().unwrap_or_default().is_empty());
    assert!(host.device_requests.as_deref().unwrap_or_default().is_empty());
    let tmp = host.tmpfs.as_ref().and_then(|t| t.get("/tmp")).expect("a tmpfs");
    assert!(tmp.contains("nosuid") && tmp.contains("nodev") && tmp.contains(&format!("size={}", 16 << 20)), "{tmp}");
    let limits = host.ulimits.as_deref().expect("ulimits");
    for (name, value) in [("nofile", 1024), ("core", 0), ("fsize", 64 << 20)] {
        let hit = limits
            .iter()
            .find(|l| l.name.as_deref().is_some_and(|n| n.to_ascii_lowercase().trim_start_matches("rlimit_") == name));
        let hit = hit.unwrap_or_else(|| panic!("{name} in {limits:?}"));
        assert_eq!((hit.soft, hit.hard), (Some(value), Some(value)), "{name}");
    }

    let mounts = found.mounts.as_deref().expect("mounts");
    let mut binds: Vec<_> = mounts.iter().filter(|m| m.destination.as_deref() != Some("/tmp")).collect();
    binds.sort_by_key(|m| m.destination.clone());
    let places: Vec<_> = binds.iter().map(|m| (m.destination.as_deref(), m.source.as_deref(), m.rw)).collect();
    let (work, ctl, hosts) = (launch.work_dir(), launch.job_dir.join("ctl"), launch.job_dir.join("ctl/hosts"));
    let want = [
        (Some("/etc/hosts"), hosts.to_str(), Some(false)),
        (Some("/run/homie"), ctl.to_str(), Some(false)),
        (Some("/work"), work.to_str(), Some(true)),
    ];
    assert_eq!(places, want);
    assert!(binds.iter().all(|m| m.propagation.as_deref() == Some("rprivate")), "{binds:?}");
}
