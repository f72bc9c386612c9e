//! Spinners and bars, on standard error and only when a person watches.

use std::io::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Style;
use crate::ctl::context::Context;
use crate::model::format_bytes;

/// Redraws a second: smooth to the eye, cheap over ssh.
const HZ: u8 = 10;

/// What a long step shows of itself: in pipes only how far a long transfer is, and nothing at all with `--quiet` and
/// with `--json`.
#[derive(Debug)]
pub struct Progress {
    shown: bool,
    style: Style,
    bar: Mutex<Option<ProgressBar>>,
    /// Whether long transfers tell of themselves in lines, where nobody watches a bar.
    lines: bool,
    meter: Mutex<Option<Meter>>,
}

/// Between two lines about a transfer in a log.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// A rate is shown once it means something.
const RATE_AFTER: Duration = Duration::from_secs(1);

/// How fast a step goes.
#[derive(Debug)]
struct Meter {
    step: String,
    begun: Instant,
    /// Bytes that were done when we began to look.
    from: u64,
    told: Instant,
}

impl Progress {
    /// A progress display that shows nothing yet.
    pub fn new(ctx: &Context) -> Self {
        let speaks = !ctx.quiet && !ctx.json;
        Self {
            shown: ctx.err.tty && speaks,
            style: ctx.err,
            bar: Mutex::new(None),
            lines: !ctx.err.tty && speaks,
            meter: Mutex::new(None),
        }
    }

    /// Shows a step whose length is unknown.
    pub fn spin(&self, text: impl Into<String>) {
        if self.shown {
            self.slot().get_or_insert_with(|| spinner(&self.style)).set_message(text.into());
        }
    }

    /// Shows `done` of `total` bytes of a step, how fast they go and how long the others will take: on a terminal as it
    /// changes, elsewhere as a line now and then.
    pub fn bytes(&self, step: &str, done: u64, total: u64) {
        if !self.shown && !self.lines {
            return;
        }
        let now = Instant::now();
        let mut meter = self.meter.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let meter = match &mut *meter {
            Some(meter) if meter.step == step && meter.from <= done => meter,
            slot => slot.insert(Meter { step: step.to_owned(), begun: now, from: done, told: now }),
        };
        if self.lines && now - meter.told < LINE_EVERY {
            return;
        }
        let text = amount(step, done, total, done - meter.from, now - meter.begun);
        if self.shown {
            self.spin(text);
        } else {
            meter.told = now;
            // A reader that has gone away takes no lines, and is no reason to stop.
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        }
    }

    /// Takes it off the screen; a later [`Progress::spin`] brings it back.
    pub fn clear(&self) {
        if let Some(bar) = self.slot().take() {
            bar.finish_and_clear();
        }
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<ProgressBar>> {
        // A panic while it was held leaves at worst a stale spinner.
        self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// `sending files 12.0 MB / 1.0 GB (1%), 85.3 MB/s, 12 s left`; `lately` bytes of them went in `time`.
fn amount(step: &str, done: u64, total: u64, lately: u64, time: Duration) -> String {
    let Some(percent) = done.saturating_mul(100).checked_div(total) else {
        // Everything is there already.
        return step.to_owned();
    };
    let mut text = format!("{step} {} / {} ({percent}%)", format_bytes(done), format_bytes(total));
    let rate = lately as f64 / time.as_secs_f64();
    if time >= RATE_AFTER && rate >= 1.0 {
        let left = (total.saturating_sub(done) as f64 / rate).ceil().min(1e9) as u64;
        let left = match left {
            0..=99 => format!("{left} s"),
            100..=5999 => format!("{} min", left.div_ceil(60)),
            _ => format!("{} h", left.div_ceil(3600)),
        };
        text.push_str(&format!(", {}/s, {left} left", format_bytes(rate as u64)));
    }
    text
}

fn spinner(style: &Style) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(HZ));
    let ticks: &[&str] = if style.unicode {
        &["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏", " "]
    } else {
        &["|", "/", "-", "\\", " "]
    };
    // The template is a constant, so it cannot be malformed; the default would do as well.
    let look = ProgressStyle::with_template("{spinner} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(look.tick_strings(ticks));
    // A spinner that stands still looks like a hang.
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_says_how_far_how_fast_and_how_long() {
        let secs = Duration::from_secs;
        let say = |done, total, lately, time| amount("sending files", done, total, lately, time);
        assert_eq!(say(0, 0, 0, secs(0)), "sending files");
        assert_eq!(say(1 << 20, 4 << 20, 1 << 20, secs(0)), "sending files 1.0 MB / 4.0 MB (25%)");
        assert_eq!(
            say(1 << 20, 4 << 20, 1 << 20, secs(2)),
            "sending files 1.0 MB / 4.0 MB (25%), 512.0 KB/s, 6 s left"
        );
        assert!(say(1 << 20, 1 << 30, 1 << 20, secs(2)).ends_with("512.0 KB/s, 35 min left"));
        assert!(say(1 << 20, 1 << 40, 1 << 20, secs(2)).ends_with("512.0 KB/s, 583 h left"));
        // Nothing moves: no rate, and no time that would be made up.
        assert_eq!(say(1 << 20, 4 << 20, 0, secs(9)), "sending files 1.0 MB / 4.0 MB (25%)");
    }
}
