//! What the engine under test holds for a real homied, seen from outside.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::Docker;
use bollard::models::{ContainerInspectResponse, HostConfig};
use bollard::query_parameters::{
    ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, RenameContainerOptionsBuilder,
};
use tokio::runtime::Runtime;

use crate::engine::{Shared, client, is_podman, shared};
use crate::process::{PATIENCE, Running, wait_until};
use crate::world::{Host, World};

/// The engine, for tests that drive processes and not futures.
pub(crate) struct Engine {
    runtime: Runtime,
    shared: Shared,
    pub(crate) podman: bool,
    /// The machines of the test.
    nodes: RefCell<BTreeSet<String>>,
}

impl Drop for Engine {
    /// A world ends by killing, so what waited for jobs there is nobody's any more.
    fn drop(&mut self) {
        for id in self.nodes.take().iter().flat_map(|node| self.containers(node).into_values()) {
            let force = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
            // One that is on its way out is fine.
            let _ = self.ask(async |api| api.remove_container(&id, Some(force)).await);
        }
    }
}

impl Engine {
    /// The one of these tests; `None` (said aloud) where there is none.
    pub(crate) fn of_these_tests() -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let shared = runtime.block_on(shared())?;
        let podman = runtime.block_on(is_podman(&shared));
        Some(Self { runtime, shared, podman, nodes: RefCell::default() })
    }

    /// The lines of a config that make homied use it.
    pub(crate) fn config(&self) -> String {
        format!("engine: docker\ndocker_host: unix://{}\n", self.shared.socket.display())
    }

    /// A machine `bob` that hosts jobs in it, with `more` in its config, and a friend `alice`.
    pub(crate) fn world(&self, more: &str) -> World {
        let mut world = World::new(&["alice", "bob"]);
        let alice = world.host("alice").address();
        let peers = match crate::world::is_root() {
            true => String::new(),
            false => format!("broadcast: false\ndirect:\n  - {alice}\n"),
        };
        world.host("bob").configure(&format!("{peers}{}{more}", self.config()));
        world.start_all();
        world.wait_ready();
        world
    }

    fn ask<T>(&self, question: impl AsyncFnOnce(Docker) -> T) -> T {
        self.runtime.block_on(async { question(client(&self.shared).await).await })
    }

    /// All containers of a machine: id by name.
    pub(crate) fn containers(&self, node: &str) -> BTreeMap<String, String> {
        self.nodes.borrow_mut().insert(node.to_owned());
        let filters = HashMap::from([("label".to_owned(), vec![format!("homie.node={node}")])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        // Podman answers with an error while one of them is on its way out.
        let mut all = None;
        wait_until("the engine lists its containers", PATIENCE, || {
            all = self.ask(async |api| api.list_containers(Some(options.clone())).await.ok());
            all.is_some()
        });
        let named = all.into_iter().flatten().filter_map(|c| {
            let name = c.names?.into_iter().next()?.trim_start_matches('/').to_owned();
            Some((name, c.id?))
        });
        named.collect()
    }

    /// Those that wait for a job: their ids.
    pub(crate) fn waiting(&self, node: &str) -> Vec<String> {
        self.containers(node).into_iter().filter(|(name, _)| is_waiting(name)).map(|(_, id)| id).collect()
    }

    /// Waits until `many` wait for a job, and run; their ids.
    #[track_caller]
    pub(crate) fn wait_waiting(&self, node: &str, many: usize) -> Vec<String> {
        let mut waiting = vec![];
        let runs = |id: &String| self.inspect(id).and_then(|c| c.state).and_then(|s| s.running).unwrap_or_default();
        wait_until(&format!("{many} containers wait"), PATIENCE, || {
            waiting = self.waiting(node);
            waiting.len() == many && waiting.iter().all(runs)
        });
        waiting
    }

    /// The container of a job's first assignment: its id.
    #[track_caller]
    pub(crate) fn container_of(&self, node: &str, job: &str) -> String {
        // One that was started ahead gets the name while its job runs.
        let mut id = None;
        wait_until(&format!("there is a container of {job}"), PATIENCE, || {
            id = self.containers(node).remove(&format!("homie-{job}-1"));
            id.is_some()
        });
        id.unwrap_or_default()
    }

    /// A job of alice's at bob, in a container that waited for it: itself, its id and that of the container. It has said "here".
    #[track_caller]
    pub(crate) fn in_one_that_waited(&self, world: &World, flags: &[&str], script: &str) -> (Running, String, String) {
        let (alice, node) = (world.host("alice"), node(world.host("bob")));
        alice.run_text(&["--peer", "bob"], "true").code(0);
        let waited = self.wait_waiting(&node, 1);
        let run = alice.start_text(&[&["--peer", "bob"], flags].concat(), script);
        run.wait_for("[bob] here");
        let job = alice.newest_job(&[])["id"].as_str().expect("an id").to_owned();
        let container = self.container_of(&node, &job);
        assert_eq!(container, waited[0]);
        (run, job, container)
    }

    /// Gives a container another name.
    #[track_caller]
    pub(crate) fn rename(&self, id: &str, name: &str) {
        let options = RenameContainerOptionsBuilder::default().name(name).build();
        self.ask(async |api| api.rename_container(id, options).await).expect("renamed");
    }

    /// A container, if it is there.
    pub(crate) fn inspect(&self, id: &str) -> Option<ContainerInspectResponse> {
        self.ask(async |api| api.inspect_container(id, None).await.ok())
    }

    /// How a container is held.
    #[track_caller]
    pub(crate) fn host_config(&self, id: &str) -> HostConfig {
        self.inspect(id).and_then(|c| c.host_config).unwrap_or_else(|| panic!("container {id} is gone"))
    }
}

/// Whether a container of this name is no job's.
pub(crate) fn is_waiting(name: &str) -> bool {
    name.starts_with("homie-warm-")
}

/// The full id of a machine, which its containers carry.
#[track_caller]
pub(crate) fn node(host: &Host) -> String {
    let status = host.homie(&["--json", "status"]).code(0).json();
    status["status"]["id"].as_str().unwrap_or_else(|| panic!("{status}")).to_owned()
}

/// Sends `script` from `from` to bob, with these flags; the job's full id.
#[track_caller]
pub(crate) fn send(from: &Host, flags: &[&str], script: &str) -> String {
    let flags = [&["--peer", "bob", "--detach"][..], flags].concat();
    from.run_text(&flags, script).code(0);
    from.newest_job(&[])["id"].as_str().expect("an id").to_owned()
}

/// Waits until a job that a machine hosts or sent is in `state`.
#[track_caller]
pub(crate) fn wait_state(host: &Host, job: &str, state: &str) {
    let mut seen = serde_json::Value::Null;
    wait_until(&format!("{job} is {state}"), PATIENCE, || {
        let all = host.homie(&["--json", "jobs", "--all"]).json();
        seen = all["jobs"].as_array().into_iter().flatten().find(|j| j["id"] == job).cloned().unwrap_or_default();
        seen["state"] == state
    });
}
