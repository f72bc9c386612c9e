//! What the program of probes says, and what follows from it.

use crate::model::EngineKind;
use crate::wire::doctor::{ProbeResult, ProbeRow};

/// How a probe is run and judged; see `tests/escape/probes/probe.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One of many in one job; says itself whether it got through.
    Try,
    /// Alone in a job with small limits; got through if it lives to say so.
    Bomb,
    /// Alone; got through if its heartbeat goes on after the job's end.
    Linger,
    /// Leaves something in the job's directory; got through if it is taken for a result.
    Plant,
    /// Writes to the output; got through if it reaches a terminal as it is.
    Print,
}

/// A probe, as the program lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Its name, unique.
    pub name: String,
    /// How it is run.
    pub kind: Kind,
    /// What it goes after.
    pub group: String,
    /// What somebody could do with it.
    pub why: String,
}

/// What a probe says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It did not get through.
    Held,
    /// It did.
    Reached,
    /// There is nothing to get through to.
    Unsupported,
}

/// One line of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The probe.
    pub name: String,
    /// What came of it.
    pub verdict: Verdict,
    /// What happened.
    pub note: String,
}

/// Reads `escape list`.
pub fn parse_list(text: &str) -> Vec<Probe> {
    let probe = |line: &str| {
        let mut fields = line.splitn(4, '\t');
        let name = fields.next()?.to_owned();
        let kind = match fields.next()? {
            "try" => Kind::Try,
            "bomb" => Kind::Bomb,
            "linger" => Kind::Linger,
            "plant" => Kind::Plant,
            "print" => Kind::Print,
            _ => return None,
        };
        Some(Probe { name, kind, group: fields.next()?.to_owned(), why: fields.next()?.to_owned() })
    };
    text.lines().filter_map(probe).collect()
}

/// Finds the lines of a run in an output that may hold anything else beside.
pub fn parse_attempts(output: &[u8]) -> Vec<Attempt> {
    let attempt = |line: &[u8]| {
        let line = std::str::from_utf8(line).ok()?;
        let mut fields = line.splitn(3, '\t');
        let name = fields.next()?.to_owned();
        let verdict = match fields.next()? {
            "held" => Verdict::Held,
            "reached" => Verdict::Reached,
            "unsupported" => Verdict::Unsupported,
            _ => return None,
        };
        Some(Attempt { name, verdict, note: fields.next()?.to_owned() })
    };
    output.split(|b| *b == b'\n').filter_map(attempt).collect()
}

/// The line of `name` in a run.
pub fn find<'a>(attempts: &'a [Attempt], name: &str) -> Option<&'a Attempt> {
    attempts.iter().find(|a| a.name == name)
}

/// What came of a probe inside, or why nobody knows.
pub(super) type Inside = Result<(Verdict, String), String>;

/// The row of a probe: what it did without a jail decides what its silence inside is worth.
pub(super) fn row(engine: EngineKind, probe: &Probe, free: Option<&Attempt>, inside: Inside) -> ProbeRow {
    let (result, note) = match (free.map(|f| (f.verdict, &f.note)), inside) {
        // Whatever it did outside: this is a hole.
        (_, Ok((Verdict::Reached, note))) => (ProbeResult::Reached, note),
        (Some((Verdict::Unsupported, why)), _) => (ProbeResult::Untried, why.clone()),
        (None, _) => (ProbeResult::Broken, "it said nothing without a jail".to_owned()),
        (Some((Verdict::Held, why)), _) => {
            (ProbeResult::Broken, format!("it does not reach its canary without a jail either: {why}"))
        }
        (Some((Verdict::Reached, _)), Ok((_, note))) => (ProbeResult::Held, note),
        (Some((Verdict::Reached, _)), Err(why)) => (ProbeResult::Broken, why),
    };
    ProbeRow {
        engine,
        group: probe.group.clone(),
        name: probe.name.clone(),
        why: probe.why.clone(),
        result,
        note: crate::model::visible_controls(note.as_bytes()),
        evidence: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_probes_are_found_among_anything() {
        let output =
            b"\x1b[2J junk\nmount\theld\tmount: Operation not permitted\nx\tmaybe\ty\nraw\treached\t\nhalf\thel";
        let names: Vec<_> = parse_attempts(output).into_iter().map(|a| (a.name, a.verdict)).collect();
        assert_eq!(names, [("mount".to_owned(), Verdict::Held), ("raw".to_owned(), Verdict::Reached)]);
        let list = parse_list("mount\ttry\tmounts\tmount a file system\nbad\n\tx\ty\tz\n");
        assert_eq!((list.len(), list[0].kind), (1, Kind::Try));
    }

    #[test]
    fn a_probe_that_proves_nothing_outside_never_counts_as_held() {
        let probe = Probe { name: "p".into(), kind: Kind::Try, group: "g".into(), why: "w".into() };
        let free = |verdict| Attempt { name: "p".into(), verdict, note: String::new() };
        let result =
            |f: Option<Verdict>, inside: Inside| row(EngineKind::Native, &probe, f.map(free).as_ref(), inside).result;
        let held = || Ok((Verdict::Held, String::new()));
        assert_eq!(result(Some(Verdict::Reached), held()), ProbeResult::Held);
        assert_eq!(result(Some(Verdict::Reached), Ok((Verdict::Unsupported, String::new()))), ProbeResult::Held);
        assert_eq!(result(Some(Verdict::Reached), Err("gone".into())), ProbeResult::Broken);
        assert_eq!(result(Some(Verdict::Unsupported), held()), ProbeResult::Untried);
        assert_eq!(result(Some(Verdict::Held), held()), ProbeResult::Broken);
        assert_eq!(result(None, held()), ProbeResult::Broken);
        for free in [None, Some(Verdict::Held), Some(Verdict::Unsupported), Some(Verdict::Reached)] {
            assert_eq!(result(free, Ok((Verdict::Reached, String::new()))), ProbeResult::Reached);
        }
    }
}
