//! How a script is started: by what it is (a binary), by its interpreter line, or by its extension.

use crate::ctl::exit::CtlError;

/// Bytes of a script that are looked at: more than any interpreter line the kernel accepts (256 bytes).
pub(super) const HEAD_BYTES: usize = 512;

/// Beginnings of programs that need no interpreter: ELF, and Mach-O in its byte orders and as a universal file.
const BINARY_MAGIC: [&[u8]; 5] =
    [b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xfe\xed\xfa\xcf", b"\xca\xfe\xba\xbe"];

/// Extensions and what runs them.
const INTERPRETERS: [(&str, &[&str]); 15] = [
    ("py", &["python3"]),
    ("sh", &["sh"]),
    ("bash", &["bash"]),
    ("zsh", &["zsh"]),
    ("fish", &["fish"]),
    ("pl", &["perl"]),
    ("rb", &["ruby"]),
    ("js", &["node"]),
    ("mjs", &["node"]),
    ("cjs", &["node"]),
    ("lua", &["lua"]),
    ("r", &["Rscript"]),
    ("jl", &["julia"]),
    ("php", &["php"]),
    ("awk", &["awk", "-f"]),
];

/// The argument vector that starts the script at `path` (relative to the job's directory), without its arguments.
/// `head` is its beginning, `exec` whether its owner may execute it.
///
/// # Errors
/// Nothing tells what it is; the hint says how to.
pub(super) fn resolve(path: &str, head: &[u8], exec: bool) -> Result<Vec<String>, CtlError> {
    let with = |interpreter: &[&str]| -> Vec<String> {
        interpreter.iter().map(|word| (*word).to_owned()).chain([operand(path)]).collect()
    };
    if BINARY_MAGIC.iter().any(|magic| head.starts_with(magic)) {
        return Ok(vec![format!("./{path}")]);
    }
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|b| *b == b'\n').next().unwrap_or_default();
        let words = interpreter_line(&String::from_utf8_lossy(line));
        if !words.is_empty() {
            return Ok(with(&words.iter().map(String::as_str).collect::<Vec<_>>()));
        }
    }
    let extension = path.rsplit_once('.').map(|(_, ext)| ext.to_ascii_lowercase()).unwrap_or_default();
    if let Some((_, interpreter)) = INTERPRETERS.iter().find(|(ext, _)| *ext == extension) {
        return Ok(with(interpreter));
    }
    match exec {
        // What a shell does with an executable text file that the kernel refuses.
        true if !head.contains(&0) => Ok(with(&["sh"])),
        true => Ok(vec![format!("./{path}")]),
        false => Err(CtlError::usage_hint(
            format!("cannot tell how to run {path}: it is no program, has no interpreter line and no known extension"),
            "begin it with a line such as `#!/usr/bin/env python3`, or give it an extension such as .py or .sh",
        )),
    }
}

/// A path that no interpreter takes for an option.
fn operand(path: &str) -> String {
    if path.starts_with('-') { format!("./{path}") } else { path.to_owned() }
}

/// The words of an interpreter line: the program's base name, to be found by the PATH of the machine that runs it, and
/// its arguments. Directories of this machine mean nothing there.
fn interpreter_line(line: &str) -> Vec<String> {
    let (program, argument) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
    let mut words = vec![program_name(program)];
    let argument = argument.trim();
    if words[0] == "env" {
        // `env NAME` is what we do anyway; `env -S` splits the rest, as the kernel does not.
        let rest: Vec<&str> = match argument.strip_prefix("-S") {
            Some(rest) => rest.split_whitespace().collect(),
            None => argument.split_whitespace().collect(),
        };
        let plain = rest.first().is_some_and(|word| !word.starts_with('-') && !word.contains('='));
        if plain {
            words[0] = program_name(rest[0]);
            words.extend(rest[1..].iter().map(|w| (*w).to_owned()));
        } else {
            words.extend(rest.iter().map(|w| (*w).to_owned()));
        }
    } else if !argument.is_empty() {
        // The kernel hands over the rest as one argument.
        words.push(argument.to_owned());
    }
    if words[0].is_empty() { Vec::new() } else { words }
}

/// The base name; `python` and `python3.11` become `python3`, because the exact version is this machine's affair.
fn program_name(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    match name.strip_prefix("python") {
        Some(version) if !version.starts_with('2') && version.chars().all(|c| c.is_ascii_digit() || c == '.') => {
            "python3".to_owned()
        }
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_started_by_what_they_are() {
        for (path, head, exec, want) in [
            ("train.py", &b"import os"[..], false, &["python3", "train.py"][..]),
            ("dir x/ü.py", b"", false, &["python3", "dir x/\u{fc}.py"]),
            ("run.sh", b"echo", false, &["sh", "run.sh"]),
            ("RUN.SH", b"echo", false, &["sh", "RUN.SH"]),
            ("run.sh", b"#!/bin/bash -eu\necho", false, &["bash", "-eu", "run.sh"]),
            ("run.sh", b"#! /usr/bin/env  bash\r\n", false, &["bash", "run.sh"]),
            ("tool", b"#!/home/me/venv/bin/python3.11\n", true, &["python3", "tool"]),
            ("tool", b"#!/usr/bin/env python\n", false, &["python3", "tool"]),
            ("tool", b"#!/usr/bin/python2\n", false, &["python2", "tool"]),
            ("tool", b"#!/usr/bin/env -S perl -w -T\n", false, &["perl", "-w", "-T", "tool"]),
            ("tool", b"#!/usr/bin/env A=1 perl\n", false, &["env", "A=1", "perl", "tool"]),
            ("a.out", b"\x7fELF\x02\x01", false, &["./a.out"]),
            ("bin/x.py", b"\x7fELF\x02\x01", true, &["./bin/x.py"]),
            ("plain", b"echo hi", true, &["sh", "plain"]),
            ("-odd.py", b"", false, &["python3", "./-odd.py"]),
            ("sum.awk", b"{ s += $1 }", false, &["awk", "-f", "sum.awk"]),
            ("x.py", b"#!\nprint(1)", false, &["python3", "x.py"]),
        ] {
            assert_eq!(resolve(path, head, exec).expect(path), want, "{path}");
        }
    }

    #[test]
    fn what_cannot_be_run_is_told_with_a_way_out() {
        for (path, head) in [("notes.txt", &b"hello"[..]), ("data", b""), ("a.py/b", b"")] {
            let error = resolve(path, head, false).expect_err(path);
            assert_eq!(error.exit_code(), 2);
            assert!(error.hint().is_some_and(|h| h.contains("#!/usr/bin/env")), "{error:?}");
        }
    }
}
