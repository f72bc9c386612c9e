//! Golden outputs for the tests: `tests/fixtures/golden/NAME.txt` is what a command prints. `UPDATE_GOLDEN=1` writes
//! them anew; a person then reads the difference.

use std::path::PathBuf;

use super::render::Style;

/// The styles that every listing is drawn in: name of the file's ending, style.
pub(crate) const STYLES: [(&str, Style); 4] = [
    ("80", Style { tty: true, color: false, unicode: true, width: 80 }),
    ("120", Style { tty: true, color: false, unicode: true, width: 120 }),
    ("ascii", Style { tty: true, color: false, unicode: false, width: 80 }),
    ("pipe", Style { tty: false, color: false, unicode: true, width: 80 }),
];

/// The checkout: as cargo says at run time, because the suite also runs as a user who sees only a copy of it.
pub(crate) fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

/// Compares `text` with the golden file.
#[track_caller]
pub(crate) fn check(name: &str, text: &str) {
    let path = root().join("tests/fixtures/golden").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().expect("directory")).expect("writable");
        std::fs::write(&path, text).expect("writable");
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, want, "{name} differs from {}", path.display());
}

/// Draws in every style, compares each, and checks that no line leaves the terminal.
#[track_caller]
pub(crate) fn check_styles(name: &str, draw: impl Fn(&Style) -> String) {
    for (ending, style) in STYLES {
        let text = draw(&style);
        if style.tty {
            for line in text.lines() {
                assert!(super::render::width(line) <= style.width, "{name} at {}: {line}", style.width);
            }
        }
        if !style.unicode {
            assert!(text.is_ascii(), "{name}: {text}");
        }
        check(&format!("{name}_{ending}"), &text);
    }
    let color = draw(&Style { color: true, ..STYLES[0].1 });
    assert_eq!(without_colour(&color), draw(&STYLES[0].1), "{name}: colours move the text");
}

fn without_colour(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("\x1b[") {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        rest = &tail[tail.find('m').map_or(tail.len(), |i| i + 1)..];
    }
    out + rest
}
