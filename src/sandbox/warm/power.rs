//! Whether this machine runs on its battery: waiting containers cost memory and now and then a wake-up.

use std::fs;
use std::path::Path;

/// Where Linux lists power supplies (Documentation/ABI/testing/sysfs-class-power).
pub(super) const SUPPLIES: &str = "/sys/class/power_supply";

/// A battery is being drawn from, and no mains supply is connected. Machines without either are on mains.
pub(super) fn on_battery(supplies: &Path) -> bool {
    let (mut discharging, mut mains) = (false, false);
    for supply in fs::read_dir(supplies).into_iter().flatten().flatten() {
        let read = |name: &str| fs::read_to_string(supply.path().join(name)).unwrap_or_default();
        // The batteries of mice and keyboards say that their scope is the device.
        match read("type").trim() {
            "Battery" if read("scope").trim() != "Device" => discharging |= read("status").trim() == "Discharging",
            "Mains" | "USB" => mains |= read("online").trim() == "1",
            _ => {}
        }
    }
    discharging && !mains
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_laptop_is_on_battery_when_unplugged_only() {
        let dir = tempfile::tempdir().expect("tempdir");
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().expect("parent")).expect("made");
            fs::write(path, text).expect("written");
        };
        assert!(!on_battery(dir.path()));
        assert!(!on_battery(Path::new("/nonexistent")));
        put("AC/type", "Mains\n");
        put("AC/online", "1\n");
        put("BAT0/type", "Battery\n");
        put("BAT0/status", "Charging\n");
        assert!(!on_battery(dir.path()));
        put("AC/online", "0\n");
        put("BAT0/status", "Discharging\n");
        assert!(on_battery(dir.path()));
        put("BAT0/scope", "Device\n");
        assert!(!on_battery(dir.path()));
    }
}
