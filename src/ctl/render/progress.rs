//! Spinners and bars, on standard error and only when a person watches.

use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Style;
use crate::ctl::context::Context;
use crate::model::format_bytes;

/// Redraws a second: smooth to the eye, cheap over ssh.
const HZ: u8 = 10;

/// What a long step shows of itself; nothing at all in pipes, with `--quiet` and with `--json`.
#[derive(Debug)]
pub struct Progress {
    shown: bool,
    style: Style,
    bar: Mutex<Option<ProgressBar>>,
}

impl Progress {
    /// A progress display that shows nothing yet.
    pub fn new(ctx: &Context) -> Self {
        Self { shown: ctx.err.tty && !ctx.quiet && !ctx.json, style: ctx.err, bar: Mutex::new(None) }
    }

    /// Shows a step whose length is unknown.
    pub fn spin(&self, text: impl Into<String>) {
        if self.shown {
            self.slot().get_or_insert_with(|| spinner(&self.style)).set_message(text.into());
        }
    }

    /// Shows `done` of `total` bytes of a step.
    pub fn bytes(&self, step: &str, done: u64, total: u64) {
        if !self.shown {
            return;
        }
        match done.saturating_mul(100).checked_div(total) {
            Some(percent) => self.spin(format!("{step} {} / {} ({percent}%)", format_bytes(done), format_bytes(total))),
            // Everything is there already.
            None => self.spin(step),
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
