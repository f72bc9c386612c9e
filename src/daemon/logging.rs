//! What homied says about itself: lines on stderr, for a terminal, a log file or systemd's journal.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::panic::PanicHookInfo;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{self, FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, writer::BoxMakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// What is logged if nobody says otherwise: what an owner should know, from Homie and its libraries.
const DEFAULT: &str = "info";

/// Begins logging to stderr. `HOMIE_LOG`, else `RUST_LOG`, says what (`debug`, `info,homie::link=trace`).
pub fn start() {
    let wish = ["HOMIE_LOG", "RUST_LOG"].into_iter().find_map(|v| std::env::var(v).ok().filter(|w| !w.is_empty()));
    let (filter, refused) = filter(wish.as_deref());
    let lines = Lines { journal: to_journal() };
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(BoxMakeWriter::new(std::io::stderr))
        .event_format(lines)
        .try_init();
    if let Err(e) = started {
        // Somebody else logs in this process already, as in tests.
        tracing::debug!("logging was started before: {e}");
    }
    if let Some(refused) = refused {
        tracing::warn!("{refused}");
    }
}

fn filter(wish: Option<&str>) -> (EnvFilter, Option<String>) {
    match wish.map(EnvFilter::try_new) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(e)) => {
            let refused = format!("HOMIE_LOG or RUST_LOG cannot be read ({e}); logging at {DEFAULT}");
            (EnvFilter::new(DEFAULT), Some(refused))
        }
        None => (EnvFilter::new(DEFAULT), None),
    }
}

/// Whether stderr is the journal: systemd says in `JOURNAL_STREAM` which file that would be, and a process whose
/// stderr was redirected since inherits the variable all the same (systemd.exec(5)).
fn to_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    std::fs::metadata("/dev/stderr").is_ok_and(|m| stream == format!("{}:{}", m.dev(), m.ino()))
}

/// From now on a panic in any thread ends the process, after a line that says where: half a homied is worse than
/// none, and the service manager starts it anew.
pub fn abort_on_panic() {
    std::panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("unnamed").to_owned();
        let trace = std::backtrace::Backtrace::force_capture();
        tracing::error!("homied's thread {name} failed, which it never should: {panic}\n{trace}");
        std::process::abort();
    }));
}

/// One event, one line: `2026-11-21T06:00:00Z  INFO homie::link: linked peer=bob`. The journal has the time and
/// understands `<6>` as the level (sd-daemon(3)).
struct Lines {
    journal: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let meta = event.metadata();
        if self.journal {
            write!(out, "<{}>", priority(*meta.level()))?;
        } else {
            SystemTime.format_time(&mut out)?;
            write!(out, " {:>5} ", meta.level())?;
        }
        write!(out, "{}: ", meta.target())?;
        ctx.format_fields(format::Writer::by_ref(&mut out), event)?;
        writeln!(out)
    }
}

/// syslog's number for a level.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("page").write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(journal: bool, wish: Option<&str>, act: impl FnOnce()) -> String {
        let page = Page::default();
        let writer = page.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter(wish).0)
            .with_writer(move || writer.clone())
            .event_format(Lines { journal })
            .finish();
        tracing::subscriber::with_default(subscriber, act);
        let bytes = page.0.lock().expect("page").clone();
        String::from_utf8(bytes).expect("utf-8")
    }

    #[test]
    fn lines_suit_a_terminal_or_the_journal() {
        let act = || tracing::warn!(peer = "bob", "gone");
        let line = logged(false, None, act);
        assert!(line.ends_with("Z  WARN homie::daemon::logging::tests: gone peer=\"bob\"\n"), "{line}");
        assert!(line.starts_with("20"), "{line}");
        assert_eq!(logged(true, None, act), "<4>homie::daemon::logging::tests: gone peer=\"bob\"\n");
        assert!(!line.contains('\u{1b}'), "no colours");
    }

    #[test]
    fn what_is_logged_follows_the_wish() {
        let act = || {
            tracing::info!("i");
            tracing::debug!("d");
        };
        assert_eq!(logged(true, None, act).lines().count(), 1);
        assert_eq!(logged(true, Some("debug"), act).lines().count(), 2);
        assert_eq!(logged(true, Some("error"), act), "");
        let (_, refused) = filter(Some("homie=loud"));
        assert!(refused.is_some_and(|r| r.contains("HOMIE_LOG")));
        assert_eq!(logged(true, Some("homie=loud"), act).lines().count(), 1, "a bad wish leaves the default");
    }
}
