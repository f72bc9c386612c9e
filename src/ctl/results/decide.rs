//! Where each result lands: the rules of delivery, without a look at a disk.

use crate::ctl::exit::CtlError;
use crate::ctl::glob::Glob;
use crate::model::{CleanPath, Digest, JobId};

/// The longest name of a file on every usual file system.
const MAX_NAME: usize = 255;

/// What stands at a result's place now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Present {
    /// Nothing.
    Nothing,
    /// A plain file with this content.
    File(Digest),
    /// A directory, a link, a device...
    Other,
}

/// What is known about one result and its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    /// Hash of the result.
    pub(super) result: Digest,
    /// What is there.
    pub(super) present: Present,
    /// Hash of what was sent under this name, if something was.
    pub(super) sent: Option<Digest>,
    /// Hash of what an earlier job of this user put there, if one did.
    pub(super) placed: Option<Digest>,
    /// Whether `--output` names it.
    pub(super) named: bool,
}

/// What to do with one result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Landing {
    /// The same content is there already.
    Same,
    /// Put it there; nothing is in the way.
    New,
    /// Put it there in the place of what we know to be a copy.
    Replace,
    /// Put it beside, under another name.
    Beside(&'static str),
}

/// Uploaded inputs are never replaced unless `--output` names them, and then only while they are what was sent. Any
/// other file is replaced only while it is what an earlier job of this user put there.
pub(super) fn landing(facts: &Facts) -> Landing {
    let there = match facts.present {
        Present::Nothing => return Landing::New,
        Present::Other => return Landing::Beside("no plain file stands there"),
        Present::File(hash) if hash == facts.result => return Landing::Same,
        Present::File(hash) => hash,
    };
    match facts.sent {
        Some(_) if !facts.named => Landing::Beside("it was sent with the job; --output names what may be replaced"),
        Some(sent) if there == sent => Landing::Replace,
        _ if facts.placed == Some(there) => Landing::Replace,
        Some(_) => Landing::Beside("it was changed here since it was sent"),
        None if facts.placed.is_some() => Landing::Beside("it was changed here since a job put it there"),
        None => Landing::Beside("it was not put there by a job"),
    }
}

/// The name beside `name` for the results of `job`: `model.pt.homie-a1b2c3d4`, then `.2`, `.3`...
pub(super) fn beside(name: &str, job: JobId, number: u32) -> String {
    let tail = match number {
        0 | 1 => format!(".homie-{}", job.short()),
        n => format!(".homie-{}.{n}", job.short()),
    };
    let mut end = name.len().min(MAX_NAME - tail.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{tail}", &name[..end])
}

/// The globs of `--output`.
#[derive(Debug)]
pub(super) struct Named(Vec<Glob>);

impl Named {
    /// Reads the globs; one that names a directory names everything in it.
    ///
    /// # Errors
    /// One of them is no glob.
    pub(super) fn new(globs: &[String]) -> Result<Self, CtlError> {
        let mut all = Vec::new();
        for glob in globs {
            let clean = glob.trim_end_matches('/');
            all.push(Glob::new(clean)?);
            all.push(Glob::new(&format!("{clean}/**"))?);
        }
        Ok(Self(all))
    }

    /// Whether one of them names `path`.
    pub(super) fn names(&self, path: &CleanPath) -> bool {
        self.0.iter().any(|glob| glob.matches(path.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: Digest = Digest([1; 32]);
    const B: Digest = Digest([2; 32]);
    const C: Digest = Digest([3; 32]);

    #[test]
    fn a_result_lands_where_the_rules_say() {
        let lands = |present, sent, placed, named| landing(&Facts { result: A, present, sent, placed, named });
        let file = Present::File;
        let is_beside = |landing| matches!(landing, Landing::Beside(_));
        assert_eq!(lands(Present::Nothing, None, None, false), Landing::New);
        assert_eq!(lands(Present::Nothing, Some(B), Some(C), false), Landing::New);
        assert_eq!(lands(file(A), Some(B), None, false), Landing::Same);
        // A file of the user's own, then one that a job put there, then that one edited.
        assert!(is_beside(lands(file(B), None, None, false)));
        assert_eq!(lands(file(B), None, Some(B), false), Landing::Replace);
        assert!(is_beside(lands(file(B), None, Some(C), false)));
        // An input stays, even if a job once put it there, unless it is named and unchanged.
        assert!(is_beside(lands(file(B), Some(B), None, false)));
        assert!(is_beside(lands(file(B), Some(B), Some(B), false)));
        assert_eq!(lands(file(B), Some(B), None, true), Landing::Replace);
        assert!(is_beside(lands(file(C), Some(B), None, true)));
        assert_eq!(lands(file(C), Some(B), Some(C), true), Landing::Replace);
        // --output alone is no leave to destroy what Homie never saw.
        assert!(is_beside(lands(file(B), None, None, true)));
        assert!(is_beside(lands(Present::Other, Some(B), Some(B), true)));
    }

    #[test]
    fn output_globs_name_files_and_directories() {
        let named = Named::new(&["*.csv".into(), "./.cache/".into(), "out/**/x".into()]).expect("globs");
        let names = |path: &str| named.names(&CleanPath::new(path).expect("clean"));
        for path in ["d.csv", ".cache/a/b", ".cache", "out/x", "out/a/b/x"] {
            assert!(names(path), "{path}");
        }
        for path in ["sub/d.csv", "cache/a", "out/y"] {
            assert!(!names(path), "{path}");
        }
        assert!(Named::new(&["a[".into()]).is_err());
    }

    #[test]
    fn the_name_beside_fits_a_directory() {
        let job = JobId([0xab; 16]);
        assert_eq!(beside("model.pt", job, 1), "model.pt.homie-abababab");
        assert_eq!(beside("model.pt", job, 3), "model.pt.homie-abababab.3");
        let long = beside(&"ü".repeat(127), job, 12);
        assert!(long.len() <= MAX_NAME && long.ends_with(".homie-abababab.12"), "{long}");
    }

    proptest! {
        #[test]
        fn nothing_is_replaced_that_homie_does_not_know(
            present in 0u8..4, sent in proptest::option::of(0u8..4), placed in proptest::option::of(0u8..4), named: bool
        ) {
            let d = |n: u8| Digest([n; 32]);
            let facts = Facts {
                result: d(9), present: Present::File(d(present)), sent: sent.map(d), placed: placed.map(d), named,
            };
            if landing(&facts) == Landing::Replace {
                prop_assert!(sent == Some(present) || placed == Some(present));
                prop_assert!(sent.is_none() || named);
            }
        }
    }
}
