//! Smoothing of a load that jumps. Pure.

use std::time::Duration;

/// Time after which an old load weighs 1/e: three samples, so that one compile step does not make a machine look
/// busy, and a machine that became busy is known as such within ten seconds.
const MEMORY: Duration = Duration::from_secs(6);

/// An exponentially weighted mean over time: samples may come at any interval.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Smooth(Option<f32>);

impl Smooth {
    /// Takes in `sample`, `since` after the one before. The first one is taken as it is.
    pub(super) fn push(&mut self, sample: f32, since: Duration) -> f32 {
        let sample = if sample.is_finite() { sample } else { 0.0 };
        let next = match self.0 {
            None => sample,
            Some(old) => {
                let weight = 1.0 - (-since.as_secs_f32() / MEMORY.as_secs_f32()).exp();
                old + (sample - old) * weight
            }
        };
        self.0 = Some(next);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TICK: Duration = Duration::from_secs(2);

    #[test]
    fn a_spike_is_damped_and_a_lasting_load_is_believed() {
        let mut cpu = Smooth::default();
        assert_eq!(cpu.push(10.0, TICK), 10.0);
        assert!(cpu.push(100.0, TICK) < 40.0, "one busy sample");
        let after_ten_seconds = (0..5).map(|_| cpu.push(100.0, TICK)).last().expect("five");
        assert!(after_ten_seconds > 85.0, "{after_ten_seconds}");
        assert!(cpu.push(0.0, Duration::from_secs(3600)) < 0.1, "after a sleep only the new sample counts");
    }

    proptest! {
        #[test]
        fn it_stays_between_its_samples(samples in proptest::collection::vec((0f32..=100.0, 0u64..10_000), 1..50)) {
            let mut cpu = Smooth::default();
            for (sample, ms) in samples {
                let value = cpu.push(sample, Duration::from_millis(ms));
                prop_assert!((-0.01..=100.01).contains(&value), "{}", value);
            }
        }
    }
}
