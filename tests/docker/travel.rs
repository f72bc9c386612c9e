//! An environment that is an image goes from a friend's engine to another's: homieds in network namespaces, each with a
//! Docker of its own, and a transfer that is broken off on both sides before it comes to its end.

use bollard::query_parameters::{CreateImageOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder};
use futures_util::StreamExt;

use crate::engine::{OwnDocker, Shared, absent, client, shared};
use crate::process::{PATIENCE, wait_until};
use crate::world::{World, is_root};

/// Enough that it takes seconds at the speed below, and is several dozens of chunks.
const BYTES: usize = 48 << 20;
/// Megabits in a second between the two.
const SPEED: u32 = 160;
/// What a broken transfer has to have brought before it is broken off: more than waits in memory.
const SOME: u64 = 8 << 20;
/// What goes over a link beside the content: headers, lists, heartbeats.
const BESIDE: u64 = 4 << 20;

/// An image in the shared engine that no registry has; goes away with the value.
struct TestImage<'a>(&'a Shared, String, &'a tokio::runtime::Runtime);

impl<'a> TestImage<'a> {
    fn new(docker: &'a Shared, runtime: &'a tokio::runtime::Runtime) -> Self {
        let mut tar = tar::Builder::new(Vec::new());
        let mut add = |name: &str, bytes: &[u8]| {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, bytes).expect("packed");
        };
        add("proof", b"made at alice's\n");
        // No two chunks are alike and nothing packs them: xorshift64.
        let mut state = u64::from(std::process::id()) + 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        let big: Vec<u8> = std::iter::repeat_with(&mut next).take(BYTES / 8).flatten().collect();
        add("big", &big);
        let rootfs = tar.into_inner().expect("packed");
        let name = format!("homie-test-travel:{}", std::process::id());
        let (repo, tag) = name.split_once(':').expect("a tag");
        let options = CreateImageOptionsBuilder::default().from_src("-").repo(repo).tag(tag).build();
        runtime.block_on(async {
            let engine = client(docker).await;
            let body = bollard::body_full(rootfs.into());
            let mut steps = engine.create_image(Some(options), Some(body), None);
            let mut id = None;
            while let Some(step) = steps.next().await {
                id = step.expect("imported").status.or(id);
            }
            // Podman ignores the tag of an import.
            if engine.inspect_image(&name).await.is_err() {
                let options = TagImageOptionsBuilder::default().repo(repo).tag(tag).build();
                engine.tag_image(id.expect("an id").trim(), Some(options)).await.expect("named");
            }
        });
        Self(docker, name, runtime)
    }
}

impl Drop for TestImage<'_> {
    fn drop(&mut self) {
        self.2.block_on(async {
            let options = RemoveImageOptionsBuilder::default().build();
            let _ = client(self.0).await.remove_image(&self.1, Some(options), None).await;
        });
    }
}

#[test]
fn an_image_travels_between_engines_and_a_broken_transfer_goes_on_where_it_was() {
    if !is_root() {
        return absent("network namespaces need root");
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let Some(docker) = runtime.block_on(shared()) else { return };
    let bobs = OwnDocker::start("taker").expect("a dockerd");
    let image = TestImage::new(&docker, &runtime);

    let mut world = World::new(&["alice", "bob"]);
    for (name, socket) in [("alice", &docker.socket), ("bob", &bobs.socket)] {
        world
            .host(name)
            .configure(&format!("engine: docker\nwarm_containers: 0\ndocker_host: unix://{}\n", socket.display()));
    }
    world.start_all();
    world.wait_acquainted();
    let alice = world.host("alice");
    alice.homie(&["env", "create", "tiny", "--from", &image.1]).code(0);
    alice.homie(&["env", "build", "tiny", "--engine", "docker"]).code(0);
    alice.homie(&["env", "export", "tiny", "-o", "tiny.env.yaml"]).code(0);
    world.host("bob").write("tiny.env.yaml", alice.read("tiny.env.yaml"));
    world.host("bob").homie(&["env", "import", "tiny.env.yaml"]).code(0);
    alice.throttle(SPEED);

    let known = |world: &World| {
        wait_until("bob knows that alice has it", PATIENCE, || {
            let rows = world.host("bob").homie(&["--json", "env", "list"]).json()["envs"].clone();
            rows.as_array().is_some_and(|rows| rows.iter().any(|r| r["env"] == "tiny" && r["machine"] == "alice"))
        });
    };
    let build = ["env", "build", "tiny", "--engine", "docker"];
    for broken in ["bob", "alice"] {
        known(&world);
        let before = world.host("bob").stored();
        let building = world.host("bob").homie_start(&build);
        wait_until("some of it came", PATIENCE, || world.host("bob").stored() >= before + SOME);
        world.host_mut(broken).crash();
        let ended = building.finish();
        assert_ne!(ended.code, Some(0), "it was whole before {broken} was killed: {}", ended.err());
        if broken == "alice" {
            // Why it could not be had is told: it was not fetched, and cannot be built here.
            assert!(ended.err().contains("could not be fetched"), "{}", ended.err());
        }
        world.host_mut(broken).start();
    }
    known(&world);
    let bob = world.host("bob");
    let (had, received) = (bob.stored(), bob.received());
    assert!(had >= 2 * SOME, "what came before was not kept: {had}");
    bob.homie_start(&build).finish_within(PATIENCE * 4).code(0).says("fetching");
    let (came, lacking) = (bob.received() - received, BYTES as u64 - had.min(BYTES as u64));
    assert!(came <= lacking + lacking / 10 + BESIDE, "{came} bytes came although only {lacking} were lacking");

    // It is the same image, in bob's engine, under the name that homied gives it.
    let rows = bob.homie(&["--json", "env", "list"]).json()["envs"].clone();
    let own = |row: &&serde_json::Value| row["own"] == true && row["env"] == "tiny" && row["state"] == "ready";
    let row = rows.as_array().and_then(|rows| rows.iter().find(own).cloned()).unwrap_or_else(|| panic!("{rows}"));
    let name = format!("homie-env:{}", &row["digest"].as_str().expect("a digest")[..16]);
    let taker = Shared { socket: bobs.socket.clone(), ..docker.clone() };
    runtime.block_on(async {
        let layers = async |at: &Shared, name: &str| {
            let found = client(at).await.inspect_image(name).await.expect("the image");
            found.root_fs.and_then(|fs| fs.layers).expect("layers")
        };
        assert_eq!(layers(&taker, &name).await, layers(&docker, &image.1).await);
    });
    // Nothing of the packing stays at alice's, and removing it at bob's takes it out of his engine.
    let packed = || std::fs::read_dir(world.host("alice").state.join("envs/tmp")).expect("listed").count();
    wait_until("what alice packed is gone", PATIENCE, || packed() == 0);
    bob.homie(&["env", "rm", "tiny"]).code(0);
    let gone = runtime.block_on(async { client(&taker).await.inspect_image(&name).await.is_err() });
    assert!(gone, "bob's engine keeps it");
    world.host("alice").homie(&["env", "rm", "tiny"]).code(0);
}

#[test]
fn a_directory_that_the_native_engine_made_serves_docker() {
    if !is_root() {
        return absent("network namespaces need root");
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let Some(docker) = runtime.block_on(shared()) else { return };
    let mut world = World::new(&["alice", "bob"]);
    for (name, engine) in [("alice", "native"), ("bob", "docker")] {
        let socket = docker.socket.display();
        world.host(name).configure(&format!("engine: {engine}\nwarm_containers: 0\ndocker_host: unix://{socket}\n"));
    }
    world.start_all();
    world.wait_acquainted();
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    // The Python that `base` has, too: both are of this machine's distribution. Without packages no index is asked.
    alice.homie(&["env", "create", "py", "--python", "3"]).code(0);
    wait_until("alice builds", PATIENCE, || alice.homie(&["env", "build", "py", "--engine", "native"]).code == Some(0));
    alice.homie(&["env", "export", "py", "-o", "py.yaml"]).code(0);
    bob.write("py.yaml", alice.read("py.yaml"));
    bob.homie(&["env", "import", "py.yaml"]).code(0);
    wait_until("bob knows that alice has it", PATIENCE, || {
        let rows = bob.homie(&["--json", "env", "list"]).json()["envs"].clone();
        rows.as_array().is_some_and(|rows| rows.iter().any(|r| r["env"] == "py" && r["machine"] == "alice"))
    });
    let before = bob.stored();
    bob.homie_start(&["env", "build", "py", "--engine", "docker"]).finish_within(PATIENCE).code(0);
    assert!(bob.stored() > before, "nothing came, so it was built");
    let program = "import sys; print('runs in', sys.prefix)";
    wait_until("a job runs in it", PATIENCE, || {
        let run = bob.homie(&["run", "--local", "--env", "py", "-c", program]);
        run.code == Some(0) && run.out().contains("runs in /env")
    });
    for host in [alice, bob] {
        host.homie(&["env", "rm", "py"]).code(0);
    }
}
