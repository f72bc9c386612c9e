//! Questions on the terminal.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

use crate::ctl::exit::CtlError;

/// Whether somebody is there to answer.
pub(super) fn somebody_answers() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks until `check` likes the answer; an empty one takes the default.
///
/// # Errors
/// The terminal is gone, or the input ended.
pub(super) fn ask(
    question: &str,
    default: &str,
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<String, CtlError> {
    loop {
        eprint!("{question} [{default}]: ");
        let _ = io::stderr().flush();
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line).map_err(gone)? == 0 {
            return Err(CtlError::usage_hint("the answer was cut off", "`homie setup --yes` asks nothing"));
        }
        let answer = match line.trim() {
            "" => default,
            typed => typed,
        };
        match check(answer) {
            Ok(()) => return Ok(answer.to_owned()),
            Err(why) => eprintln!("  {why}"),
        }
    }
}

/// Asks a question that is answered by one of `choices` or its first letter.
///
/// # Errors
/// The terminal is gone, or the input ended.
pub(super) fn choose(question: &str, choices: &[&str], default: &str) -> Result<String, CtlError> {
    let meant = |text: &str| -> Option<String> {
        let text = text.to_lowercase();
        choices.iter().find(|c| **c == text || (text.len() == 1 && c.starts_with(&text))).map(|c| (*c).to_owned())
    };
    let answer = ask(&format!("{question} ({})", choices.join("/")), default, |text| {
        meant(text).map(|_| ()).ok_or_else(|| format!("answer {}", choices.join(" or ")))
    })?;
    Ok(meant(&answer).unwrap_or(answer))
}

/// Asks for something that must not be shown.
///
/// # Errors
/// The terminal is gone, or the user gave up with Ctrl-C.
pub(super) fn ask_hidden(question: &str) -> Result<String, CtlError> {
    eprint!("{question} (not shown): ");
    let _ = io::stderr().flush();
    let typed = {
        let _quiet = Quiet::new()?;
        read_keys(&mut io::stdin().lock())
    };
    eprintln!();
    typed
}

/// Reads keys up to Enter. Signals are keys here, so that Ctrl-C cannot leave the terminal without its echo.
fn read_keys(input: &mut impl Read) -> Result<String, CtlError> {
    const CTRL_C: u8 = 3;
    const CTRL_D: u8 = 4;
    const CTRL_U: u8 = 21;
    let mut bytes = Vec::new();
    let mut key = [0];
    loop {
        if input.read(&mut key).map_err(gone)? == 0 {
            break;
        }
        match key[0] {
            b'\r' | b'\n' | CTRL_D => break,
            CTRL_C => return Err(CtlError::usage("given up; nothing was changed")),
            CTRL_U => bytes.clear(),
            8 | 127 => {
                // A whole character goes, not one byte of it.
                while bytes.pop().is_some_and(|b: u8| b & 0xc0 == 0x80) {}
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).map(|s| s.trim().to_owned()).map_err(|_| CtlError::usage("that is not UTF-8 text"))
}

/// A terminal without echo until it is dropped.
struct Quiet(Termios);

impl Quiet {
    fn new() -> Result<Self, CtlError> {
        let before = tcgetattr(io::stdin()).map_err(|e| gone(e.into()))?;
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG);
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &quiet).map_err(|e| gone(e.into()))?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // The terminal is gone if this fails, and its settings with it.
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0);
    }
}

fn gone(error: io::Error) -> CtlError {
    CtlError::io("cannot read the terminal", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_keys_are_edited_as_in_any_prompt() {
        let read = |keys: &[u8]| read_keys(&mut &keys[..]);
        assert_eq!(read(b"abd\x7fc\r").expect("typed"), "abc");
        assert_eq!(read("aü\x7fb\n".as_bytes()).expect("typed"), "ab");
        assert_eq!(read(b"wrong\x15right").expect("typed"), "right");
        assert!(read(b"abc\x03").is_err());
        assert!(read(b"\xff\r").is_err());
    }
}
