//! When a new picture of this machine is worth telling. Pure.
//!
//! Facts wake whoever watches them (heartbeat, registry, scheduler), so noise is kept back: what nobody would decide
//! differently by is not published.

use crate::model::{Facts, Gpu};

/// Points of processor or GPU use.
const PERCENT: u8 = 5;
/// Amounts of memory and disk: this part of the whole, and at least the bytes below.
const PART: u64 = 100;
/// A job is seldom placed by less than this.
const LEAST_BYTES: u64 = 64 << 20;

/// Whether `new` differs from `old` by more than noise.
pub(super) fn worth_telling(old: &Facts, new: &Facts) -> bool {
    let noise_only = near_percent(old.cpu_percent, new.cpu_percent)
        && near_bytes(old.memory_free_bytes, new.memory_free_bytes, new.memory_bytes)
        && near_bytes(old.disk_free_bytes, new.disk_free_bytes, new.disk_free_bytes)
        && old.gpus.len() == new.gpus.len()
        && old.gpus.iter().zip(&new.gpus).all(|(a, b)| near_gpu(a, b));
    let rest =
        |f: &Facts| Facts { cpu_percent: 0, memory_free_bytes: 0, disk_free_bytes: 0, gpus: Vec::new(), ..f.clone() };
    !noise_only || rest(old) != rest(new)
}

fn near_percent(a: u8, b: u8) -> bool {
    a.abs_diff(b) < PERCENT
}

fn near_bytes(a: u64, b: u64, whole: u64) -> bool {
    a.abs_diff(b) < (whole / PART).max(LEAST_BYTES)
}

fn near_gpu(a: &Gpu, b: &Gpu) -> bool {
    /// Degrees and watts: what is shown need not follow every one.
    const WARMTH: u16 = 5;
    const POWER: u16 = 20;
    let near = |a: Option<u16>, b: Option<u16>, most: u16| match (a, b) {
        (Some(a), Some(b)) => a.abs_diff(b) < most,
        (a, b) => a == b,
    };
    (a.index, &a.name, a.taken) == (b.index, &b.name, b.taken)
        && near(a.temperature_c, b.temperature_c, WARMTH)
        && near(a.power_watts, b.power_watts, POWER)
        && a.memory_bytes == b.memory_bytes
        && near_percent(a.busy_percent, b.busy_percent)
        && near_bytes(a.memory_free_bytes, b.memory_free_bytes, b.memory_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GpuUse;

    fn facts() -> Facts {
        Facts {
            cores: 8,
            cpu_percent: 20,
            memory_bytes: 32 << 30,
            memory_free_bytes: 16 << 30,
            disk_free_bytes: 100 << 30,
            gpus: vec![Gpu {
                name: "A".into(),
                memory_bytes: 8 << 30,
                memory_free_bytes: 8 << 30,
                busy_percent: 0,
                temperature_c: Some(50),
                ..Gpu::default()
            }],
            job_slots: 2,
            ..Facts::default()
        }
    }

    #[test]
    fn noise_is_kept_back_and_news_is_told() {
        type Change = fn(&mut Facts);
        let noise: [Change; 5] = [
            |f| f.cpu_percent += 4,
            |f| f.memory_free_bytes -= 200 << 20,
            |f| f.disk_free_bytes -= 900 << 20,
            |f| f.gpus[0].memory_free_bytes -= 50 << 20,
            |f| f.gpus[0].temperature_c = Some(52),
        ];
        for change in noise {
            let mut new = facts();
            change(&mut new);
            assert!(!worth_telling(&facts(), &new), "{new:?}");
        }
        let news: [Change; 12] = [
            |f| f.cpu_percent -= 5,
            |f| f.memory_free_bytes -= 1 << 30,
            |f| f.disk_free_bytes -= 2 << 30,
            |f| f.gpus[0].busy_percent = 90,
            |f| f.gpus[0].memory_free_bytes = 0,
            |f| f.gpus.clear(),
            |f| f.gpus[0].taken = Some(GpuUse::Owner),
            |f| f.gpus[0].temperature_c = Some(80),
            |f| f.jobs_running = 1,
            |f| f.paused = Some("in use".into()),
            |f| f.memory_limit_bytes = 1,
            |f| f.cores = 4,
        ];
        for change in news {
            let mut new = facts();
            change(&mut new);
            assert!(worth_telling(&facts(), &new), "{new:?}");
        }
    }

    #[test]
    fn a_slow_drift_is_told_once_it_adds_up() {
        let told = facts();
        let mut now = facts();
        let steps = (1..=5).take_while(|_| {
            now.cpu_percent += 1;
            !worth_telling(&told, &now)
        });
        assert_eq!(steps.count(), 4, "the comparison is with what was told, not with the last sample");
    }
}
