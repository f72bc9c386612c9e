//! What goes into the cells of tables, cards and the dashboard: load bars, memory, GPUs, states.

use super::render::Style;
use crate::model::{
    Facts, Gpu, JobRecord, Outcome, PeerStatus, PeerView, Via, format_bytes, format_duration, is_tailnet,
    visible_controls,
};

/// Columns from which tables show what does not fit into 80.
pub const WIDE: usize = 110;

/// Milliseconds since 1970, for `3m ago`. A clock before 1970 counts as 1970.
pub fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Text that another machine or a file's name brought, safe for the terminal.
pub fn clean(text: &str) -> String {
    visible_controls(text.as_bytes())
}

/// `23% ▓░`: a number and a bar of `cells` cells. A cell counts from a third of it, as the sources draw it (23 % has
/// one of two, 12 % none).
pub fn load_bar(percent: u8, cells: usize, style: &Style) -> String {
    let percent = usize::from(percent.min(100));
    let full = (percent * cells * 3 + 200) / 300;
    let full = full.min(cells);
    let bar = style.pick("▓", "#").repeat(full) + &style.pick("░", ".").repeat(cells - full);
    format!("{percent}% {bar}")
}

/// Bytes as on a data sheet: `32 GB` rather than `32.0 GB`.
pub fn round_bytes(bytes: u64) -> String {
    format_bytes(bytes).replace(".0 ", " ")
}

/// A GPU's name without what every name begins with: `RTX 3080`.
pub fn short_gpu(name: &str) -> &str {
    let name = name.trim();
    let name = name.strip_prefix("NVIDIA ").unwrap_or(name);
    name.strip_prefix("GeForce ").unwrap_or(name)
}

/// All GPUs in one cell: `RTX 3080`, `2x RTX 3080`, `RTX 3080 + 1`, `RTX 3080 in use`, or `-`.
pub fn gpu_cell(gpus: &[Gpu], with_memory: bool) -> String {
    let Some(first) = gpus.first() else { return "-".into() };
    let name = short_gpu(&first.name);
    let alike = gpus.iter().filter(|g| g.name == first.name).count();
    let mut text = if alike > 1 { format!("{alike}x {}", clean(name)) } else { clean(name) };
    if gpus.iter().all(|g| g.taken.is_some()) {
        text.push_str(" in use");
    } else if with_memory {
        text.push_str(&format!(" ({})", round_bytes(first.memory_bytes)));
    }
    if alike < gpus.len() {
        text.push_str(&format!(" + {}", gpus.len() - alike));
    }
    text
}

/// How a GPU is: `3% ▓░, 9.0 GB free, 45 °C, 30 W, taken by a job`.
pub fn gpu_state(gpu: &Gpu, cells: usize, style: &Style) -> String {
    let mut parts =
        vec![load_bar(gpu.busy_percent, cells, style), format!("{} free", format_bytes(gpu.memory_free_bytes))];
    parts.extend(gpu.temperature_c.map(|c| format!("{c} {}C", style.pick("°", ""))));
    parts.extend(gpu.power_watts.map(|w| format!("{w} W")));
    parts.extend(gpu.taken.map(|t| t.as_text().to_owned()));
    parts.join(", ")
}

/// `● idle`.
pub fn status_cell(status: PeerStatus, style: &Style) -> String {
    format!("{} {}", style.pick("●", "*"), status.as_str())
}

/// The same with the colour of its state.
pub fn painted_status(status: PeerStatus, style: &Style) -> String {
    let text = status_cell(status, style);
    match status {
        PeerStatus::Idle => style.green(&text),
        PeerStatus::Busy => style.yellow(&text),
        PeerStatus::Paused => style.cyan(&text),
        PeerStatus::Offline => style.dim(&text),
    }
}

/// The address people use: without the port, and an IPv4 address in IPv6 clothes as IPv4.
///
/// `-` where a proxy resolved the name and kept the address to itself.
pub fn ip_cell(peer: &PeerView) -> String {
    let ip = peer.addr.ip().to_canonical();
    if ip.is_unspecified() { "-".to_owned() } else { ip.to_string() }
}

/// The way to a peer: `lan`, `direct`, `tailnet`, `proxy`.
pub fn path_cell(peer: &PeerView) -> &'static str {
    match peer.via {
        Via::Own => "this machine",
        Via::Broadcast => "lan",
        Via::Proxy => "proxy",
        Via::Direct if is_tailnet(peer.addr.ip().to_canonical()) => "tailnet",
        Via::Direct => "direct",
    }
}

/// `2 of 4`: slots in use.
pub fn jobs_cell(facts: &Facts) -> String {
    format!("{} of {}", facts.jobs_running, facts.job_slots)
}

/// A job's state in a word or two: `succeeded`, `exit 3`, `signal 9`, `timed-out`.
pub fn job_state_cell(job: &JobRecord) -> String {
    match &job.outcome {
        Some(Outcome::Exited { code }) if job.is_terminal() && *code != 0 => format!("exit {code}"),
        Some(Outcome::Signaled { signal }) if job.is_terminal() => format!("signal {signal}"),
        _ => job.state.as_str().to_owned(),
    }
}

/// How long a job's program ran, or has been running at `now_ms`; `-` before it started.
pub fn run_time_cell(job: &JobRecord, now_ms: u64) -> String {
    let ms = match (job.started_ms, job.is_terminal()) {
        (Some(_), true) | (None, true) if job.usage.wall_ms > 0 => job.usage.wall_ms,
        (Some(started), true) => job.ended_ms.unwrap_or(started).saturating_sub(started),
        (Some(started), false) => now_ms.saturating_sub(started),
        (None, _) => return "-".into(),
    };
    format_duration(ms)
}

/// How long something has been up, in whole units: `12s`, `5m`, `3h 20m`, `2d 4h`.
pub fn uptime(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m", s / 60),
        3600..86_400 => format!("{}h {:02}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d {}h", s / 86_400, s % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::sample;
    use crate::model::GpuUse;
    use proptest::prelude::*;

    const UNICODE: Style = Style { tty: true, color: false, unicode: true, width: 80 };
    const ASCII: Style = Style { unicode: false, ..UNICODE };

    #[test]
    fn bars_are_the_ones_the_sources_draw() {
        assert_eq!(load_bar(23, 2, &UNICODE), "23% ▓░");
        assert_eq!(load_bar(12, 2, &UNICODE), "12% ░░");
        assert_eq!(load_bar(100, 4, &ASCII), "100% ####");
        assert_eq!(load_bar(255, 2, &ASCII), "100% ##");
        assert_eq!(load_bar(0, 2, &ASCII), "0% ..");
    }

    #[test]
    fn gpus_read_like_their_boxes() {
        let gpu = |name: &str| Gpu {
            name: name.into(),
            memory_bytes: 10 << 30,
            memory_free_bytes: 0,
            busy_percent: 0,
            ..Gpu::default()
        };
        assert_eq!(gpu_cell(&[], true), "-");
        assert_eq!(gpu_cell(&[gpu("NVIDIA GeForce RTX 3080")], true), "RTX 3080 (10 GB)");
        assert_eq!(gpu_cell(&[gpu("NVIDIA H200"), gpu("NVIDIA H200")], false), "2x H200");
        assert_eq!(gpu_cell(&[gpu("NVIDIA H200"), gpu("NVIDIA T4")], false), "H200 + 1");
        let used = Gpu {
            taken: Some(GpuUse::Owner),
            temperature_c: Some(45),
            power_watts: Some(30),
            memory_free_bytes: 9 << 30,
            ..gpu("NVIDIA T4")
        };
        assert_eq!(gpu_cell(&[used.clone(), used.clone()], true), "2x T4 in use");
        assert_eq!(gpu_cell(&[used.clone(), gpu("NVIDIA T4")], true), "2x T4 (10 GB)");
        assert_eq!(gpu_state(&used, 2, &ASCII), "0% .., 9.0 GB free, 45 C, 30 W, in use by its owner");
    }

    #[test]
    fn the_way_to_a_peer_is_told_by_its_address() {
        let at = |addr: &str, via| {
            path_cell(&PeerView { addr: addr.parse().expect("address"), via, ..sample::peers().remove(0) })
        };
        assert_eq!(at("192.168.1.4:5556", Via::Broadcast), "lan");
        assert_eq!(at("100.64.1.2:5556", Via::Direct), "tailnet");
        assert_eq!(at("100.128.0.1:5556", Via::Direct), "direct");
        assert_eq!(at("[fd7a:115c:a1e0::1]:5556", Via::Direct), "tailnet");
        assert_eq!(at("[::ffff:100.64.1.2]:5556", Via::Direct), "tailnet");
    }

    #[test]
    fn up_times_read_well() {
        let texts = [900, 65_000, 12_000_000, 187_200_000].map(uptime);
        assert_eq!(texts, ["0s", "1m", "3h 20m", "2d 4h"]);
    }

    proptest! {
        #[test]
        fn a_bar_never_changes_its_length(percent: u8, cells in 0usize..20) {
            let text = load_bar(percent, cells, &ASCII);
            prop_assert_eq!(text.split(' ').nth(1).map(str::len), Some(cells));
        }
    }
}
