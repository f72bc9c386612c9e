//! The real wrapper on a library of ours (tests/fixtures/nvml): what NVML may say or do, without a GPU.

use std::path::Path;
use std::process::Command;

use super::*;
use crate::model::{Gpu, JobId};

const GIB: u64 = 1 << 30;
/// Codes of nvmlReturn_t.
const NOT_SUPPORTED: i32 = 3;
const DRIVER_NOT_LOADED: i32 = 9;
const GPU_IS_LOST: i32 = 15;
const UNKNOWN: i32 = 999;

struct Fake {
    dir: tempfile::TempDir,
}

impl Fake {
    fn new(state: &str) -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nvml/fake_nvml.c");
        let fake = Self { dir };
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-o"]).args([&fake.library(), &source]).arg("-ldl");
        assert!(cc.status().expect("cc").success());
        fake.say(state);
        fake
    }

    fn library(&self) -> PathBuf {
        self.dir.path().join("libnvidia-ml.so.1")
    }

    fn say(&self, state: &str) {
        std::fs::write(self.dir.path().join("libnvidia-ml.so.1.state"), state).expect("write");
    }

    fn calls(&self, which: &str) -> usize {
        let calls = std::fs::read_to_string(self.dir.path().join("libnvidia-ml.so.1.calls")).unwrap_or_default();
        calls.lines().filter(|l| *l == which).count()
    }

    fn gpus(&self) -> Gpus {
        Gpus { power: PciPower::below(self.dir.path().join("pci")), ..Gpus::new(Some(self.library())) }
    }
}

const TWO: &str = "gpu 0 0 GPU-aaaa 00000000:01:00.0 10737418240 10200547328 3 45 29600 NVIDIA GeForce RTX 3080\n\
                   gpu 1 3 GPU-bbbb 00000000:02:00.0 150754820096 150000000000 0 30 75400 NVIDIA H200\n";

fn indices(seen: &[SeenGpu]) -> Vec<u32> {
    seen.iter().map(|s| s.gpu.index).collect()
}

fn job(gpus: &[u32], init: Option<i32>) -> GpuHolder {
    GpuHolder { job: JobId([1; 16]), gpus: gpus.to_vec(), init }
}

#[test]
fn what_the_driver_says_is_taken_over() {
    let fake = Fake::new(TWO);
    let mut gpus = fake.gpus();
    let seen = gpus.look(&[]);
    let first = Gpu {
        index: 0,
        name: "NVIDIA GeForce RTX 3080".into(),
        memory_bytes: 10 * GIB,
        memory_free_bytes: 10_200_547_328,
        busy_percent: 3,
        temperature_c: Some(45),
        power_watts: Some(30),
        taken: None,
    };
    assert_eq!(seen[0].gpu, first);
    assert_eq!((seen[1].device.minor, seen[1].device.uuid.as_str()), (3, "GPU-bbbb"));
    assert_eq!(gpus.pause(&[]), IN_USE, "somebody uses the first");
    assert_eq!(gpus.pause(&[job(&[1], None)]), WITH_JOBS);
    fake.say(&TWO.replace(" 3 45 ", " 0 45 "));
    gpus.look(&[]);
    assert_eq!(gpus.pause(&[]), IDLE);
}

#[test]
fn a_gpu_on_which_the_owner_computes_is_his() {
    let own = std::process::id();
    let fake = Fake::new(&format!("{TWO}proc 1 C {own} 1073741824\nproc 0 G {own} 104857600\n"));
    let mut gpus = fake.gpus();
    let seen = gpus.look(&[]);
    assert_eq!((seen[0].gpu.taken, seen[1].gpu.taken), (None, Some(GpuUse::Owner)));
    assert_eq!(seen[1].processes[0].memory_bytes, GIB);
    // The same process as the first one of a job.
    let seen = gpus.look(&[job(&[1], Some(own as i32))]);
    assert_eq!(seen[1].gpu.taken, None);
}

#[test]
fn without_a_library_or_with_a_broken_one_there_are_none() {
    let missing = Gpus::new(Some("/nonexistent/libnvidia-ml.so.1".into())).look(&[]);
    assert_eq!(missing, []);
    let text = tempfile::NamedTempFile::new().expect("file");
    std::fs::write(text.path(), "not a library").expect("write");
    assert_eq!(Gpus::new(Some(text.path().into())).look(&[]), []);
    let fake = Fake::new(&format!("{TWO}fail init * {DRIVER_NOT_LOADED}\n"));
    let mut gpus = fake.gpus();
    assert_eq!(gpus.look(&[]), []);
    assert_eq!(gpus.pause(&[]), MISSING);
    assert!(gpus.told.as_deref().is_some_and(|t| t.contains("driver")), "{:?}", gpus.told);
    // Somebody loads it.
    fake.say(TWO);
    assert_eq!(gpus.look(&[]).len(), 2);
    assert_eq!(gpus.told, None);
}

#[test]
fn calls_that_a_gpu_does_not_know_cost_only_what_they_tell() {
    let calls = [
        "MemoryInfo_v2",
        "UtilizationRates",
        "Temperature",
        "PowerUsage",
        "MinorNumber",
        "UUID",
        "PciInfo_v3",
        "ComputeRunningProcesses_v3",
        "GraphicsRunningProcesses_v3",
    ];
    let fails: String = calls.iter().map(|c| format!("fail nvmlDeviceGet{c} 1 {NOT_SUPPORTED}\n")).collect();
    let fake = Fake::new(&format!("{TWO}{fails}"));
    let seen = fake.gpus().look(&[]);
    assert_eq!(indices(&seen), [0, 1]);
    let poor = &seen[1];
    assert_eq!((poor.gpu.memory_bytes, poor.gpu.busy_percent, poor.gpu.temperature_c), (0, 0, None));
    assert_eq!((poor.device.minor, poor.device.uuid.as_str()), (1, ""));
}

#[test]
fn a_gpu_that_is_lost_takes_no_other_along_and_comes_back() {
    let lost = format!("{TWO}fail nvmlDeviceGetMemoryInfo_v2 0 {GPU_IS_LOST}\n");
    let fake = Fake::new(&lost);
    let mut gpus = fake.gpus();
    let seen = gpus.look(&[]);
    assert_eq!(indices(&seen), [1], "and keeps its index");
    assert!(gpus.told.as_deref().is_some_and(|t| t.contains("GPU 0")), "{:?}", gpus.told);
    // It is gone from the bus: the other one is now the first.
    fake.say(&TWO.lines().nth(1).expect("second").replace("gpu 1", "gpu 0"));
    assert_eq!(gpus.look(&[])[0].device.uuid, "GPU-bbbb");
    fake.say("");
    assert_eq!(gpus.look(&[]), []);
    fake.say(TWO);
    assert_eq!(indices(&gpus.look(&[])), [0, 1]);
    assert_eq!(fake.calls("init"), 1, "the library stayed open all the time");
}

#[test]
fn a_driver_that_went_away_is_opened_anew() {
    let fake = Fake::new(TWO);
    let mut gpus = fake.gpus();
    gpus.look(&[]);
    fake.say(&format!("{TWO}fail nvmlDeviceGetHandleByIndex_v2 * {DRIVER_NOT_LOADED}\n"));
    assert_eq!(gpus.look(&[]), []);
    fake.say(TWO);
    assert_eq!(gpus.look(&[]).len(), 2);
    assert_eq!(fake.calls("init"), 2);
    fake.say(&format!("{TWO}fail nvmlDeviceGetCount_v2 * {UNKNOWN}\n"));
    assert_eq!(gpus.look(&[]), []);
}

#[test]
fn a_gpu_that_sleeps_is_not_woken_and_a_laptops_is_let_sleep() {
    let fake = Fake::new(TWO.lines().next().expect("first"));
    let power = fake.dir.path().join("pci/0000:01:00.0/power");
    let say = |status: &str, control: &str| {
        std::fs::create_dir_all(&power).expect("mkdir");
        std::fs::write(power.join("runtime_status"), status).expect("write");
        std::fs::write(power.join("control"), control).expect("write");
    };
    say("active\n", "auto\n");
    let mut gpus = fake.gpus();
    assert_eq!(gpus.look(&[]).len(), 1);
    assert_eq!((fake.calls("init"), fake.calls("shutdown")), (1, 1), "an open library would keep it awake");
    say("suspended\n", "auto\n");
    for _ in 0..3 {
        let seen = gpus.look(&[]);
        assert_eq!((seen.len(), seen[0].gpu.busy_percent), (1, 0), "still offered");
    }
    assert_eq!((fake.calls("init"), fake.calls("device")), (1, 1), "nobody asked it anything");
    say("active\n", "auto\n");
    assert_eq!(gpus.look(&[])[0].gpu.busy_percent, 3);
}

#[test]
fn a_gpu_of_this_machine_is_found() {
    let seen = Gpus::new(None).look(&[]);
    if Path::new("/dev/nvidia0").exists() {
        assert!(!seen.is_empty());
    }
    for gpu in seen.iter().map(|s| &s.gpu) {
        assert!(!gpu.name.is_empty() && gpu.memory_free_bytes <= gpu.memory_bytes, "{gpu:?}");
    }
}
