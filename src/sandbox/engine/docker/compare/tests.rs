//! Each field that would weaken the jail is noticed when it alone is changed.

use super::*;
use crate::model::{Epoch, JobId, Limits};
use crate::sandbox::engine::docker::template::{For, Shape, container};

/// Part of what Docker 20.10 says of a container made from the template, the rest being filled in from the body.
fn said(flavour: &Flavour) -> (ContainerCreateBody, Value) {
    let shape = Shape {
        node: "NODE".into(),
        whom: For::Job(JobId([7; 16]), Epoch(2)),
        dir: "/jobs/x".into(),
        image: format!("sha256:{}", "a".repeat(64)),
        uid: 65534,
        gid: 65534,
        limits: Limits::default(),
        gpus: vec![1],
        tree: None,
        patience_s: 300,
    };
    let body = container(&shape, flavour);
    let mut config = serde_json::to_value(&body).expect("json");
    let mut host = config["HostConfig"].take();
    config.as_object_mut().expect("object").remove("HostConfig");
    let mounts: Vec<Value> = host["Mounts"]
        .as_array()
        .expect("mounts")
        .iter()
        .map(|m| {
            json!({"Type": "bind", "Source": m["Source"], "Destination": m["Target"], "Mode": "",
                   "RW": m["ReadOnly"] == false, "Propagation": "rprivate"})
        })
        .collect();
    host["MaskedPaths"] = json!(["/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/sys/firmware"]);
    host["ReadonlyPaths"] = json!(["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]);
    host["OomKillDisable"] = json!(false);
    host["CapAdd"] = Value::Null;
    host["Devices"] = json!([]);
    host["DeviceRequests"][0]["Driver"] = json!("");
    host["DeviceRequests"][0]["Count"] = json!(0);
    host["Runtime"] = json!("runc");
    let image = config["Image"].clone();
    let found = json!({
        "Name": "/homie-x", "Image": image, "AppArmorProfile": "docker-default",
        "Config": config, "HostConfig": host, "Mounts": mounts,
        "NetworkSettings": {"Ports": {}, "Networks": {"none": {"IPAddress": "", "GlobalIPv6Address": ""}}},
    });
    (body, found)
}

fn flavour() -> Flavour {
    Flavour { podman: false, rootless: false, seccomp: "{\"defaultAction\":\"SCMP_ACT_ERRNO\"}".into() }
}

fn complaints(found: &Value, body: &ContainerCreateBody) -> Vec<String> {
    let found: ContainerInspectResponse = serde_json::from_value(found.clone()).expect("an answer");
    differences(&found, "homie-x", body, &flavour())
}

#[test]
fn what_was_asked_for_is_found() {
    let (body, found) = said(&flavour());
    assert_eq!(complaints(&found, &body), Vec::<String>::new());
}

/// (path, what it is changed to)
fn weaker() -> Vec<(&'static str, Value)> {
    vec![
        ("/Name", json!("/somebody")),
        ("/Image", json!(format!("sha256:{}", "b".repeat(64)))),
        ("/AppArmorProfile", json!("unconfined")),
        ("/ExecIDs", json!(["abc"])),
        ("/Config/User", json!("0:0")),
        ("/Config/User", json!("")),
        ("/Config/Entrypoint", json!(["sh"])),
        ("/Config/WorkingDir", json!("/")),
        ("/Config/OpenStdin", json!(true)),
        ("/Config/Tty", json!(true)),
        ("/Config/NetworkDisabled", json!(false)),
        ("/Config/Volumes", json!({"/data": {}})),
        ("/Config/Labels/homie.node", json!("OTHER")),
        ("/Config/Labels/homie.job", json!("00")),
        ("/Config/Labels/homie.epoch", json!("1")),
        ("/HostConfig/AutoRemove", json!(true)),
        ("/HostConfig/Binds", json!(["/:/host"])),
        ("/HostConfig/CapAdd", json!(["SYS_ADMIN"])),
        ("/HostConfig/CapDrop", json!(["CAP_MKNOD"])),
        ("/HostConfig/CapDrop", Value::Null),
        ("/HostConfig/CgroupParent", json!("/other")),
        ("/HostConfig/Cgroup", json!("container:x")),
        ("/HostConfig/CgroupnsMode", json!("host")),
        ("/HostConfig/CpuRealtimeRuntime", json!(1000)),
        ("/HostConfig/CpuShares", json!(100_000)),
        ("/HostConfig/DeviceCgroupRules", json!(["a *:* rwm"])),
        ("/HostConfig/DeviceRequests/0/DeviceIDs", json!(["0", "1"])),
        ("/HostConfig/DeviceRequests/0/Count", json!(-1)),
        (
            "/HostConfig/Devices",
            json!([{"PathOnHost": "/dev/sda", "PathInContainer": "/dev/sda", "CgroupPermissions": "rwm"}]),
        ),
        ("/HostConfig/ExtraHosts", json!(["x:10.0.0.1"])),
        ("/HostConfig/GroupAdd", json!(["docker"])),
        ("/HostConfig/Init", json!(true)),
        ("/HostConfig/IpcMode", json!("host")),
        ("/HostConfig/IpcMode", json!("shareable")),
        ("/HostConfig/Links", json!(["db:db"])),
        ("/HostConfig/LogConfig/Type", json!("json-file")),
        ("/HostConfig/MaskedPaths", json!([])),
        ("/HostConfig/ReadonlyPaths", json!([])),
        ("/HostConfig/Memory", json!(0)),
        ("/HostConfig/MemorySwap", json!(-1)),
        ("/HostConfig/NanoCpus", json!(0)),
        ("/HostConfig/NetworkMode", json!("host")),
        ("/HostConfig/NetworkMode", json!("bridge")),
        ("/HostConfig/OomKillDisable", json!(true)),
        ("/HostConfig/OomScoreAdj", json!(-500)),
        ("/HostConfig/PidMode", json!("host")),
        ("/HostConfig/PidsLimit", json!(0)),
        ("/HostConfig/PortBindings", json!({"80/tcp": [{"HostPort": "80"}]})),
        ("/HostConfig/Privileged", json!(true)),
        ("/HostConfig/PublishAllPorts", json!(true)),
        ("/HostConfig/ReadonlyRootfs", json!(false)),
        ("/HostConfig/RestartPolicy/Name", json!("always")),
        ("/HostConfig/SecurityOpt", json!(["no-new-privileges"])),
        ("/HostConfig/SecurityOpt", json!(["no-new-privileges", "seccomp=unconfined"])),
        ("/HostConfig/SecurityOpt", json!(["no-new-privileges", "seccomp={}"])),
        ("/HostConfig/SecurityOpt/0", json!("label=disable")),
        ("/HostConfig/ShmSize", json!(64_u64 << 30)),
        ("/HostConfig/Sysctls", json!({"net.ipv4.ip_forward": "1"})),
        ("/HostConfig/Tmpfs", json!({"/tmp": "rw,exec"})),
        ("/HostConfig/Tmpfs/~1run", json!("rw,exec,suid")),
        ("/HostConfig/UTSMode", json!("host")),
        ("/HostConfig/Ulimits/0/Hard", json!(1_048_576)),
        ("/HostConfig/Ulimits/2/Soft", json!(-1)),
        ("/HostConfig/Ulimits/3", json!({"Name": "memlock", "Soft": -1, "Hard": -1})),
        ("/HostConfig/UsernsMode", json!("host")),
        ("/HostConfig/VolumesFrom", json!(["other"])),
        ("/Mounts/0/Source", json!("/")),
        ("/Mounts/1/RW", json!(true)),
        ("/Mounts/2/RW", json!(true)),
        ("/Mounts/0/Propagation", json!("rshared")),
        (
            "/Mounts/3",
            json!({"Type": "volume", "Name": "v", "Source": "/v", "Destination": "/data", "RW": true, "Propagation": ""}),
        ),
        ("/NetworkSettings/Networks/bridge", json!({"IPAddress": "172.17.0.2"})),
        ("/NetworkSettings/Networks/none/IPAddress", json!("172.17.0.2")),
        ("/NetworkSettings/Ports", json!({"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "80"}]})),
    ]
}

/// Sets `path`, also where nothing is yet.
fn put(value: &mut Value, path: &str, new: Value) {
    let (parent, last) = path.rsplit_once('/').expect("a path");
    let last = last.replace("~1", "/");
    match value.pointer_mut(parent).expect("a parent") {
        Value::Object(all) => drop(all.insert(last, new)),
        Value::Array(all) => match last.parse::<usize>().expect("an index") {
            at if at < all.len() => all[at] = new,
            _ => all.push(new),
        },
        other => panic!("{path}: {other}"),
    }
}

#[test]
fn an_image_cannot_ask_for_gpus() {
    let (mut body, mut found) = said(&flavour());
    body.env = Some(vec!["NVIDIA_VISIBLE_DEVICES=void".to_owned()]);
    found["Config"]["Env"] = json!(["PATH=/bin", "NVIDIA_VISIBLE_DEVICES=void"]);
    assert_eq!(complaints(&found, &body), Vec::<String>::new());
    found["Config"]["Env"] = json!(["PATH=/bin", "NVIDIA_VISIBLE_DEVICES=all"]);
    assert!(!complaints(&found, &body).is_empty());
}

#[test]
fn each_weaker_field_is_caught() {
    let (body, found) = said(&flavour());
    for (path, new) in weaker() {
        let mut found = found.clone();
        put(&mut found, path, new.clone());
        assert!(!complaints(&found, &body).is_empty(), "{path} = {new} went through");
    }
}

#[test]
fn what_is_left_out_of_the_answer_is_not_taken_for_granted() {
    let (body, found) = said(&flavour());
    for path in SAME.iter().chain(SAME_IN_DOCKER).chain(&[
        "Name",
        "Image",
        "Mounts",
        "HostConfig/Ulimits",
        "HostConfig/NanoCpus",
    ]) {
        let mut found = found.clone();
        let (parent, last) = path.rsplit_once('/').map_or(("", *path), |(p, l)| (p, l));
        let parent =
            if parent.is_empty() { &mut found } else { found.pointer_mut(&format!("/{parent}")).expect("there") };
        assert!(parent.as_object_mut().expect("object").remove(last).is_some(), "{path}");
        assert!(!complaints(&found, &body).is_empty(), "{path} may be missing");
    }
}
