//! How things look: cards, tables, ticks, colours, each in Unicode, in ASCII, and plain for pipes.

mod card;
mod job;
mod progress;
mod table;

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::time::{Duration, UNIX_EPOCH};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

pub use card::card;
pub use job::job_json;
pub use progress::Progress;
pub use table::Table;

/// Columns assumed when the terminal does not tell.
const DEFAULT_WIDTH: usize = 80;
/// Below this nothing can be drawn; wider lines are better than none.
const MIN_WIDTH: usize = 40;

/// What an output stream can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// A person watches: draw boxes.
    pub tty: bool,
    /// Colour codes are welcome.
    pub color: bool,
    /// The locale is UTF-8; otherwise ASCII alone.
    pub unicode: bool,
    /// Columns.
    pub width: usize,
}

impl Style {
    /// What `stream` can show, by the terminal and by NO_COLOR, TERM and the locale's variables.
    pub fn detect(stream: &impl AsFd, no_color: bool, env: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let fd = stream.as_fd();
        let tty = std::io::IsTerminal::is_terminal(&fd);
        let set = |name: &str| env(name).filter(|v| !v.is_empty());
        let dumb = set("TERM").is_none_or(|term| term == "dumb");
        let width = terminal_size::terminal_size_of(fd).map_or(DEFAULT_WIDTH, |(w, _)| usize::from(w.0));
        Self {
            tty,
            color: tty && !no_color && !dumb && set("NO_COLOR").is_none(),
            unicode: is_utf8_locale(&set),
            width: width.max(MIN_WIDTH),
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// For what failed.
    pub fn red(&self, text: &str) -> String {
        self.paint("31", text)
    }

    /// For what went well.
    pub fn green(&self, text: &str) -> String {
        self.paint("32", text)
    }

    /// For warnings.
    pub fn yellow(&self, text: &str) -> String {
        self.paint("33", text)
    }

    /// For names and next steps.
    pub fn cyan(&self, text: &str) -> String {
        self.paint("36", text)
    }

    /// For titles.
    pub fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    /// For what matters less.
    pub fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    /// `unicode` where the locale can show it, else `ascii`.
    pub fn pick<'a>(&self, unicode: &'a str, ascii: &'a str) -> &'a str {
        if self.unicode { unicode } else { ascii }
    }

    /// A green tick.
    pub fn tick(&self) -> String {
        self.green(self.pick("✓", "+"))
    }

    /// A red cross.
    pub fn cross(&self) -> String {
        self.red(self.pick("✗", "x"))
    }
}

/// The rule of POSIX: the first of LC_ALL, LC_CTYPE, LANG that is set decides; none is the C locale.
fn is_utf8_locale(env: &dyn Fn(&str) -> Option<OsString>) -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(env).is_some_and(|locale| {
        let locale = locale.to_string_lossy().to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

/// Columns that `text` takes on a terminal.
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// `text` cut to at most `columns`, with an ellipsis where something is missing.
pub fn shorten(text: &str, columns: usize, style: &Style) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let ellipsis = style.pick("…", "...");
    let room = columns.saturating_sub(width(ellipsis));
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > room {
            break;
        }
        out.push(c);
    }
    out + ellipsis
}

/// Milliseconds since 1970 as RFC 3339 in UTC, the form of every time in `--json`.
pub fn rfc3339(ms: u64) -> String {
    // The last instant humantime can write is in the year 9999; a clock beyond it is broken.
    const LAST: u64 = 253_402_300_799_999;
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(ms.min(LAST))).to_string()
}

/// How long ago `then` was, for people: `now`, `12s`, `5m`, `3h`, `2d`.
pub fn ago(then_ms: u64, now_ms: u64) -> String {
    let s = now_ms.saturating_sub(then_ms) / 1000;
    match s {
        0..2 => "now".into(),
        2..60 => format!("{s}s"),
        60..3600 => format!("{}m", s / 60),
        3600..86_400 => format!("{}h", s / 3600),
        _ => format!("{}d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A style for golden tests.
    pub(super) fn style(unicode: bool, tty: bool, width: usize) -> Style {
        Style { tty, color: false, unicode, width }
    }

    #[test]
    fn the_locale_decides_between_unicode_and_ascii() {
        let with = |vars: &'static [(&str, &str)]| {
            is_utf8_locale(&move |name: &str| vars.iter().find(|(k, _)| *k == name).map(|(_, v)| OsString::from(v)))
        };
        assert!(with(&[("LANG", "en_US.UTF-8")]));
        assert!(with(&[("LC_ALL", "C.utf8"), ("LANG", "C")]));
        assert!(!with(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")]));
        assert!(!with(&[]));
    }

    #[test]
    fn a_pipe_gets_no_colour() {
        let (reader, _writer) = std::io::pipe().expect("pipe");
        let style = Style::detect(&reader, false, &|name| (name == "TERM").then(|| "xterm".into()));
        assert!(!style.tty && !style.color);
        assert_eq!(style.red("x"), "x");
    }

    #[test]
    fn wide_characters_are_cut_by_columns() {
        let s = style(true, true, 80);
        assert_eq!(shorten("日本語テキスト", 7, &s), "日本語…");
        assert_eq!(shorten("short", 5, &s), "short");
    }

    #[test]
    fn times_read_well() {
        assert_eq!(rfc3339(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
        assert_eq!(rfc3339(u64::MAX), "9999-12-31T23:59:59.999Z");
        assert_eq!([ago(5, 0), ago(0, 61_000), ago(0, 7_300_000), ago(0, 200_000_000)], ["now", "1m", "2h", "2d"]);
    }
}
