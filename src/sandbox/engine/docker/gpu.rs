//! Whether this engine can give a container a GPU: it says so in no one place, so the signs are collected.

use std::path::Path;

use bollard::models::SystemInfo;

use super::find::Pong;

/// What dockerd runs for a device request; it looks along its own PATH, which is this one or near to it.
const HOOKS: [&str; 3] = ["nvidia-container-runtime-hook", "nvidia-cdi-hook", "nvidia-container-toolkit"];
/// Where dockerd's PATH leads to in every distribution's unit.
const PATH: [&str; 5] = ["/usr/bin", "/usr/local/bin", "/usr/sbin", "/usr/local/sbin", "/usr/local/nvidia/toolkit"];
/// Where descriptions of CDI devices lie (container-device-interface, SPEC.md).
const CDI: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];

/// Whether a device request for a GPU will be met.
pub(super) fn given(info: &SystemInfo, pong: Pong) -> bool {
    if pong.podman {
        return CDI.iter().any(|dir| describes_nvidia(Path::new(dir)));
    }
    let runtimes = info.runtimes.as_ref().is_some_and(|all| all.contains_key("nvidia"));
    runtimes || PATH.iter().any(|dir| HOOKS.iter().any(|hook| Path::new(dir).join(hook).exists()))
}

fn describes_nvidia(dir: &Path) -> bool {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut texts = files.filter_map(|f| std::fs::read_to_string(f.path()).ok());
    texts.any(|text| text.contains("nvidia.com/gpu"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::Runtime;
    use std::collections::HashMap;

    #[test]
    fn the_nvidia_runtime_is_a_sign_and_a_description_is_podmans() {
        let pong = |podman| Pong { api: (1, 41), podman };
        let with = SystemInfo {
            runtimes: Some(HashMap::from([("nvidia".to_owned(), Runtime::default())])),
            ..SystemInfo::default()
        };
        assert!(given(&with, pong(false)));
        let dir = tempfile::tempdir().expect("tempdir");
        assert!(!describes_nvidia(dir.path()) && !describes_nvidia(Path::new("/nonexistent")));
        std::fs::write(dir.path().join("nvidia.yaml"), "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\n").expect("write");
        assert!(describes_nvidia(dir.path()));
    }
}
