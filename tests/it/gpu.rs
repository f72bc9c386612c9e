//! GPUs, with a library that stands in for NVIDIA's and device nodes that lead nowhere: who is chosen, what a job sees,
//! and that nobody gets what somebody uses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{PATIENCE, wait_until};
use super::world::{Host, World};

/// Device numbers that no machine has GPUs for.
const MINORS: [u32; 2] = [77, 78];
const GPUS: &str = "gpu 0 77 GPU-aaaa 0000:01:00.0 10737418240 10200547328 0 45 29600 NVIDIA Fake One\n\
                    gpu 1 78 GPU-bbbb 0000:02:00.0 25769803776 25000000000 0 30 75400 NVIDIA Fake Two\n";

/// The library of one machine.
struct FakeNvml(PathBuf);

impl FakeNvml {
    fn of(host: &Host) -> Self {
        let library = host.nvml();
        fs::create_dir_all(library.parent().expect("a directory")).expect("own directory");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nvml/fake_nvml.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-o"]).args([&library, &source]).arg("-ldl");
        assert!(cc.status().expect("cc").success());
        let fake = Self(library);
        fake.say(GPUS);
        fake
    }

    fn say(&self, state: &str) {
        let (file, beside) = (self.0.with_extension("1.state"), self.0.with_extension("new"));
        fs::write(&beside, state).and_then(|()| fs::rename(&beside, file)).expect("own directory");
    }
}

/// `/dev/nvidia77` and `/dev/nvidia78`, which are `/dev/null`.
struct Nodes;

impl Nodes {
    fn path(minor: u32) -> String {
        format!("/dev/nvidia{minor}")
    }

    fn make() -> Option<Self> {
        let made = |minor: &u32| {
            let mut mknod = Command::new("mknod");
            mknod.args(["-m", "666", &Self::path(*minor), "c", "1", "3"]);
            Path::new(&Self::path(*minor)).exists() || mknod.status().is_ok_and(|s| s.success())
        };
        let nodes = Self;
        MINORS.iter().all(made).then_some(nodes)
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for minor in MINORS {
            let _ = fs::remove_file(Self::path(minor));
        }
    }
}

#[test]
fn gpus_are_found_given_to_one_job_each_and_left_to_their_owner() {
    crate::need_root!();
    let Some(_nodes) = Nodes::make() else { return super::world::skip("device nodes cannot be made here") };
    let mut world = World::new(&["alice", "bob"]);
    let nvml = FakeNvml::of(world.host("bob"));
    world.host("bob").configure("job_slots: 4\n");
    world.start_all();
    world.wait_ready();
    let alice = world.host("alice");
    wait_until("alice knows of bob's GPUs", PATIENCE, || {
        let peers = alice.homie(&["--json", "peers"]).json();
        peers["peers"][0]["gpus"].as_array().is_some_and(|gpus| gpus.len() == 2 && gpus[1]["name"] == "NVIDIA Fake Two")
    });
    let seen = world.host("bob").homie(&["--json", "status"]).json()["status"]["gpus"][0].clone();
    assert_eq!((&seen["temperature_c"], &seen["power_watts"]), (&45.into(), &30.into()), "{seen}");
    alice.write("job.sh", "#!/bin/sh\necho never\n");
    alice
        .homie(&["run", "--explain", "--gpu-mem", "20g", "job.sh"])
        .code(0)
        .says("has 0 of 1 GPU with 20.0 GB")
        .says("of idle GPU memory");
    alice.run_text(&["--gpu-mem", "30g"], "echo never").code(69).says("has 0 of 1 GPU with 30.0 GB");

    // What a job sees: its own GPU and no other.
    let look = "ls /dev/nvidia7*; echo cuda=$CUDA_VISIBLE_DEVICES; [ -c /dev/nvidia78 ] && echo there";
    let inside = alice.run_text(&["--gpu-model", "fake two"], look).code(0).out();
    assert!(inside.contains("cuda=GPU-bbbb") && inside.contains("[bob] there"), "{inside}");
    assert!(!inside.contains("nvidia77"), "{inside}");
    alice
        .run_text(&["--remote"], "ls /dev/nvidia7* || echo none; echo $NVIDIA_VISIBLE_DEVICES")
        .code(0)
        .says("[bob] none")
        .says("void");

    // Taken by a job, also for a homied that was killed meanwhile.
    let held = alice.start_text(&["--gpu-model", "fake one"], "echo up; sleep 600");
    held.wait_for("[bob] up");
    let bob = world.host_mut("bob");
    bob.crash();
    bob.start();
    let alice = world.host("alice");
    wait_until("the adopted job still has its GPU", PATIENCE, || {
        let rows = alice.homie(&["run", "--explain", "--remote", "--gpu-model", "fake one", "job.sh"]).out();
        rows.contains("GPU 0 is taken by a job")
    });
    let top = world.host("bob").homie(&["--json", "top"]).json();
    assert_eq!(top["jobs"][0]["gpus"], serde_json::json!([0]), "{top}");

    // Used by a program of the owner: the borrower is told, waits, and gets it afterwards.
    nvml.say(&format!("{GPUS}proc 1 C {} 1073741824\n", std::process::id()));
    let waiting = alice.start_text(&["--gpu-model", "fake two"], "echo ran");
    wait_until("the borrower is told", PATIENCE, || waiting.so_far().contains("GPU 1 is in use by its owner"));
    nvml.say(GPUS);
    waiting.finish().code(0).says("[bob] ran");
}
