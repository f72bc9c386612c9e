//! Where the two machines of the demo stand: in two network namespaces joined by a cable (veth), or on two pairs of
//! ports of this machine.

use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::ctl::homied::{finish, until};

/// The names of the machines: the one that sends and the one that works.
pub(super) const NAMES: [&str; 2] = ["alice", "bob"];
/// `ip` answers at once; a kernel that takes longer is stuck.
const PATIENCE: Duration = Duration::from_secs(20);
/// A network for the cable: from the block for benchmarks of network devices (RFC 2544), which no LAN uses.
const CABLE: [u8; 3] = [198, 18, 77];

/// What one machine needs to know of its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Its network namespace.
    pub(super) space: Option<String>,
    /// Its address.
    pub(super) address: Ipv4Addr,
    /// UDP port.
    pub(super) discovery_port: u16,
    /// TCP port.
    pub(super) worker_port: u16,
    /// The other's address, where broadcasts do not reach.
    pub(super) direct: Option<String>,
}

/// The network of the demo.
#[derive(Debug)]
pub(super) struct Network {
    /// alice's place and bob's.
    pub(super) places: [Place; 2],
    /// For people.
    pub(super) about: &'static str,
}

impl Network {
    /// Two namespaces and a cable.
    ///
    /// # Errors
    /// This user may not make them, or there is no `ip`. What was made is removed again.
    pub(super) async fn namespaces() -> Result<Self, String> {
        if !nix::unistd::geteuid().is_root() {
            return Err("only root may make network namespaces".into());
        }
        let spaces = NAMES.map(|name| format!("homie-demo-{}-{name}", std::process::id()));
        let places = [0, 1].map(|i| Place {
            space: Some(spaces[i].clone()),
            address: Ipv4Addr::new(CABLE[0], CABLE[1], CABLE[2], i as u8 + 1),
            discovery_port: 5555,
            worker_port: 5556,
            direct: None,
        });
        let network = Self { places, about: "two network namespaces joined by a cable" };
        for step in cable(&spaces, &network.places) {
            let words: Vec<&str> = step.iter().map(String::as_str).collect();
            if let Err(why) = ip(&words).await {
                network.remove().await;
                return Err(why);
            }
        }
        network.cable_is_live().await;
        // Entering a namespace takes nsenter; `ip netns exec` would hide the control groups.
        if let Err(why) = run(Command::new("nsenter").arg("--version")).await {
            network.remove().await;
            return Err(why);
        }
        Ok(network)
    }

    /// The kernel takes up to a second to call a new link up. A homied that starts before that finds no network, as
    /// on a laptop that wakes; the demo is not about that, so it waits. A link that stays down shows later.
    async fn cable_is_live(&self) {
        let spaces: Vec<&str> = self.places.iter().filter_map(|p| p.space.as_deref()).collect();
        until(PATIENCE, || async {
            for space in &spaces {
                let shown = run(Command::new("ip").args(["-n", space, "link", "show", "eth0"])).await.ok()?;
                shown.contains("state UP").then_some(())?;
            }
            Some(())
        })
        .await;
    }

    /// Ports of this machine that are free now.
    ///
    /// # Errors
    /// There are none.
    pub(super) fn loopback() -> io::Result<Self> {
        // All four are held while they are chosen, so that they differ.
        let tcp = [TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?];
        let udp = [UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?, UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?];
        let port =
            |i: usize| -> io::Result<(u16, u16)> { Ok((udp[i].local_addr()?.port(), tcp[i].local_addr()?.port())) };
        let ports = [port(0)?, port(1)?];
        let place = |i: usize| Place {
            space: None,
            address: Ipv4Addr::LOCALHOST,
            discovery_port: ports[i].0,
            worker_port: ports[i].1,
            // One side is enough.
            direct: (i == 0).then(|| format!("127.0.0.1:{}", ports[1].1)),
        };
        Ok(Self { places: [place(0), place(1)], about: "this machine's loopback, two pairs of ports" })
    }

    /// Takes it away again. What is not there is fine.
    pub(super) async fn remove(&self) {
        for space in self.places.iter().filter_map(|p| p.space.as_deref()) {
            let _ = ip(&["netns", "del", space]).await;
        }
    }
}

impl Place {
    /// A command that will run there.
    pub(super) fn command(&self, program: &std::path::Path) -> Command {
        match &self.space {
            None => Command::new(program),
            Some(space) => {
                let mut enter = Command::new("nsenter");
                enter.arg(format!("--net=/run/netns/{space}")).arg("--").arg(program);
                enter
            }
        }
    }

    /// For people.
    pub(super) fn describe(&self) -> String {
        match &self.space {
            Some(space) => format!("{} in namespace {space}", self.address),
            None => format!("{}, ports {}/udp and {}/tcp", self.address, self.discovery_port, self.worker_port),
        }
    }
}

/// The calls of `ip` that make the namespaces and the cable.
fn cable(spaces: &[String; 2], places: &[Place; 2]) -> Vec<Vec<String>> {
    let words = |line: String| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let [a, b] = spaces;
    let mut steps = vec![
        words(format!("netns add {a}")),
        words(format!("netns add {b}")),
        words(format!("-n {a} link add eth0 type veth peer name eth0 netns {b}")),
    ];
    for (space, place) in spaces.iter().zip(places) {
        steps.push(words(format!("-n {space} addr add {}/24 brd + dev eth0", place.address)));
        steps.push(words(format!("-n {space} link set lo up")));
        steps.push(words(format!("-n {space} link set eth0 up")));
    }
    steps
}

async fn ip(args: &[&str]) -> Result<String, String> {
    run(Command::new("ip").args(args)).await
}

async fn run(command: &mut Command) -> Result<String, String> {
    let what = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|a| a.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{what}: {e}"))?;
    let done = finish(child, PATIENCE).await.map_err(|e| format!("{what}: {e}"))?;
    if done.status.success() { Ok(done.stdout) } else { Err(format!("{what}: {}", done.stderr)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_one_machine_all_ports_differ_and_one_side_knows_the_other() {
        let network = Network::loopback().expect("free ports");
        let [alice, bob] = &network.places;
        assert_ne!(alice.worker_port, bob.worker_port);
        assert_ne!(alice.discovery_port, bob.discovery_port);
        assert_eq!(alice.direct, Some(format!("127.0.0.1:{}", bob.worker_port)));
        assert_eq!(bob.direct, None);
    }

    #[test]
    fn the_cable_joins_both_spaces_and_nothing_else() {
        let place = |i| Place {
            space: None,
            address: Ipv4Addr::new(198, 18, 77, i),
            discovery_port: 1,
            worker_port: 2,
            direct: None,
        };
        let steps: Vec<String> =
            cable(&["a".into(), "b".into()], &[place(1), place(2)]).iter().map(|s| s.join(" ")).collect();
        assert_eq!(steps.len(), 9);
        assert_eq!(steps[2], "-n a link add eth0 type veth peer name eth0 netns b");
        assert!(steps.contains(&"-n b addr add 198.18.77.2/24 brd + dev eth0".to_owned()));
        assert!(steps.iter().all(|s| s.starts_with("netns add") || s.starts_with("-n ")), "{steps:?}");
    }
}
