//! A real GPU: NVML finds it, and a job in the native jail can open it and nothing but it. Left out, and said so, where
//! there is none.

// Test code: a failed expectation is the report.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ten times what a driver that has to start up needs.
const LONG: Duration = Duration::from_secs(120);

/// Opens its GPU as CUDA does; counts what it can open of `/dev/nvidiaN`; asks libcuda where there is one.
const PROBE: &str = r#"
import ctypes, glob, os, re
nodes = [n for n in glob.glob("/dev/nvidia*") if re.fullmatch(r"/dev/nvidia\d+", n)]
print("nodes", len(nodes))
for node in nodes + ["/dev/nvidiactl"]:
    os.close(os.open(node, os.O_RDWR))
print("opened", os.environ["CUDA_VISIBLE_DEVICES"])
try:
    cuda = ctypes.CDLL("libcuda.so.1")
except OSError as e:
    print("no libcuda:", e)
else:
    count = ctypes.c_int()
    print("cuInit", cuda.cuInit(0))
    print("cuDeviceGetCount", cuda.cuDeviceGetCount(ctypes.byref(count)), count.value)
"#;

struct Homied {
    child: Child,
    home: tempfile::TempDir,
}

impl Homied {
    fn start() -> Self {
        let home = tempfile::Builder::new().prefix("hgpu").tempdir().expect("tempdir");
        let config = "name: gpu\nengine: native\nbroadcast: false\ndiscovery_port: 46555\nworker_port: 46556\n";
        std::fs::write(home.path().join("config.yaml"), config).expect("write");
        let child = Command::new(env!("CARGO_BIN_EXE_homied"))
            .env("HOMIE_HOME", home.path())
            .stderr(Stdio::null())
            .spawn()
            .expect("homied");
        Self { child, home }
    }

    fn homie(&self, args: &[&str]) -> (Option<i32>, String) {
        let mut homie = Command::new(env!("CARGO_BIN_EXE_homie-ctl"));
        let out = homie.args(args).env("HOMIE_HOME", self.home.path()).current_dir(self.home.path()).output();
        let out = out.expect("homie");
        (out.status.code(), String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr))
    }
}

impl Drop for Homied {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_job_gets_a_real_gpu_and_only_that() {
    if !Path::new("/dev/nvidia0").exists() {
        return eprintln!(
            "LEFT OUT: there is no NVIDIA GPU here, so none was tested (tests/it/gpu.rs ran with a fake library)"
        );
    }
    if let Ok(smi) = Command::new("nvidia-smi").arg("-L").output() {
        eprintln!("{}", String::from_utf8_lossy(&smi.stdout));
    }
    let homied = Homied::start();
    let began = Instant::now();
    loop {
        let (_, status) = homied.homie(&["--json", "status"]);
        if status.contains("\"index\"") && status.contains("\"kind\":\"native\"") {
            eprintln!("{status}");
            break;
        }
        assert!(began.elapsed() < LONG, "homied does not see the GPU: {status}");
        std::thread::yield_now();
    }
    let (code, said) = homied.homie(&["run", "--local", "--gpu", "-c", PROBE]);
    assert_eq!(code, Some(0), "{said}");
    for want in ["nodes 1", "opened GPU-"] {
        assert!(said.contains(want), "{want} is missing: {said}");
    }
    if said.contains("cuInit") {
        assert!(said.contains("cuInit 0") && said.contains("cuDeviceGetCount 0 1"), "{said}");
    }
    let (code, none) = homied.homie(&["run", "--local", "-c", "import glob; print(glob.glob('/dev/nvidia*'))"]);
    assert!(code == Some(0) && none.contains("[]"), "a job that asked for none: {none}");
    let (_, history) = homied.homie(&["--json", "history"]);
    eprintln!("{history}");
}
