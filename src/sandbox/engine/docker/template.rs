//! The one shape of a job's container. A request carries numbers, a command and variables; never an engine option.
//!
//! Pure: [`JobLaunch`] in, the body of `POST /containers/create` out. Uses nothing newer than API 1.41 (Docker 20.10,
//! Podman's imitation). The integration test compares what the engine says about a container with this body.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bollard::models::{
    ContainerCreateBody, ContainerUpdateBody, DeviceRequest, HealthConfig, HostConfig, HostConfigCgroupnsModeEnum,
    HostConfigLogConfig, Mount, MountBindOptions, MountBindOptionsPropagationEnum, MountType, ResourcesUlimits,
    RestartPolicy, RestartPolicyNameEnum,
};

use crate::model::Limits;
use crate::sandbox::engine::{INSIDE_ENV, INSIDE_WORK, JobLaunch, job_name};

/// The whole of a job's `/etc/hosts`.
pub(super) const HOSTS: &str = "127.0.0.1 localhost homie\n::1 localhost\n";

/// Label: the machine that hosts the job (its peer id). Reconciling touches only its own.
pub(super) const LABEL_NODE: &str = "homie.node";
/// Label: the job.
pub(super) const LABEL_JOB: &str = "homie.job";
/// Label: the assignment.
pub(super) const LABEL_EPOCH: &str = "homie.epoch";

/// The smallest memory limit Docker takes; below it no program starts anyway.
const MEMORY_FLOOR: u64 = 6 << 20;
/// Open files of one process: enough for compilers and servers of a test suite, too few to exhaust the host's table.
const OPEN_FILES: i64 = 1024;
/// Podman hands its own (sometimes impossible) default on unless told. The kernel counts this limit per user over all
/// containers, so it must be generous; the real bound is `pids_limit`.
const PODMAN_USER_PROCESSES: i64 = 4096;
/// Makes the kernel take a job before any process of the owner when memory runs out (range -1000..1000).
const OOM_SCORE: i64 = 500;

/// What the template must know of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flavour {
    /// It is Podman.
    pub(super) podman: bool,
    /// It runs as an ordinary user: that user is uid 0 inside, so the job's directory belongs to uid 0 there, and this
    /// 0 is nobody outside.
    pub(super) rootless: bool,
    /// It has an init program to put in front of the job.
    pub(super) init: bool,
    /// The value of the seccomp option: the profile itself, or a file that holds it (Podman).
    pub(super) seccomp: String,
}

/// `homie-JOB-EPOCH`. The engine keeps names unique, which makes creation idempotent.
pub(super) fn container_name(launch: &JobLaunch) -> String {
    format!("homie-{}", job_name(launch.job, launch.epoch))
}

/// The container of `launch`, made from `image`.
pub(super) fn container(launch: &JobLaunch, image: &str, flavour: &Flavour) -> ContainerCreateBody {
    let user = if flavour.rootless { "0:0".to_owned() } else { format!("{}:{}", launch.uid, launch.gid) };
    let labels = [
        (LABEL_NODE, launch.node.clone()),
        (LABEL_JOB, launch.job.to_string()),
        (LABEL_EPOCH, launch.epoch.to_string()),
    ];
    ContainerCreateBody {
        image: Some(image.to_owned()),
        // The whole command as entrypoint: an image's own ENTRYPOINT and CMD then play no part.
        entrypoint: Some(launch.command.clone()),
        env: Some(launch.environment().iter().map(|(k, v)| format!("{k}={v}")).collect()),
        working_dir: Some(INSIDE_WORK.to_owned()),
        user: Some(user),
        hostname: Some("homie".to_owned()),
        attach_stdin: Some(false),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(false),
        open_stdin: Some(false),
        // Docker then leaves the container the empty network namespace that the runtime makes (only `lo`) and skips
        // its own network setup: half of the start time, and the host's resolver addresses stay out of /etc.
        network_disabled: Some(true),
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }),
        labels: Some(labels.map(|(k, v)| (k.to_owned(), v)).into()),
        host_config: Some(host_config(launch, flavour)),
        ..ContainerCreateBody::default()
    }
}

fn host_config(launch: &JobLaunch, flavour: &Flavour) -> HostConfig {
    let limits = &launch.limits;
    let memory = signed(limits.memory_bytes.max(MEMORY_FLOOR));
    HostConfig {
        network_mode: Some("none".to_owned()),
        cap_drop: Some(vec!["ALL".to_owned()]),
        privileged: Some(false),
        security_opt: Some(vec!["no-new-privileges".to_owned(), format!("seccomp={}", flavour.seccomp)]),
        readonly_rootfs: Some(true),
        mounts: Some(mounts(launch)),
        // Programs may be run from it: compilers of GPU kernels and `cc -o /tmp/a.out` do, and /work is no different.
        // What it holds counts as the job's memory.
        tmpfs: Some(HashMap::from([(
            "/tmp".to_owned(),
            format!("rw,exec,nosuid,nodev,mode=1777,size={}", limits.tmp_bytes),
        )])),
        // Memory too, so there is no reason to stop at Docker's 64 MiB, which data loaders of PyTorch run out of.
        shm_size: Some(signed(limits.tmp_bytes)),
        ipc_mode: Some("private".to_owned()),
        cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
        memory: Some(memory),
        // Memory and swap together: no swap.
        memory_swap: Some(memory),
        nano_cpus: Some(i64::from(limits.cpu_millis) * 1_000_000),
        pids_limit: Some(i64::from(limits.pids)),
        ulimits: Some(ulimits(launch, flavour)),
        oom_score_adj: Some(OOM_SCORE),
        // A job as process 1 would not die of signals it sends itself, nor would its orphans be reaped.
        init: Some(flavour.init),
        // Output goes straight to the supervisor's file; the engine's drivers throttle it to a tenth.
        log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
        restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None }),
        auto_remove: Some(false),
        device_requests: (!launch.gpus.is_empty()).then(|| vec![gpu_request(launch, flavour)]),
        ..HostConfig::default()
    }
}

/// The body that changes a running container's limits from `before` to `after`; what stays is not mentioned.
pub(super) fn update(before: &Limits, after: &Limits) -> ContainerUpdateBody {
    let memory = (before.memory_bytes != after.memory_bytes).then(|| signed(after.memory_bytes.max(MEMORY_FLOOR)));
    ContainerUpdateBody {
        memory,
        memory_swap: memory,
        nano_cpus: (before.cpu_millis != after.cpu_millis).then(|| i64::from(after.cpu_millis) * 1_000_000),
        pids_limit: (before.pids != after.pids).then_some(i64::from(after.pids)),
        ..ContainerUpdateBody::default()
    }
}

fn mounts(launch: &JobLaunch) -> Vec<Mount> {
    let mut all = vec![
        bind(&launch.work_dir(), INSIDE_WORK, false),
        // Without its own network setup Docker leaves /etc/hosts empty, and nobody would be `localhost`.
        bind(&hosts_file(launch), "/etc/hosts", true),
    ];
    all.extend(launch.tree.as_ref().map(|tree| bind(tree, INSIDE_ENV, true)));
    all
}

/// Where the job's `/etc/hosts` lies: beside its directory, out of its reach.
pub(super) fn hosts_file(launch: &JobLaunch) -> PathBuf {
    launch.job_dir.join("hosts")
}

fn bind(source: &Path, target: &str, read_only: bool) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(source.to_string_lossy().into_owned()),
        target: Some(target.to_owned()),
        read_only: Some(read_only),
        bind_options: Some(MountBindOptions {
            // What the host mounts below it later does not appear inside.
            propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
            ..MountBindOptions::default()
        }),
        ..Mount::default()
    }
}

fn ulimits(launch: &JobLaunch, flavour: &Flavour) -> Vec<ResourcesUlimits> {
    let limit =
        |name: &str, value| ResourcesUlimits { name: Some(name.to_owned()), soft: Some(value), hard: Some(value) };
    let mut all = vec![
        limit("nofile", OPEN_FILES),
        // A core dump of a 4 GiB process would be collected as a result.
        limit("core", 0),
        limit("fsize", signed(launch.limits.disk_bytes)),
    ];
    if flavour.podman {
        all.push(limit("nproc", PODMAN_USER_PROCESSES));
    }
    all
}

/// GPUs by index. Podman's imitation ignores device requests but for CDI names.
fn gpu_request(launch: &JobLaunch, flavour: &Flavour) -> DeviceRequest {
    let indices = launch.gpus.iter().map(|g| g.index);
    if flavour.podman {
        return DeviceRequest {
            driver: Some("cdi".to_owned()),
            device_ids: Some(indices.map(|i| format!("nvidia.com/gpu={i}")).collect()),
            ..DeviceRequest::default()
        };
    }
    DeviceRequest {
        device_ids: Some(indices.map(|i| i.to_string()).collect()),
        capabilities: Some(vec![vec!["gpu".to_owned()]]),
        ..DeviceRequest::default()
    }
}

/// The API's integers are signed; limits never come near the border (`parse_size` stops at 2^63).
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EngineKind, Epoch, GpuDevice, JobId};
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    fn launch() -> JobLaunch {
        JobLaunch {
            job: JobId([0xab; 16]),
            epoch: Epoch(3),
            node: "NODE-ID".to_owned(),
            job_dir: "/state/jobs/ab-3".into(),
            command: vec!["python3".to_owned(), "train.py".to_owned(), "--gpu".to_owned()],
            vars: BTreeMap::from([("SEED".to_owned(), "7 8".to_owned()), ("PATH".to_owned(), "/evil".to_owned())]),
            env: "base".to_owned(),
            limits: Limits {
                cpu_millis: 1500,
                memory_bytes: 512 << 20,
                timeout_s: 60,
                pids: 77,
                disk_bytes: 3 << 30,
                output_bytes: 1 << 20,
                tmp_bytes: 64 << 20,
                gpus: None,
            },
            uid: 65534,
            gid: 65533,
            gpus: vec![],
            engine: EngineKind::Docker,
            image: None,
            tree: None,
            warm: None,
        }
    }

    fn flavour() -> Flavour {
        Flavour { podman: false, rootless: false, init: true, seccomp: "PROFILE".to_owned() }
    }

    fn body(launch: &JobLaunch, flavour: &Flavour) -> Value {
        serde_json::to_value(container(launch, "sha256:1234", flavour)).expect("serializable")
    }

    #[test]
    fn the_whole_body_is_exactly_this() {
        let id = "ab".repeat(16);
        let env = [
            "HOMIE_EPOCH=3".to_owned(),
            format!("HOMIE_JOB={id}"),
            "HOME=/work".to_owned(),
            "LANG=C.UTF-8".to_owned(),
            "NVIDIA_VISIBLE_DEVICES=void".to_owned(),
            "PATH=/usr/local/bin:/usr/bin:/bin".to_owned(),
            "PYTHONUNBUFFERED=1".to_owned(),
            "SEED=7 8".to_owned(),
            "TMPDIR=/tmp".to_owned(),
        ];
        let mut want = json!({
            "Image": "sha256:1234",
            "Entrypoint": ["python3", "train.py", "--gpu"],
            "Env": env,
            "WorkingDir": "/work",
            "User": "65534:65533",
            "Hostname": "homie",
            "AttachStdin": false, "AttachStdout": true, "AttachStderr": true, "Tty": false, "OpenStdin": false,
            "NetworkDisabled": true,
            "Healthcheck": {"Test": ["NONE"]},
            "Labels": {"homie.node": "NODE-ID", "homie.job": id, "homie.epoch": "3"},
            "HostConfig": {
                "NetworkMode": "none",
                "CapDrop": ["ALL"],
                "Privileged": false,
                "SecurityOpt": ["no-new-privileges", "seccomp=PROFILE"],
                "ReadonlyRootfs": true,
                "Mounts": [{
                    "Type": "bind", "Source": "/state/jobs/ab-3/work", "Target": "/work", "ReadOnly": false,
                    "BindOptions": {"Propagation": "rprivate"},
                }, {
                    "Type": "bind", "Source": "/state/jobs/ab-3/hosts", "Target": "/etc/hosts", "ReadOnly": true,
                    "BindOptions": {"Propagation": "rprivate"},
                }],
                "Tmpfs": {"/tmp": "rw,exec,nosuid,nodev,mode=1777,size=67108864"},
                "ShmSize": 64 << 20,
                "IpcMode": "private",
                "CgroupnsMode": "private",
                "Memory": 512 << 20,
                "MemorySwap": 512 << 20,
                "NanoCpus": 1_500_000_000,
                "PidsLimit": 77,
                "Ulimits": [
                    {"Name": "nofile", "Soft": 1024, "Hard": 1024},
                    {"Name": "core", "Soft": 0, "Hard": 0},
                    {"Name": "fsize", "Soft": 3_u64 << 30, "Hard": 3_u64 << 30},
                ],
                "OomScoreAdj": 500,
                "Init": true,
                "LogConfig": {"Type": "none"},
                "RestartPolicy": {"Name": "no"},
                "AutoRemove": false,
            },
        });
        let mut got = body(&launch(), &flavour());
        for value in [&mut want, &mut got] {
            value["Env"].as_array_mut().expect("env").sort_by_key(ToString::to_string);
        }
        assert_eq!(got, want);
        assert_eq!(container_name(&launch()), format!("homie-{id}-3"));
    }

    #[test]
    fn podman_gets_the_limit_it_would_otherwise_invent() {
        let got = body(&launch(), &Flavour { podman: true, ..flavour() });
        assert_eq!(got["HostConfig"]["Ulimits"][3], json!({"Name": "nproc", "Soft": 4096, "Hard": 4096}));
    }

    #[test]
    fn a_rootless_engine_sees_the_owner_of_the_directory_as_its_root() {
        assert_eq!(body(&launch(), &Flavour { rootless: true, ..flavour() })["User"], "0:0");
    }

    #[test]
    fn an_environment_that_is_a_directory_is_seen_and_not_written() {
        let launch = JobLaunch { tree: Some("/state/envs/built/x/tree".into()), ..launch() };
        let made = body(&launch, &flavour());
        let mount = &made["HostConfig"]["Mounts"][2];
        assert_eq!((&mount["Source"], &mount["Target"]), (&json!("/state/envs/built/x/tree"), &json!("/env")));
        assert_eq!(mount["ReadOnly"], true);
        let vars = made["Env"].as_array().expect("a list");
        assert!(
            vars.contains(&json!("VIRTUAL_ENV=/env"))
                && vars.iter().any(|v| v.as_str().unwrap_or("").starts_with("PATH=/env/bin:"))
        );
    }

    #[test]
    fn gpus_are_asked_for_by_index() {
        let gpu = |index, minor| GpuDevice { index, minor, uuid: format!("GPU-{index}") };
        let launch = JobLaunch { gpus: vec![gpu(0, 1), gpu(2, 0)], ..launch() };
        let docker = body(&launch, &flavour());
        let want = json!([{"DeviceIDs": ["0", "2"], "Capabilities": [["gpu"]]}]);
        assert_eq!(docker["HostConfig"]["DeviceRequests"], want);
        let podman = body(&launch, &Flavour { podman: true, ..flavour() });
        let want = json!([{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=0", "nvidia.com/gpu=2"]}]);
        assert_eq!(podman["HostConfig"]["DeviceRequests"], want);
    }

    #[test]
    fn an_update_says_only_what_differs() {
        let before = Limits::default();
        let after = Limits { memory_bytes: 8 << 30, ..before.clone() };
        let body = serde_json::to_value(update(&before, &after)).expect("json");
        assert_eq!(body, json!({"Memory": 8_i64 << 30, "MemorySwap": 8_i64 << 30}));
        let after = Limits { cpu_millis: 500, pids: 7, ..before.clone() };
        let body = serde_json::to_value(update(&before, &after)).expect("json");
        assert_eq!(body, json!({"NanoCpus": 500_000_000, "PidsLimit": 7}));
    }

    #[test]
    fn limits_below_what_the_engine_takes_are_raised() {
        let mut launch = launch();
        launch.limits.memory_bytes = 1;
        assert_eq!(body(&launch, &flavour())["HostConfig"]["MemorySwap"], 6 << 20);
    }
}
