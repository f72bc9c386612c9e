//! Whether a GPU sleeps, by the kernel's word, which does not wake it: `/sys/bus/pci/devices/ADDRESS/power`
//! (Documentation/power/runtime_pm.rst).

use std::fs;
use std::path::PathBuf;

/// Where the kernel tells.
#[derive(Debug)]
pub(super) struct PciPower {
    devices: PathBuf,
}

impl PciPower {
    /// This machine's.
    pub(super) fn system() -> Self {
        Self::below("/sys/bus/pci/devices".into())
    }

    /// Another place, for tests.
    pub(super) fn below(devices: PathBuf) -> Self {
        Self { devices }
    }

    /// Whether there are GPUs and every one of them sleeps. `buses` are NVML's bus addresses.
    pub(super) fn all_asleep(&self, buses: &[String]) -> bool {
        !buses.is_empty() && buses.iter().all(|bus| self.says(bus, "runtime_status", "suspended"))
    }

    /// Whether the kernel may put one to sleep when nobody uses it: so on laptops, seldom elsewhere.
    pub(super) fn any_may_sleep(&self, buses: &[String]) -> bool {
        buses.iter().any(|bus| self.says(bus, "control", "auto"))
    }

    fn says(&self, bus: &str, file: &str, word: &str) -> bool {
        let path = self.devices.join(address(bus)).join("power").join(file);
        fs::read_to_string(path).is_ok_and(|text| text.trim() == word)
    }
}

/// The kernel's form of NVML's `00000000:01:00.0`: four digits of domain, lower case.
fn address(bus: &str) -> String {
    let bus = bus.to_ascii_lowercase();
    match bus.split_once(':') {
        Some((domain, rest)) if domain.len() > 4 && domain.is_ascii() => {
            format!("{}:{rest}", &domain[domain.len() - 4..])
        }
        _ => bus,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_sleeps_when_the_kernel_says_so() {
        let dir = tempfile::tempdir().expect("tempdir");
        let power = PciPower::below(dir.path().into());
        let put = |bus: &str, status: &str, control: &str| {
            let at = dir.path().join(bus).join("power");
            fs::create_dir_all(&at).expect("mkdir");
            fs::write(at.join("runtime_status"), format!("{status}\n")).expect("write");
            fs::write(at.join("control"), format!("{control}\n")).expect("write");
        };
        let buses = ["00000000:01:00.0".to_owned(), "00000000:0A:00.0".to_owned()];
        assert!(!power.all_asleep(&buses) && !power.any_may_sleep(&buses), "a kernel that says nothing");
        put("0000:01:00.0", "suspended", "auto");
        put("0000:0a:00.0", "active", "on");
        assert!(!power.all_asleep(&buses) && power.any_may_sleep(&buses));
        put("0000:0a:00.0", "suspended", "auto");
        assert!(power.all_asleep(&buses));
        assert!(!power.all_asleep(&[]), "no GPU is no sleeping GPU");
    }
}
