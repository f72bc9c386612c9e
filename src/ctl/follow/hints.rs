//! After a failure: was something not sent that the job looked for?

/// What is known here about the paths that a job could not find.
pub(super) trait Here {
    /// Whether it exists in the directory that `run` was called from.
    fn exists(&self, path: &str) -> bool;
    /// Whether it was sent.
    fn sent(&self, path: &str) -> bool;
}

/// Next steps for the user, from the last lines that a failed job wrote.
pub(super) fn after_failure(tail: &str, here: &dyn Here) -> Vec<String> {
    let mut hints = Vec::new();
    for line in tail.lines() {
        let hint = missing_module(line).map_or_else(
            || missing_file(line).and_then(|path| send(path, here)),
            |module| Some(module_hint(module, here)),
        );
        if let Some(hint) = hint.filter(|h| !hints.contains(h)) {
            hints.push(hint);
        }
    }
    hints
}

/// `x` of `ModuleNotFoundError: No module named 'x.y'`.
fn missing_module(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("ModuleNotFoundError: No module named ")?;
    let module = rest.trim().trim_matches(['\'', '"']).split('.').next()?;
    (!module.is_empty()).then_some(module)
}

fn module_hint(module: &str, here: &dyn Here) -> String {
    [format!("{module}.py"), module.to_owned()].iter().find_map(|path| send(path, here)).unwrap_or_else(|| {
        format!(
            "the job's environment there has no Python module {module}; `homie env list` shows others for --env NAME, \
                 and a package of pure Python can go along with -f"
        )
    })
}

/// The path in Python's `FileNotFoundError: [Errno 2] No such file or directory: 'd.csv'` or a tool's
/// `cat: d.csv: No such file or directory`.
fn missing_file(line: &str) -> Option<&str> {
    const NOT_FOUND: &str = "No such file or directory";
    let (before, after) = line.split_once(NOT_FOUND)?;
    let quoted = after.trim_start_matches(':').trim();
    let path = if quoted.is_empty() {
        before.trim_end().trim_end_matches(':').rsplit(": ").next()?
    } else {
        quoted.split(" -> ").next()?
    };
    // cat says 'a b.csv' with quotes, sh says `cannot open d.csv`.
    let path = path.trim().trim_start_matches("cannot open ").trim_matches(['\'', '"', '`']);
    let path = path.trim_start_matches("./");
    (!path.is_empty() && !path.starts_with('/') && !path.split('/').any(|c| c == "..")).then_some(path)
}

/// How to send `path`, if it is here and was not sent.
fn send(path: &str, here: &dyn Here) -> Option<String> {
    if here.sent(path) || !here.exists(path) {
        return None;
    }
    let quoted = if path.contains(' ') { format!("'{path}'") } else { path.to_owned() };
    Some(format!("{path} is here but was not sent; add `-f {quoted}` before the script"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Dir;
    impl Here for Dir {
        fn exists(&self, path: &str) -> bool {
            ["helper.py", "pkg", "d.csv", "a b.csv", "data/x.csv", "was.csv"].contains(&path)
        }
        fn sent(&self, path: &str) -> bool {
            path == "was.csv"
        }
    }

    #[test]
    fn what_was_not_sent_is_named_with_the_flag_for_it() {
        let sent = |path: &str| vec![format!("{path} is here but was not sent; add `-f {path}` before the script")];
        for (tail, want) in [
            ("ModuleNotFoundError: No module named 'helper'", sent("helper.py")),
            ("ModuleNotFoundError: No module named 'pkg.sub'", sent("pkg")),
            ("FileNotFoundError: [Errno 2] No such file or directory: 'd.csv'", sent("d.csv")),
            ("FileNotFoundError: [Errno 2] No such file or directory: './data/x.csv'", sent("data/x.csv")),
            ("cat: d.csv: No such file or directory", sent("d.csv")),
            ("sh: 0: cannot open d.csv: No such file or directory", sent("d.csv")),
            ("[Errno 2] No such file or directory: 'was.csv'", vec![]),
            ("[Errno 2] No such file or directory: '/etc/x'", vec![]),
            ("[Errno 2] No such file or directory: '../d.csv'", vec![]),
            ("[Errno 2] No such file or directory: 'nowhere.csv'", vec![]),
            ("all is well", vec![]),
        ] {
            assert_eq!(after_failure(tail, &Dir), want, "{tail}");
        }
        let twice = "cat: 'a b.csv': No such file or directory\n".repeat(2);
        assert_eq!(
            after_failure(&twice, &Dir),
            ["a b.csv is here but was not sent; add `-f 'a b.csv'` before the script"]
        );
        let numpy = after_failure("ModuleNotFoundError: No module named 'numpy'", &Dir);
        assert!(numpy[0].contains("no Python module numpy") && numpy[0].contains("--env"), "{numpy:?}");
    }
}
