//! Whether a container is what the template asked for, by what the engine says of it. Pure.
//!
//! Asked of every container after its init runs and before a job gets in: an engine that drops a field it does not know, a
//! configuration of the daemon that adds one, an image that declares volumes, or somebody else's container under our name
//! must not become a weaker jail than was announced.

use bollard::models::{ContainerCreateBody, ContainerInspectResponse};
use serde_json::{Value, json};

use super::template::Flavour;

/// Fields of the answer that must say the same as the body, by their path in both.
const SAME: &[&str] = &[
    "Config/User",
    "Config/WorkingDir",
    "HostConfig/NetworkMode",
    "HostConfig/ReadonlyRootfs",
    "HostConfig/Memory",
    "HostConfig/MemorySwap",
    "HostConfig/PidsLimit",
    "HostConfig/OomScoreAdj",
    "HostConfig/ShmSize",
    "HostConfig/LogConfig/Type",
];
/// The same, where Podman's imitation says it in another way or not at all.
const SAME_IN_DOCKER: &[&str] = &[
    "Config/Entrypoint",
    "Config/NetworkDisabled",
    "HostConfig/CapDrop",
    "HostConfig/CgroupnsMode",
    "HostConfig/IpcMode",
    "HostConfig/SecurityOpt",
    "HostConfig/Tmpfs",
];
/// What the body never asks for: absent, or whatever an engine says instead (`false`, 0, an empty text or list).
const NOTHING: &[&str] = &[
    "Config/OpenStdin",
    "Config/Tty",
    "Config/Volumes",
    "ExecIDs",
    "HostConfig/AutoRemove",
    "HostConfig/CapAdd",
    "HostConfig/Cgroup",
    "HostConfig/CpuRealtimePeriod",
    "HostConfig/CpuRealtimeRuntime",
    "HostConfig/DeviceCgroupRules",
    "HostConfig/Devices",
    "HostConfig/ExtraHosts",
    "HostConfig/GroupAdd",
    "HostConfig/Init",
    "HostConfig/Links",
    "HostConfig/OomKillDisable",
    "HostConfig/PortBindings",
    "HostConfig/Privileged",
    "HostConfig/PublishAllPorts",
    "HostConfig/Sysctls",
    "HostConfig/UsernsMode",
    "HostConfig/VolumesFrom",
    "NetworkSettings/Ports",
];
/// The same, where Podman fills in what it decided itself.
const NOTHING_IN_DOCKER: &[&str] = &["HostConfig/Binds", "HostConfig/CgroupParent", "HostConfig/CpuShares"];
/// Namespaces that are the container's own unless something else is said.
const OWN: &[&str] = &["HostConfig/PidMode", "HostConfig/UTSMode"];
/// Files of the kernel that an engine hides or makes read-only by itself, the most telling of them; the lists are
/// emptied by `systempaths=unconfined`.
const GUARDED: &[(&str, &[&str])] = &[
    ("HostConfig/MaskedPaths", &["/proc/kcore", "/proc/keys", "/sys/firmware"]),
    ("HostConfig/ReadonlyPaths", &["/proc/sys", "/proc/sysrq-trigger"]),
];

/// Everything in which `found` differs from a container named `name` and made from `want`; empty when it is that.
pub(super) fn differences(
    found: &ContainerInspectResponse,
    name: &str,
    want: &ContainerCreateBody,
    flavour: &Flavour,
) -> Vec<String> {
    let (Ok(found), Ok(mut wanted)) = (serde_json::to_value(found), serde_json::to_value(want)) else {
        return vec!["what the engine says of it cannot be read".to_owned()];
    };
    // In the answer everything but the host's side lies below `Config`.
    let host = wanted["HostConfig"].take();
    let wanted = json!({ "Config": wanted, "HostConfig": host });
    let compared = Compared { found: &found, wanted: &wanted, podman: flavour.podman };
    let mut all = Vec::new();
    compared.plain(&mut all);
    compared.names(name, &mut all);
    compared.limits(&mut all);
    compared.security(&mut all);
    compared.mounts(&mut all);
    compared.networks(&mut all);
    all
}

struct Compared<'a> {
    found: &'a Value,
    wanted: &'a Value,
    podman: bool,
}

fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    value.pointer(&format!("/{path}")).unwrap_or(&Value::Null)
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
    }
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A difference in words; a whole filter would be two pages of them.
fn is(path: &str, found: &Value) -> String {
    const LONGEST: usize = 200;
    let text = found.to_string();
    let short: String = text.chars().take(LONGEST).collect();
    format!("{path} is {short}{}", if short.len() < text.len() { "…" } else { "" })
}

impl Compared<'_> {
    fn plain(&self, all: &mut Vec<String>) {
        let (same, nothing) = if self.podman { (&[][..], &[][..]) } else { (SAME_IN_DOCKER, NOTHING_IN_DOCKER) };
        for path in SAME.iter().chain(same) {
            let found = at(self.found, path);
            if found != at(self.wanted, path) {
                all.push(is(path, found));
            }
        }
        for path in NOTHING.iter().chain(nothing) {
            let found = at(self.found, path);
            if !is_nothing(found) {
                all.push(is(path, found));
            }
        }
        for path in OWN {
            let found = at(self.found, path);
            if !is_nothing(found) && found != "private" {
                all.push(is(path, found));
            }
        }
        // Docker fills in what the body leaves out, such as the driver.
        let requests = |side| at(side, "HostConfig/DeviceRequests").as_array().cloned().unwrap_or_default();
        let ids = |all: Vec<Value>| -> Vec<Value> { all.into_iter().map(|r| at(&r, "DeviceIDs").clone()).collect() };
        let counts = requests(self.found).iter().any(|r| !is_nothing(at(r, "Count")));
        if !self.podman && (counts || ids(requests(self.found)) != ids(requests(self.wanted))) {
            all.push(is("HostConfig/DeviceRequests", at(self.found, "HostConfig/DeviceRequests")));
        }
        let env = texts(at(self.found, "Config/Env"));
        if texts(at(self.wanted, "Config/Env")).iter().any(|wanted| !env.contains(wanted)) {
            all.push(is("Config/Env", at(self.found, "Config/Env")));
        }
        let restart = at(self.found, "HostConfig/RestartPolicy/Name");
        if !is_nothing(restart) && restart != "no" {
            all.push(is("HostConfig/RestartPolicy/Name", restart));
        }
    }

    fn names(&self, name: &str, all: &mut Vec<String>) {
        let found = at(self.found, "Name");
        if found.as_str().map(|n| n.trim_start_matches('/')) != Some(name) {
            all.push(is("Name", found));
        }
        // A digest is compared; a name may have come to mean another image.
        let image = at(self.found, "Image");
        let digest = |text: &Value| text.as_str().unwrap_or_default().trim_start_matches("sha256:").to_owned();
        let wanted = at(self.wanted, "Config/Image");
        if wanted.as_str().is_some_and(|w| w.starts_with("sha256:")) && digest(image) != digest(wanted) {
            all.push(is("Image", image));
        }
        for (label, value) in at(self.wanted, "Config/Labels").as_object().into_iter().flatten() {
            let found = at(self.found, "Config/Labels").get(label).unwrap_or(&Value::Null);
            if found != value {
                all.push(is(label, found));
            }
        }
    }

    fn limits(&self, all: &mut Vec<String>) {
        let number = |name| at(self.found, &format!("HostConfig/{name}")).as_i64().unwrap_or_default();
        // Podman answers with the quota that it made of it.
        let quota = match number("CpuPeriod") {
            0 => 0,
            period => i128::from(number("CpuQuota")) * 1_000_000_000 / i128::from(period),
        };
        let want = at(self.wanted, "HostConfig/NanoCpus").as_i64().unwrap_or_default();
        if number("NanoCpus") != want && quota != i128::from(want) {
            all.push(is("HostConfig/NanoCpus", at(self.found, "HostConfig/NanoCpus")));
        }
        let limits = |side| -> Vec<(String, Value, Value)> {
            let name = |l: &Value| l["Name"].as_str().unwrap_or_default().to_ascii_lowercase();
            let list = at(side, "HostConfig/Ulimits").as_array().cloned().unwrap_or_default();
            list.iter()
                .map(|l| (name(l).trim_start_matches("rlimit_").to_owned(), l["Soft"].clone(), l["Hard"].clone()))
                .collect()
        };
        let (found, wanted) = (limits(self.found), limits(self.wanted));
        let more = !self.podman && found.len() != wanted.len();
        if more || wanted.iter().any(|l| !found.contains(l)) {
            all.push(is("HostConfig/Ulimits", at(self.found, "HostConfig/Ulimits")));
        }
    }

    fn security(&self, all: &mut Vec<String>) {
        let options = texts(at(self.found, "HostConfig/SecurityOpt"));
        let has = |start: &str| options.iter().any(|o| o.starts_with(start));
        let off = options.iter().any(|o| o.contains("unconfined") || o.contains("disable"));
        if !has("no-new-privileges") || !has("seccomp=") || off {
            all.push(is("HostConfig/SecurityOpt", at(self.found, "HostConfig/SecurityOpt")));
        }
        if at(self.found, "AppArmorProfile") == "unconfined" {
            all.push(is("AppArmorProfile", at(self.found, "AppArmorProfile")));
        }
        // Podman lists what ALL was.
        let dropped = texts(at(self.found, "HostConfig/CapDrop"));
        if !dropped.contains(&"ALL") && dropped.len() < 10 {
            all.push(is("HostConfig/CapDrop", at(self.found, "HostConfig/CapDrop")));
        }
        let ipc = at(self.found, "HostConfig/IpcMode");
        // Podman 4 says `shareable` of every ipc namespace of a container's own.
        if ipc != "private" && !(self.podman && ipc == "shareable") {
            all.push(is("HostConfig/IpcMode", ipc));
        }
        if at(self.found, "HostConfig/CgroupnsMode") == "host" {
            all.push(is("HostConfig/CgroupnsMode", at(self.found, "HostConfig/CgroupnsMode")));
        }
        for (path, entries) in GUARDED {
            let found = at(self.found, path);
            let listed = texts(found);
            if !found.is_null() && entries.iter().any(|e| !listed.contains(e)) {
                all.push(is(path, found));
            }
        }
    }

    /// Every mount there is, bar the tmpfs at /tmp, is one that was asked for.
    fn mounts(&self, all: &mut Vec<String>) {
        let tmp = at(self.found, "HostConfig/Tmpfs").get("/tmp").and_then(Value::as_str).unwrap_or_default();
        let want = at(self.wanted, "HostConfig/Tmpfs").get("/tmp").and_then(Value::as_str).unwrap_or_default();
        let size = want.split(',').find(|o| o.starts_with("size=")).unwrap_or_default();
        if ["nosuid", "nodev", size].iter().any(|o| !tmp.split(',').any(|have| have == *o)) {
            all.push(format!("HostConfig/Tmpfs is {tmp:?}"));
        }
        let mut found: Vec<Value> = at(self.found, "Mounts")
            .as_array()
            .into_iter()
            .flatten()
            .filter(|m| !(m["Type"] == "tmpfs" && m["Destination"] == "/tmp"))
            .map(|m| json!([m["Destination"], m["Source"], m["RW"], m["Propagation"]]))
            .collect();
        let mut wanted: Vec<Value> = at(self.wanted, "HostConfig/Mounts")
            .as_array()
            .into_iter()
            .flatten()
            .map(|m| json!([m["Target"], m["Source"], m["ReadOnly"] != true, m["BindOptions"]["Propagation"]]))
            .collect();
        for list in [&mut found, &mut wanted] {
            list.sort_by_key(ToString::to_string);
        }
        if found != wanted {
            all.push(is("Mounts", &json!(found)));
        }
    }

    fn networks(&self, all: &mut Vec<String>) {
        let networks = at(self.found, "NetworkSettings/Networks");
        for (name, network) in networks.as_object().into_iter().flatten() {
            if name != "none" || !is_nothing(at(network, "IPAddress")) || !is_nothing(at(network, "GlobalIPv6Address"))
            {
                all.push(is("NetworkSettings/Networks", networks));
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests;
