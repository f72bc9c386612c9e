//! The one shape of a job's container. A request carries numbers, a command and variables; never an engine option.
//!
//! Pure: a [`Shape`] in, the body of `POST /containers/create` out. Uses nothing newer than API 1.41 (Docker 20.10,
//! Podman's imitation). A container that waits for a job it does not know yet is made by the same lines as one whose job
//! is known: in both, init waits for its order. What the engine made of the body is compared with it before any job
//! gets in (`compare`).

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bollard::models::{
    ContainerCreateBody, ContainerUpdateBody, DeviceRequest, HealthConfig, HostConfig, HostConfigCgroupnsModeEnum,
    HostConfigLogConfig, Mount, MountBindOptions, MountBindOptionsPropagationEnum, MountType, ResourcesUlimits,
    RestartPolicy, RestartPolicyNameEnum,
};

use super::init::{INIT, PLACE};
use crate::model::{Epoch, JobId, Limits};
use crate::sandbox::engine::{INSIDE_ENV, INSIDE_WORK, JobLaunch, job_name};

/// The whole of a job's `/etc/hosts`.
pub(super) const HOSTS: &str = "127.0.0.1 localhost homie\n::1 localhost\n";

/// Label: the machine that hosts the job (its peer id). Reconciling touches only its own.
pub(super) const LABEL_NODE: &str = "homie.node";
/// Label: the job.
pub(super) const LABEL_JOB: &str = "homie.job";
/// Label: the assignment.
pub(super) const LABEL_EPOCH: &str = "homie.epoch";
/// Label, instead of job and epoch: made ahead for whichever job comes; its own id.
pub(super) const LABEL_WARM: &str = "homie.warm";

/// The smallest memory limit Docker takes; below it no program starts anyway.
const MEMORY_FLOOR: u64 = 6 << 20;
/// Open files of one process: enough for compilers and servers of a test suite, too few to exhaust the host's table.
const OPEN_FILES: i64 = 1024;
/// Podman hands its own (sometimes impossible) default on unless told. The kernel counts this limit per user over all
/// containers, so it must be generous; the real bound is `pids_limit`.
const PODMAN_USER_PROCESSES: i64 = 4096;
/// What keeps NVIDIA's runtime from giving a container GPUs that were not asked for.
pub(super) const NO_GPUS: &str = "NVIDIA_VISIBLE_DEVICES=void";
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
    /// The value of the seccomp option: the profile itself, or a file that holds it (Podman).
    pub(super) seccomp: String,
}

/// Whom a container is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum For {
    /// This assignment.
    Job(JobId, Epoch),
    /// Whichever comes.
    Whoever(String),
}

/// Everything that tells one container from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    /// Whose it is: the peer id of this machine.
    pub(super) node: String,
    /// Whom it is for.
    pub(super) whom: For,
    /// Holds `work/` and `ctl/`.
    pub(super) dir: PathBuf,
    /// By digest.
    pub(super) image: String,
    /// The user inside.
    pub(super) uid: u32,
    /// The group inside.
    pub(super) gid: u32,
    /// What it may use.
    pub(super) limits: Limits,
    /// Indices of its GPUs.
    pub(super) gpus: Vec<u32>,
    /// The directory of its environment, if it is one.
    pub(super) tree: Option<PathBuf>,
    /// How long init waits for its order, in seconds.
    pub(super) patience_s: u32,
}

/// How long init of a container that was made for a known job waits: the order follows at once, from a machine that may
/// be very busy.
const ORDER_FOLLOWS_S: u32 = 300;

impl Shape {
    /// The container of `launch`, made from `image`.
    pub(super) fn of(launch: &JobLaunch, image: &str) -> Self {
        Self {
            node: launch.node.clone(),
            whom: For::Job(launch.job, launch.epoch),
            dir: launch.job_dir.clone(),
            image: image.to_owned(),
            uid: launch.uid,
            gid: launch.gid,
            limits: launch.limits.clone(),
            gpus: launch.gpus.iter().map(|gpu| gpu.index).collect(),
            tree: launch.tree.clone(),
            patience_s: ORDER_FOLLOWS_S,
        }
    }

    fn labels(&self) -> HashMap<String, String> {
        let mut labels = vec![(LABEL_NODE, self.node.clone())];
        match &self.whom {
            For::Job(job, epoch) => {
                labels.extend([(LABEL_JOB, job.to_string()), (LABEL_EPOCH, epoch.to_string())]);
            }
            For::Whoever(id) => labels.push((LABEL_WARM, id.clone())),
        }
        labels.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
    }
}

/// `homie-JOB-EPOCH`. The engine keeps names unique, which makes creation idempotent.
pub(super) fn container_name(job: JobId, epoch: Epoch) -> String {
    format!("homie-{}", job_name(job, epoch))
}

/// The directory of a container's own files, beside the job's: `/run/homie` inside, read-only.
pub(super) fn control_dir(dir: &Path) -> PathBuf {
    dir.join("ctl")
}

/// The job's `/etc/hosts`.
pub(super) fn hosts_file(dir: &Path) -> PathBuf {
    control_dir(dir).join("hosts")
}

/// The job's directory.
pub(super) fn work_dir(dir: &Path) -> PathBuf {
    dir.join("work")
}

/// The container of `shape`.
pub(super) fn container(shape: &Shape, flavour: &Flavour) -> ContainerCreateBody {
    let user = if flavour.rootless { "0:0".to_owned() } else { format!("{}:{}", shape.uid, shape.gid) };
    ContainerCreateBody {
        image: Some(shape.image.clone()),
        // With an entrypoint given, an image's own ENTRYPOINT and CMD play no part.
        entrypoint: Some(vec![format!("{PLACE}/{INIT}"), shape.patience_s.to_string()]),
        // A runtime of NVIDIA's as the engine's default would hand over all GPUs because an image says so.
        env: shape.gpus.is_empty().then(|| vec![NO_GPUS.to_owned()]),
        working_dir: Some(INSIDE_WORK.to_owned()),
        user: Some(user),
        hostname: Some("homie".to_owned()),
        // Nobody attaches: the job's output goes through pipes that the supervisor made.
        attach_stdin: Some(false),
        attach_stdout: Some(false),
        attach_stderr: Some(false),
        tty: Some(false),
        open_stdin: Some(false),
        // Docker then leaves the container the empty network namespace that the runtime makes (only `lo`) and skips
        // its own network setup: half of the start time, and the host's resolver addresses stay out of /etc.
        network_disabled: Some(true),
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }),
        labels: Some(shape.labels()),
        host_config: Some(host_config(shape, flavour)),
        ..ContainerCreateBody::default()
    }
}

fn host_config(shape: &Shape, flavour: &Flavour) -> HostConfig {
    let limits = &shape.limits;
    let memory = memory(limits);
    HostConfig {
        network_mode: Some("none".to_owned()),
        cap_drop: Some(vec!["ALL".to_owned()]),
        privileged: Some(false),
        security_opt: Some(vec!["no-new-privileges".to_owned(), format!("seccomp={}", flavour.seccomp)]),
        readonly_rootfs: Some(true),
        mounts: Some(mounts(shape)),
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
        nano_cpus: Some(nano_cpus(limits)),
        pids_limit: Some(i64::from(limits.pids)),
        ulimits: Some(ulimits(limits, flavour)),
        oom_score_adj: Some(OOM_SCORE),
        // Process 1 is our own init.
        init: Some(false),
        // Nothing of the job passes the engine; init itself is silent.
        log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
        restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None }),
        auto_remove: Some(false),
        device_requests: (!shape.gpus.is_empty()).then(|| vec![gpu_request(&shape.gpus, flavour)]),
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

fn mounts(shape: &Shape) -> Vec<Mount> {
    let mut all = vec![
        bind(&work_dir(&shape.dir), INSIDE_WORK, false),
        // Without its own network setup Docker leaves /etc/hosts empty, and nobody would be `localhost`.
        bind(&hosts_file(&shape.dir), "/etc/hosts", true),
        bind(&control_dir(&shape.dir), PLACE, true),
    ];
    all.extend(shape.tree.as_ref().map(|tree| bind(tree, INSIDE_ENV, true)));
    all
}

/// The memory limit as the engine takes it.
pub(super) fn memory(limits: &Limits) -> i64 {
    signed(limits.memory_bytes.max(MEMORY_FLOOR))
}

/// Processor time as the engine takes it.
pub(super) fn nano_cpus(limits: &Limits) -> i64 {
    i64::from(limits.cpu_millis) * 1_000_000
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

fn ulimits(limits: &Limits, flavour: &Flavour) -> Vec<ResourcesUlimits> {
    let limit =
        |name: &str, value| ResourcesUlimits { name: Some(name.to_owned()), soft: Some(value), hard: Some(value) };
    let mut all = vec![
        limit("nofile", OPEN_FILES),
        // A core dump of a 4 GiB process would be collected as a result.
        limit("core", 0),
        limit("fsize", signed(limits.disk_bytes)),
    ];
    if flavour.podman {
        all.push(limit("nproc", PODMAN_USER_PROCESSES));
    }
    all
}

/// GPUs by index. Podman's imitation ignores device requests but for CDI names.
fn gpu_request(gpus: &[u32], flavour: &Flavour) -> DeviceRequest {
    let indices = gpus.iter();
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
    use crate::model::{EngineKind, GpuDevice};
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
        Flavour { podman: false, rootless: false, seccomp: "PROFILE".to_owned() }
    }

    fn body(launch: &JobLaunch, flavour: &Flavour) -> Value {
        serde_json::to_value(container(&Shape::of(launch, "sha256:1234"), flavour)).expect("serializable")
    }

    #[test]
    fn the_whole_body_is_exactly_this() {
        let id = "ab".repeat(16);
        let want = json!({
            "Image": "sha256:1234",
            "Entrypoint": ["/run/homie/init", "300"],
            "Env": ["NVIDIA_VISIBLE_DEVICES=void"],
            "WorkingDir": "/work",
            "User": "65534:65533",
            "Hostname": "homie",
            "AttachStdin": false, "AttachStdout": false, "AttachStderr": false, "Tty": false, "OpenStdin": false,
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
                    "Type": "bind", "Source": "/state/jobs/ab-3/ctl/hosts", "Target": "/etc/hosts", "ReadOnly": true,
                    "BindOptions": {"Propagation": "rprivate"},
                }, {
                    "Type": "bind", "Source": "/state/jobs/ab-3/ctl", "Target": "/run/homie", "ReadOnly": true,
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
                "Init": false,
                "LogConfig": {"Type": "none"},
                "RestartPolicy": {"Name": "no"},
                "AutoRemove": false,
            },
        });
        assert_eq!(body(&launch(), &flavour()), want);
        assert_eq!(container_name(launch().job, launch().epoch), format!("homie-{id}-3"));
    }

    #[test]
    fn a_container_made_ahead_differs_in_its_label_and_its_patience_only() {
        let known = Shape::of(&launch(), "sha256:1234");
        let ahead = Shape { whom: For::Whoever("w1".to_owned()), patience_s: 900, ..known.clone() };
        let [mut known, mut ahead] =
            [known, ahead].map(|s| serde_json::to_value(container(&s, &flavour())).expect("json"));
        assert_eq!(ahead["Labels"], json!({"homie.node": "NODE-ID", "homie.warm": "w1"}));
        assert_eq!(ahead["Entrypoint"], json!(["/run/homie/init", "900"]));
        for body in [&mut known, &mut ahead] {
            body["Labels"].take();
            body["Entrypoint"].take();
        }
        assert_eq!(known, ahead);
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
        let mount = &made["HostConfig"]["Mounts"][3];
        assert_eq!((&mount["Source"], &mount["Target"]), (&json!("/state/envs/built/x/tree"), &json!("/env")));
        assert_eq!(mount["ReadOnly"], true);
        assert_eq!(launch.environment().get("VIRTUAL_ENV").map(String::as_str), Some("/env"));
        assert!(launch.environment()["PATH"].starts_with("/env/bin:"));
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
