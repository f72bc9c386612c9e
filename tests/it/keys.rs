//! The client checks settings early and homied has the last word: the two tables of keys must say the same.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use homie::config::{self, Loaded};
use homie::ctl::config_file::{KEYS, Key, Kind, find_key};
use homie::paths::{Kind as PlaceKind, Places};
use serde_json::Value;

/// What homied makes of a file with this text and of these variables.
fn homied(text: &str, env: &[(String, String)]) -> Result<Loaded, String> {
    let dir = tempfile::tempdir().expect("tempdir");
    let at = |name: &str| dir.path().join(name);
    let places =
        Places { config: at("config.yaml"), state: at("state"), socket: at("homied.sock"), kind: PlaceKind::Home };
    fs::write(&places.config, text).expect("write");
    fs::set_permissions(&places.config, fs::Permissions::from_mode(0o600)).expect("chmod");
    config::load(&places, "box", env.iter().cloned(), &[]).map_err(|e| e.to_string())
}

#[test]
fn both_know_the_same_keys_with_the_same_defaults() {
    let loaded = homied("", &[]).expect("an empty file loads");
    let theirs: Vec<&str> = loaded.rows.iter().map(|row| row.key.as_str()).collect();
    let ours: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
    for key in &theirs {
        assert!(ours.contains(key), "homied has {key}, and `homie config` does not know it");
    }
    for key in &ours {
        assert!(theirs.contains(key), "`homie config` has {key}, and homied does not know it");
    }
    for key in KEYS {
        // Without a default of its own it is this machine's name, a number by its cores, nothing yet.
        if key.default.is_empty() || key.name == "docker_host" {
            continue;
        }
        let said = homied(&format!("{}: {}\n", key.name, key.default), &[]).expect(key.name);
        let value = |loaded: &Loaded| loaded.rows.iter().find(|r| r.key == key.name).map(|r| r.value.clone());
        assert_eq!(value(&said), value(&loaded), "the default of {}", key.name);
        assert_ne!(value(&loaded), Some(Value::Null), "{}", key.name);
    }
}

#[test]
fn what_the_client_takes_homied_takes_and_nothing_else() {
    let long = "x".repeat(64);
    let endless = "x".repeat(1025);
    let values = [
        "0",
        "1",
        "2",
        "0.5",
        "64",
        "4",
        "4g",
        "4G",
        "512m",
        "300k",
        "1b",
        "1k",
        "1m",
        "10m",
        "2h",
        "1d",
        "600",
        "5556",
        "65535",
        "65536",
        "100000",
        "100001",
        "-1",
        "yes",
        "No",
        "on",
        "off",
        "true",
        "FALSE",
        "maybe",
        "auto",
        "docker",
        "native",
        "Docker",
        "limits",
        "process",
        "namespace",
        "container",
        "gvisor",
        "unix:///x",
        "unix://x",
        "/x",
        "tcp://x",
        "raj",
        "a b",
        "a.b",
        "ü",
        "a/b",
        "none",
        "wheels",
        "all",
        "\u{7}",
        &long,
        &endless,
    ];
    for key in KEYS.iter().filter(|key| key.kind != Kind::List) {
        for value in values {
            match key.yaml(value) {
                Ok(yaml) => drop(homied(&format!("{}: {yaml}\n", key.name), &[]).expect("the client took it")),
                Err(why) => {
                    let variable = (format!("HOMIE_{}", key.name.to_ascii_uppercase()), value.to_owned());
                    let read = homied("", &[variable]);
                    assert!(read.is_err(), "{}: homied takes {value:?}, the client says: {why}", key.name);
                }
            }
        }
    }
}

#[test]
fn short_names_lead_to_keys() {
    for short in ["cpu", "memory", "timeout", "secret"] {
        let key: Result<&Key, _> = find_key(short);
        assert!(key.is_ok_and(|key| KEYS.iter().any(|k| k.name == key.name)), "{short}");
    }
}
