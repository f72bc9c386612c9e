//! Peers behind proxies: real proxy servers on a third machine, and no other way between the first two.

use std::fs;
use std::process::Command;

use super::joining::invite;
use super::paths::wait_in_use;
use super::process::{PATIENCE, Running, wait_until};
use super::world::{World, binary};
use crate::need_root;

/// The port of the proxy on its machine.
const PORT: u16 = 1055;

/// alice and bob on one wire without a way between them, and relay, whom both reach. Only relay knows who bob.home is.
fn divided(alice: &str) -> World {
    let world = World::new(&["alice", "bob", "relay"]);
    world.host("alice").configure(&format!("broadcast: false\n{alice}"));
    world.host("bob").configure("broadcast: false\n");
    world.part("alice");
    world.part("bob");
    let mut straight = world.host("alice").command("ping");
    straight.args(["-c1", "-W1", &world.host("bob").ip]);
    assert_ne!(Running::start(straight, b"").finish().code, Some(0), "there is no way but by the relay");
    world
}

/// A command on `host` that sees a hosts file in which bob.home is bob, and slow.home is `host` itself.
fn knowing(world: &World, host: &str, command: &str) -> Command {
    let names = format!("127.0.0.1 localhost slow.home\n{} bob.home\n", world.host("bob").ip);
    let hosts = world.host(host).write("hosts", names);
    let mut shell = world.host(host).command("unshare");
    shell.args(["-m", "sh", "-c", &format!("mount --bind {} /etc/hosts && exec {command}", hosts.display())]);
    shell
}

fn socks(world: &World, more: &str) -> Running {
    let server = Running::start(knowing(world, "relay", &format!("microsocks -p {PORT} {more}")), b"");
    world.host("relay").wait_listens(PORT);
    server
}

fn connect_proxy(world: &World, more: &str) -> Running {
    let relay = world.host("relay");
    // User and group are those of the test: a machine need not have `nobody`.
    let conf =
        relay.write("tinyproxy.conf", format!("Port {PORT}\nTimeout 600\nMaxClients 50\nConnectPort 5556\n{more}"));
    let server = Running::start(knowing(world, "relay", &format!("tinyproxy -d -c {}", conf.display())), b"");
    relay.wait_listens(PORT);
    server
}

/// bob looks like any other peer to alice: listed with his load, given work, files go both ways.
fn bob_is_like_any_other(world: &World, address: &str) {
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    alice.homie(&["add", address]).code(0);
    alice.wait_sees("bob");
    bob.wait_sees("alice");
    wait_until("bob's engines are known", PATIENCE, || {
        let row = &alice.homie(&["--json", "peers"]).json()["peers"][0];
        row["engines"].as_array().is_some_and(|list| !list.is_empty()) && row["via"] == "proxy"
    });
    let noise: Vec<u8> = (0..3_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    alice.write("in.bin", &noise);
    alice.run_text(&["--peer", "bob", "-f", "in.bin"], "cp in.bin out.bin; echo through").code(0).says("[bob] through");
    assert!(alice.read("out.bin") == noise, "the file came home as it went");
    // And the other way: bob cannot dial alice, yet gives her work over the link that she made.
    bob.run_text(&["--peer", "alice"], "echo back > said.txt; echo back").code(0).says("[alice] back");
    assert_eq!(bob.read("said.txt"), b"back\n");
}

#[test]
fn a_peer_behind_socks5_is_like_any_other_and_the_proxy_resolves_its_name() {
    need_root!();
    let mut world = divided("");
    let relay = world.host("relay").ip.clone();
    world.host("alice").configure(&format!("broadcast: false\nproxy: socks5h://{relay}:{PORT}\n"));
    let _server = socks(&world, "");
    world.host_mut("alice").start();
    world.host_mut("bob").start();
    bob_is_like_any_other(&world, "bob.home");
}

#[test]
fn a_peer_behind_http_connect_is_like_any_other() {
    need_root!();
    let mut world = divided("");
    let relay = world.host("relay").ip.clone();
    let rules =
        format!("broadcast: false\nproxy_rules:\n  - to: 10.77.0.0/24\n    via: http://me:hunter2@{relay}:{PORT}\n");
    world.host("alice").configure(&rules);
    let _server = connect_proxy(&world, "BasicAuth me hunter2\n");
    world.host_mut("alice").start();
    world.host_mut("bob").start();
    let address = world.host("bob").ip.clone();
    bob_is_like_any_other(&world, &address);
    // The password is in no listing and no log.
    let shown = world.host("alice").homie(&["--json", "config"]).code(0).out();
    assert!(shown.contains(&format!("http://{relay}:{PORT}")) && !shown.contains("hunter2"), "{shown}");
    let log = fs::read_to_string(world.host("alice").log()).expect("log");
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn what_a_proxy_refuses_is_told_with_its_reason() {
    need_root!();
    let mut world = divided("");
    let relay = world.host("relay").ip.clone();
    let bob = world.host("bob").ip.clone();
    world.host("alice").configure(&format!("broadcast: false\nproxy: socks5h://me:wrong@{relay}:{PORT}\n"));
    world.host_mut("alice").start();
    world.host_mut("bob").start();
    let alice = world.host("alice");
    alice.homie(&["add", &bob]).code(0);
    // First nobody listens there, then somebody who wants another password.
    let told = |wanted: &str| {
        wait_until(&format!("the reason {wanted:?} is shown"), PATIENCE, || {
            let shown = alice.homie(&["--json", "list-direct"]).out();
            assert!(!shown.contains("wrong"), "no password in {shown}");
            shown.contains(&format!("through the proxy socks5h://{relay}:{PORT}")) && shown.contains(wanted)
        });
    };
    told("refused");
    let _server = socks(&world, "-u me -P right");
    told("credentials not accepted");
}

#[test]
fn a_peer_goes_on_by_the_proxy_when_the_straight_way_dies_and_comes_back_to_it() {
    need_root!();
    let mut world = divided("");
    let relay = world.host("relay").ip.clone();
    for host in ["alice", "bob"] {
        world.host(host).configure(&format!("proxy: socks5h://{relay}:{PORT}\n"));
    }
    let _server = socks(&world, "");
    // The way behind the proxy takes its time, as ways through others' machines do.
    let _slow = world.slow_way("relay", "bob");
    world.host_mut("alice").start();
    world.host_mut("bob").start();
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    alice.homie(&["add", "slow.home"]).code(0);
    alice.wait_sees("bob");
    wait_in_use(alice, "slow.home:5556");
    alice.wait_engines("bob");
    let job =
        alice.start_text(&["--peer", "bob"], "i=1; while [ $i -le 300 ]; do echo line $i; i=$((i+1)); sleep 0.1; done");
    job.wait_for("[bob] line 1");

    // The straight way appears, dies without a word, and is there again.
    world.swallow('p', false);
    wait_in_use(alice, &bob.address());
    world.part("alice");
    world.part("bob");
    wait_in_use(alice, "slow.home:5556");
    alice.run_text(&["--peer", "bob"], "echo around").code(0).says("[bob] around");
    world.swallow('p', false);
    wait_in_use(alice, &bob.address());
    let said = job.finish().code(0).out();
    let numbers = said.lines().filter_map(|line| line.strip_prefix("[bob] line ")?.parse::<u32>().ok());
    assert!(numbers.eq(1..=300), "each line once: {said}");
}

/// alice comes into bob's group by his invitation, works there, and stays a member when relay is put out; then she is put out
/// herself. There is no way but by the proxy.
fn joins_and_is_put_out(world: &mut World) {
    world.host("relay").configure("broadcast: false\n");
    for name in ["relay", "alice", "bob"] {
        world.host_mut(name).start();
    }
    let (alice, bob, relay) = (world.host("alice"), world.host("bob"), world.host("relay"));
    bob.homie(&["add", &relay.ip]).code(0);
    bob.wait_sees("relay");
    let token = invite(bob);
    alice.homie(&["join", &token]).code(0).says("in the group of bob");
    alice.wait_sees("bob");
    bob.wait_sees("alice");
    alice.wait_engines("bob");
    alice.run_text(&["--peer", "bob"], "echo in").code(0).says("[bob] in");

    let kicked = bob.homie(&["--json", "kick", "relay"]).code(0).json()["kicked"].clone();
    assert_eq!(kicked["told"], serde_json::json!(["alice"]), "by the only way there is: {kicked}");
    bob.wait_misses("relay");
    alice.wait_sees("bob");
    alice.wait_engines("bob");
    alice.run_text(&["--peer", "bob"], "echo still").code(0).says("[bob] still");

    bob.homie(&["kick", "alice"]).code(0);
    bob.wait_misses("alice");
    alice.wait_misses("bob");
    alice.run_text(&["--remote"], "echo never").code(69);
    let token = invite(bob);
    alice.homie(&["join", &token]).code(0);
    alice.wait_sees("bob");
}

#[test]
fn who_is_behind_socks5_joins_works_and_is_put_out() {
    need_root!();
    let mut world = divided("");
    let relay = world.host("relay").ip.clone();
    let _server = socks(&world, "");
    world.host("alice").configure(&format!("broadcast: false\ngroup_secret:\nproxy: socks5h://{relay}:{PORT}\n"));
    joins_and_is_put_out(&mut world);
}

#[test]
fn who_is_behind_http_connect_joins_works_and_is_put_out() {
    need_root!();
    let mut world = divided("");
    let relay = world.host("relay").ip.clone();
    let _server = connect_proxy(&world, "");
    world.host("alice").configure(&format!("broadcast: false\ngroup_secret:\nproxy: http://{relay}:{PORT}\n"));
    joins_and_is_put_out(&mut world);
}

#[test]
fn other_programs_are_told_of_the_proxy_login_and_all() {
    let mut world = World::new(&["alice"]);
    let url = "socks5h://me:o'hara @127.0.0.1:1055".replace(' ', "%20");
    let alice = world.host_mut("alice");
    alice.configure(&format!("broadcast: false\nproxy: {url}\n"));
    let in_shell = "eval \"$(\"$0\" net proxy env)\" && printf '%s %s %s' \"$ALL_PROXY\" \"$http_proxy\" \"$no_proxy\"";
    let all_there = format!("{url} {url} localhost,127.0.0.1,::1");
    // First what the file says, then what homied runs with, which it shows without the login.
    for up in [false, true] {
        if up {
            alice.start();
        }
        let mut shell = alice.command("sh");
        shell.args(["-c", in_shell]).arg(binary("homie-ctl"));
        assert_eq!(Running::start(shell, b"").finish().code(0).out(), all_there, "homied is up: {up}");
        let told = alice.homie(&["--json", "net", "proxy", "env"]).code(0).json()["proxy"].clone();
        assert_eq!((told["from"].as_str(), told["variables"]["HTTPS_PROXY"].as_str()), (Some("config"), Some(&*url)));
        assert!(!alice.homie(&["config"]).code(0).out().contains("o'hara"));
    }
    // The command takes homie's place: its words, its variables, its exit code, its signals.
    let said = alice.homie(&["net", "exec", "--", "sh", "-c", "echo $all_proxy $1; exit 7", "sh", "--json"]).code(7);
    assert_eq!(said.out(), format!("{url} --json\n"));
    let sleeper = alice.homie_start(&["net", "exec", "sh", "-c", "echo $$; exec sleep 600"]);
    sleeper.wait_for(&format!("{}\n", sleeper.pid()));
    sleeper.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(sleeper.finish().code, None, "ended by the signal");
    alice.homie(&["net", "exec", "--", "no-such-program"]).code(127).says("hint: is it installed");
    let text = alice.write("notes.txt", "no program").display().to_string();
    alice.homie(&["net", "exec", "--", &text]).code(126).says("chmod +x");
    alice.homie(&["net", "exec"]).code(2);

    // Without a proxy a shell is left as it is.
    alice.homie(&["config", "unset", "proxy"]).code(0);
    let none = alice.homie(&["net", "proxy", "env"]).code(0).says("No proxy");
    assert_eq!(none.out(), "");
}

#[test]
fn a_command_reaches_through_the_proxy_what_only_the_proxy_knows() {
    need_root!();
    let mut world = divided("");
    let relay = world.host("relay").ip.clone();
    world.host("alice").configure(&format!("broadcast: false\nproxy: socks5h://{relay}:{PORT}\n"));
    let _proxy = socks(&world, "");
    let bob = world.host("bob");
    bob.write("page", "from bob\n");
    let mut server = bob.command("python3");
    server.args(["-m", "http.server", "8000"]);
    let _server = Running::start(server, b"");
    bob.wait_listens(8000);
    world.host_mut("alice").start();
    let fetched = world.host("alice").homie(&["net", "exec", "curl", "-sS", "http://bob.home:8000/page"]).code(0);
    assert_eq!(fetched.out(), "from bob\n");
}
