//! The room as its callers meet it: real files in a temporary directory.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::{Isolation, generate_secret, weakness};
use crate::paths::{Kind, Places};

const FIRST_HOMIE: &str = include_str!("../../tests/fixtures/config/first-homie.yaml");
const FULL: &str = include_str!("../../tests/fixtures/config/0.1.0-full.yaml");

struct Home {
    dir: tempfile::TempDir,
    places: Places,
}

impl Home {
    fn with(text: &str) -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let at = |name: &str| dir.path().join(name);
        let places =
            Places { config: at("config.yaml"), state: at("state"), socket: at("homied.sock"), kind: Kind::Home };
        std::fs::write(&places.config, text).expect("write");
        std::fs::set_permissions(&places.config, std::fs::Permissions::from_mode(0o600)).expect("chmod");
        Self { dir, places }
    }

    fn load(&self) -> Result<Loaded, ConfigError> {
        self.load_with(&[], &[])
    }

    fn load_with(&self, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
        let own = |list: &[(&str, &str)]| list.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect::<Vec<_>>();
        load(&self.places, "box", own(env), &own(flags))
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.places.config).expect("read")
    }
}

fn row<'a>(loaded: &'a Loaded, key: &str) -> &'a crate::wire::ipc::ConfigRow {
    loaded.rows.iter().find(|r| r.key == key).expect("a row for each key")
}

#[test]
fn the_file_of_the_first_homie_loads_unchanged() {
    let home = Home::with(FIRST_HOMIE);
    let loaded = home.load().expect("loads");
    let s = &loaded.settings;
    let defaults = Settings::defaults("box");
    assert_eq!((s.name.as_str(), s.group_secret.reveal()), ("raj", "your-shared-secret"));
    assert_eq!((s.discovery_port, s.worker_port), (5555, 5556));
    assert_eq!(s.limits, defaults.limits, "the file of the README states the defaults");
    assert_eq!(s.group, "homie");
    for (i, line) in FIRST_HOMIE.lines().enumerate() {
        let key = line.split(':').next().expect("key");
        assert_eq!(row(&loaded, key).origin, format!("{}:{}", home.places.config.display(), i + 1), "{key}");
    }
    assert_eq!(row(&loaded, "group").origin, "default");
    assert_eq!(row(&loaded, "container_memory_limit").value, json!("4g"));
    assert_eq!(row(&loaded, "container_cpu_limit").value, json!(2.0));
    assert_eq!(row(&loaded, "container_timeout").value, json!(600));
    // The secret of the README is known to everybody.
    assert!(row(&loaded, "group_secret").warning.as_deref().is_some_and(|w| w.contains("weak")), "{loaded:?}");
}

#[test]
fn every_key_of_the_first_release_loads() {
    let loaded = Home::with(FULL).load().expect("loads");
    let s = &loaded.settings;
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert_eq!((s.name.as_str(), s.group.as_str()), ("raj", "friends"));
    assert_eq!(s.group_secret.reveal(), "correct horse battery staple");
    assert_eq!((s.discovery_port, s.worker_port), (6555, 6556));
    assert_eq!((s.limits.cpu_millis, s.limits.memory_bytes, s.limits.timeout_s), (1500, 512 << 20, 5400));
    assert_eq!((s.limits.pids, s.limits.disk_bytes, s.limits.output_bytes), (64, 5 << 30, 64 << 20));
    assert_eq!((s.limits.tmp_bytes, s.job_slots, s.store_bytes), (256 << 20, 3, 50 << 30));
    assert_eq!((s.engine, s.min_isolation, s.broadcast), (EngineChoice::Native, Isolation::Container, false));
    assert_eq!((s.keep_results_s, s.docker_host.as_deref()), (3 * 86_400, Some("unix:///run/user/1000/docker.sock")));
    assert_eq!(s.admins, ["alice", "1001"]);
    let direct: Vec<_> = s.direct.iter().map(|(a, n)| (a.as_str(), n.as_deref())).collect();
    let want = [("100.64.1.5:5556", None), ("nas.local:7000", Some("nas")), ("[fd7a:115c:a1e0::1]:5556", Some("dora"))];
    assert_eq!(direct, want);
}

#[test]
fn later_layers_win_and_say_so() {
    let home = Home::with("name: file\ngroup: file\nworker_port: 1000\n");
    let env =
        [("HOMIE_GROUP", "env"), ("HOMIE_WORKER_PORT", "1001"), ("HOMIE_DIRECT", "10.0.0.1, bob:77"), ("PATH", "x")];
    let loaded = home.load_with(&env, &[("worker-port", "1002")]).expect("loads");
    let s = &loaded.settings;
    assert_eq!((s.name.as_str(), s.group.as_str(), s.worker_port), ("file", "env", 1002));
    assert_eq!(s.direct, [("10.0.0.1:5556".to_owned(), None), ("bob:77".to_owned(), None)]);
    let file = home.places.config.display();
    for (key, origin) in [
        ("name", format!("{file}:1")),
        ("group", "HOMIE_GROUP".to_owned()),
        ("worker_port", "--worker-port".to_owned()),
        ("engine", "default".to_owned()),
    ] {
        assert_eq!(row(&loaded, key).origin, origin);
    }
}

#[test]
fn without_a_file_the_defaults_hold() {
    let home = Home::with("");
    std::fs::remove_file(&home.places.config).expect("remove");
    let loaded = home.load().expect("loads");
    assert_eq!(loaded.settings, Settings::defaults("box"));
    assert!(loaded.warnings.iter().any(|w| w.contains("homie setup")), "{:?}", loaded.warnings);
    // What a dotless blank line means: nothing.
    let blank = Home::with("name:\ngroup_secret: ''\n").load().expect("loads");
    assert_eq!((blank.settings.name.as_str(), blank.settings.group_secret.is_empty()), ("box", true));
}

#[test]
fn unknown_keys_warn_with_their_line_and_the_key_that_was_meant() {
    let home = Home::with("name: raj\ncontainer_timout: 5\n\nzebra: {a: 1}\n");
    let loaded = home.load_with(&[("HOMIE_WORKER_PROT", "1"), ("HOMIE_ZEBRA", "1"), ("HOMIE_HOME", "/x")], &[]);
    let warnings = loaded.expect("loads").warnings.join("\n");
    let file = home.places.config.display();
    for part in [
        format!("{file}:2: unknown key \"container_timout\" is ignored; did you mean container_timeout?"),
        format!("{file}:4: unknown key \"zebra\" is ignored\n"),
        "HOMIE_WORKER_PROT is ignored; did you mean HOMIE_WORKER_PORT?".to_owned(),
    ] {
        assert!(warnings.contains(&part), "{part} is not in:\n{warnings}");
    }
    assert!(!warnings.contains("HOMIE_ZEBRA") && !warnings.contains("HOMIE_HOME"), "{warnings}");
}

#[test]
fn each_bad_value_is_one_error_with_file_line_key_and_what_to_write() {
    for (line, part) in [
        ("name: a b", "write at most 63 letters"),
        ("name: \"a\\tb\"", "write at most 63 letters"),
        ("discovery_port: 0", "from 1 to 65535"),
        ("worker_port: 70000", "from 1 to 65535"),
        ("container_cpu_limit: many", "write 2 or 0.5"),
        ("container_cpu_limit: -1", "write 2 or 0.5"),
        ("container_memory_limit: 4x", "write 512m or 4g"),
        ("container_memory_limit: 4", "write a unit"),
        ("container_timeout: 0", "write 600, 10m or 2h"),
        ("container_pids_limit: 0", "from 1 to"),
        ("job_slots: 70000", "from 1 to 65535"),
        ("engine: podman", "write auto, docker or native"),
        ("min_isolation: chroot", "levels are"),
        ("broadcast: perhaps", "true or false"),
        ("docker_host: tcp://1.2.3.4:2375", "write unix://"),
        ("direct: [1.2.3]", "write 100.64.1.2"),
        ("direct: [a, A]", "twice"),
        ("direct: [{address: a, port: 7}]", "`address:`"),
        ("direct: 1.2.3.4", "starts with `- `"),
        ("name: [raj]", "one value is wanted"),
        ("keep_results: [1]", "one value is wanted"),
        ("engine: *nowhere", "not valid YAML"),
    ] {
        let home = Home::with(&format!("# a comment\n\n{line}\n"));
        let text = home.load().expect_err(line).to_string();
        let key = line.split(':').next().expect("key");
        let place = format!("{}:3: ", home.places.config.display());
        assert!(text.starts_with(&place) && text.contains(part), "{line}: {text}");
        assert!(text.contains(key) || part == "not valid YAML", "{line}: {text}");
    }
    let e = Home::with("").load_with(&[("HOMIE_ENGINE", "xen")], &[]).expect_err("bad variable").to_string();
    assert!(e.starts_with("HOMIE_ENGINE: engine: "), "{e}");
    let e = Home::with("").load_with(&[], &[("engine", "xen")]).expect_err("bad flag").to_string();
    assert!(e.starts_with("--engine: engine: "), "{e}");
}

#[test]
fn a_file_that_is_none_is_refused_and_never_hangs() {
    let home = Home::with("");
    let place = |text: &str| -> String {
        let e = home.load().expect_err(text).to_string();
        assert!(e.starts_with(&home.places.config.display().to_string()), "{e}");
        e
    };
    std::fs::write(&home.places.config, b"name: raj\ngroup: \xff\n").expect("write");
    assert!(place("not UTF-8").contains(":2: not UTF-8"));
    std::fs::write(&home.places.config, vec![b'#'; (1 << 20) + 1]).expect("write");
    assert!(place("too large").contains("is larger than"));
    std::fs::remove_file(&home.places.config).expect("remove");
    nix::unistd::mkfifo(&home.places.config, nix::sys::stat::Mode::S_IRWXU).expect("mkfifo");
    assert!(place("a pipe").contains("is not a file"));
    std::fs::remove_file(&home.places.config).expect("remove");
    std::fs::create_dir(&home.places.config).expect("mkdir");
    assert!(place("a directory").contains("is not a file"));
}

#[test]
fn the_secret_is_shown_nowhere() {
    let secret = "Zq8-very-Private-string";
    let home = Home::with(&format!("group_secret: {secret}\nnane: x\n"));
    std::fs::set_permissions(&home.places.config, std::fs::Permissions::from_mode(0o644)).expect("chmod");
    let loaded = home.load().expect("loads");
    assert!(loaded.warnings.iter().any(|w| w.contains("chmod 600")), "{:?}", loaded.warnings);
    let shown = format!("{loaded:?} {}", serde_json::to_string(&loaded.rows).expect("json"));
    assert!(!shown.contains(secret), "{shown}");
    assert_eq!(row(&loaded, "group_secret").value, json!("********"));
    for bad in
        [format!("group_secret: [{secret}]"), format!("group_secret: {secret}: x"), format!("{secret}\n- {secret}")]
    {
        let text = format!("{:?}", Home::with(&bad).load());
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn the_secret_is_judged_as_setup_judges_it() {
    let warnings = |secret: &str| Home::with(&format!("group_secret: {secret}\n")).load().expect("loads").warnings;
    for secret in ["my-secret-password", "our-homelab-2024", "hunter2hunter2hunter2"] {
        let why = weakness(secret).expect(secret);
        assert!(warnings(secret).iter().any(|w| w.contains(&why)), "{:?}", warnings(secret));
    }
    let made = generate_secret().expect("random");
    assert_eq!(warnings(&made), Vec::<String>::new(), "{made}");
}

#[test]
fn adding_and_removing_peers_keeps_every_other_line() {
    for (before, want) in [
        ("", "direct:\n  - 1.2.3.4:5556\n"),
        ("name: raj # me\n", "name: raj # me\ndirect:\n  - 1.2.3.4:5556\n"),
        ("direct:\n", "direct:\n  - 1.2.3.4:5556\n"),
        ("direct: [] # none\nname: a\n", "direct: # none\n  - 1.2.3.4:5556\nname: a\n"),
        ("direct: [a, b:7]\n# end\n", "direct:\n  - a:5556\n  - b:7\n  - 1.2.3.4:5556\n# end\n"),
        (
            "direct:\n- a\n# about b\n- address: b\n  name: bob # nice\n\nname: x\n",
            "direct:\n- a\n# about b\n- address: b\n  name: bob # nice\n- 1.2.3.4:5556\n\nname: x\n",
        ),
        ("---\nname: a\n...\n", "---\nname: a\ndirect:\n  - 1.2.3.4:5556\n...\n"),
    ] {
        let home = Home::with(before);
        assert_eq!(add_direct(&home.places, "1.2.3.4", None).expect("added").0, "1.2.3.4:5556");
        assert_eq!(home.text(), want, "{before:?}");
        remove_direct(&home.places, "1.2.3.4").expect("removed");
        let left = home.load().expect("loads").settings.direct;
        assert!(left.iter().all(|(a, _)| a != "1.2.3.4:5556"), "{left:?}");
        assert_eq!(home.text().matches('#').count(), before.matches('#').count(), "comments stay");
        let mode = std::fs::metadata(&home.places.config).expect("stat").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(home.dir.path()).expect("list").count(), 1, "nothing half-written is left");
    }
}

#[test]
fn peers_are_removed_by_address_or_label() {
    let home = Home::with(FULL);
    for (which, gone) in
        [("dora", "[fd7a:115c:a1e0::1]:5556"), ("nas.local:7000", "nas.local:7000"), ("100.64.1.5", "100.64.1.5:5556")]
    {
        assert_eq!(remove_direct(&home.places, which).expect("removed").0, gone);
    }
    assert_eq!(home.load().expect("loads").settings.direct, []);
    assert!(home.text().contains("# the house in the mountains"));
    let e = remove_direct(&home.places, "nobody").expect_err("unknown").to_string();
    assert!(e.contains("list-direct"), "{e}");
    // Adding twice changes the label and nothing else.
    add_direct(&home.places, "bob.local", Some("bob")).expect("added");
    add_direct(&home.places, "BOB.local:5556", Some("yes: no")).expect("added");
    let direct = home.load().expect("loads").settings.direct;
    assert_eq!(direct, [("bob.local:5556".to_owned(), Some("yes: no".to_owned()))]);
}

#[test]
fn a_new_file_is_private_and_a_link_is_followed() {
    let home = Home::with("");
    std::fs::remove_file(&home.places.config).expect("remove");
    let real = home.dir.path().join("dotfiles.yaml");
    std::fs::write(&real, "# mine\n").expect("write");
    std::os::unix::fs::symlink(&real, &home.places.config).expect("link");
    add_direct(&home.places, "a", None).expect("added");
    assert_eq!(std::fs::read_to_string(&real).expect("read"), "# mine\ndirect:\n  - a:5556\n");
    assert!(home.places.config.is_symlink());

    let fresh = Places { config: PathBuf::from(home.dir.path()).join("new.yaml"), ..home.places.clone() };
    add_direct(&fresh, "a", None).expect("added");
    let mode = std::fs::metadata(&fresh.config).expect("stat").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn addresses_have_one_form() {
    for (text, want) in [
        ("100.64.1.2", "100.64.1.2:5556"),
        (" NAS.local ", "nas.local:5556"),
        ("nas:1", "nas:1"),
        ("fd7a::1", "[fd7a::1]:5556"),
        ("[fd7a::1]:7", "[fd7a::1]:7"),
        ("[fd7a::1]", "[fd7a::1]:5556"),
    ] {
        assert_eq!(address(text).as_deref(), Ok(want), "{text}");
    }
    for text in
        ["", ":5556", "a:b", "a:0", "a:70000", "a b", "1.2.3", "300.1.1.1", "-a", "[::1", "[::1]x", "a/b", "a\u{1b}"]
    {
        assert!(address(text).is_err(), "{text}");
    }
}

#[test]
fn a_label_that_looks_like_a_number_stays_a_text() {
    let home = Home::with("");
    for (n, label) in ["0", "1e5", "0x1f", "12:30", "1.5", "10.0.0.1"].into_iter().enumerate() {
        add_direct(&home.places, &format!("host{n}"), Some(label)).expect("added");
        let found = home.load().expect("loads").settings.direct;
        assert!(found.iter().any(|(_, l)| l.as_deref() == Some(label)), "{label}: {found:?}");
    }
}

proptest! {
    #[test]
    fn whatever_is_added_is_found_again_and_can_be_removed(
        hosts in proptest::collection::btree_set("[a-z]{1,8}(\\.[a-z]{1,3})?", 1..6),
        label in proptest::option::of("\\PC{1,12}"),
        start in prop_oneof![Just(""), Just(FIRST_HOMIE), Just("direct: [x.y]\nname: a\n"), Just("direct:\n# c\n")],
    ) {
        let home = Home::with(start);
        for host in &hosts {
            add_direct(&home.places, host, label.as_deref()).expect("added");
        }
        let found = home.load().expect("loads").settings.direct;
        for host in &hosts {
            prop_assert!(found.contains(&(format!("{host}:5556"), label.clone())), "{found:?}");
            remove_direct(&home.places, host).expect("removed");
        }
        prop_assert!(home.load().expect("loads").settings.direct.len() <= 1);
    }

    #[test]
    fn no_file_makes_loading_panic(text in "\\PC*") {
        let _ = Home::with(&text).load();
    }
}
