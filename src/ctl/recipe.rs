//! The files that say what an environment is made of: found and read here, understood by homied.
//!
//! The client only looks whether there is something to understand (a header's first line, a file's name): readers of
//! YAML and TOML would make it heavier than all its verbs.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::connect::Connection;
use super::context::Context;
use super::exit::CtlError;
use super::render::Progress;
use super::upload;
use crate::model::{EnvView, visible_controls};
use crate::wire::env::{EnvCreate, EnvCreated};
use crate::wire::ipc::method;

/// A longer file is no recipe, no requirements and no script with a header.
const MAX_FILE: u64 = 4 << 20;
/// Rounds of "that file is wanted too": a recipe names files, those name none.
const ROUNDS: usize = 4;
/// Where requirements stand beside a script, the most exact first.
pub const BESIDE: [&str; 5] = ["pylock.toml", "uv.lock", "poetry.lock", "requirements.lock", "requirements.txt"];

/// Files of a recipe, in memory.
#[derive(Debug, Clone)]
pub struct RecipeFiles {
    /// Which one is the recipe.
    pub main: String,
    /// What the environment is called if no file says it.
    pub name: String,
    /// Where other files it names lie.
    dir: PathBuf,
    texts: BTreeMap<String, Bytes>,
}

impl RecipeFiles {
    /// The file at `path` as a recipe. The name comes from the file's, unless `name` is given.
    ///
    /// # Errors
    /// It cannot be read, or is too large to be one.
    pub fn read(path: &Path, name: Option<&str>) -> Result<Self, CtlError> {
        let main = path.file_name().and_then(|n| n.to_str()).ok_or_else(|| {
            CtlError::usage_hint(
                format!("{} is no file", visible_controls(path.as_os_str().as_encoded_bytes())),
                "name a homie.env.yaml, a requirements.txt, a lock (pylock.toml, uv.lock, poetry.lock) or a script with a PEP 723 header",
            )
        })?;
        let text = read(path)?;
        let dir = path.parent().map(Path::to_owned).unwrap_or_default();
        let name = name.map_or_else(|| name_from(path), str::to_owned);
        Ok(Self { texts: BTreeMap::from([(main.to_owned(), text)]), main: main.to_owned(), name, dir })
    }

    /// Files whose texts are known already.
    pub fn of_texts(main: &str, name: &str, texts: BTreeMap<String, Bytes>) -> Self {
        Self { main: main.to_owned(), name: name.to_owned(), dir: PathBuf::new(), texts }
    }

    /// Lets homied read them and keep the recipe under its name. `auto`: for one job. `replace`: also in the place of
    /// another recipe.
    ///
    /// # Errors
    /// homied says what is wrong with them, with the line, or a file they name cannot be read.
    pub async fn register(
        mut self,
        ctx: &Context,
        homied: &mut Connection,
        auto: bool,
        replace: bool,
    ) -> Result<EnvView, CtlError> {
        for _ in 0..ROUNDS {
            let inputs = upload::texts(&self.texts)?;
            let files = upload::send(homied, &inputs, &Progress::new(ctx)).await?;
            let order = EnvCreate { files, main: self.main.clone(), name: self.name.clone(), auto, replace };
            match homied.call(method::ENV_CREATE, &order).await? {
                EnvCreated::Known(view) => return Ok(*view),
                EnvCreated::Wants(names) => {
                    for name in names {
                        let text = read(&self.dir.join(&name))?;
                        self.texts.insert(name, text);
                    }
                }
            }
        }
        Err(CtlError::Protocol(format!("homied wants ever more files for {}", self.main)))
    }
}

/// The bytes of a file that may be a recipe.
///
/// # Errors
/// It cannot be read, or is too large to be one.
pub fn read(path: &Path) -> Result<Bytes, CtlError> {
    let shown = || visible_controls(path.as_os_str().as_encoded_bytes());
    let mut text = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| CtlError::io(format!("cannot read {}", shown()), e))?;
    file.take(MAX_FILE + 1).read_to_end(&mut text).map_err(|e| CtlError::io(format!("cannot read {}", shown()), e))?;
    if text.len() as u64 > MAX_FILE {
        return Err(CtlError::usage(format!("{} is larger than 4 MiB, which no recipe is", shown())));
    }
    Ok(text.into())
}

/// A name for what `path` asks for: the script's, or that of the directory that requirements lie in.
fn name_from(path: &Path) -> String {
    let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
    let generic = BESIDE.contains(&path.file_name().and_then(|n| n.to_str()).unwrap_or_default())
        || stem.eq_ignore_ascii_case("dockerfile")
        || stem.starts_with("homie");
    let above = || {
        let full = std::path::absolute(path).ok();
        full.and_then(|f| Some(f.parent()?.file_name()?.to_str()?.to_owned())).unwrap_or_default()
    };
    let stem = if generic { above() } else { stem.to_owned() };
    let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let plain: String = stem.chars().map(|c| if known(c) { c } else { '-' }).take(40).collect();
    let plain = plain.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    match plain {
        "" | "base" | "auto" => "env".to_owned(),
        name => name.to_owned(),
    }
}

/// What a Python script asks for: the file that says it, and in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The script itself, or a file beside it.
    pub path: PathBuf,
    /// `the header of train.py (PEP 723)`, `requirements.txt`.
    pub by: String,
}

/// Looks whether a Python script says what it needs: its own header first, then a file beside it.
pub fn asked_by(script: &Path) -> Option<Asked> {
    if script.extension().is_none_or(|e| e != "py") {
        return None;
    }
    let text = read(script).ok()?;
    if has_header(&text) {
        let name = script.file_name().unwrap_or_default().to_string_lossy();
        return Some(Asked { path: script.to_owned(), by: format!("the header of {name} (PEP 723)") });
    }
    let dir = script.parent().unwrap_or(Path::new(""));
    let beside = BESIDE.into_iter().map(|name| (dir.join(name), name)).find(|(path, _)| path.is_file());
    beside.map(|(path, name)| Asked { path, by: name.to_owned() })
}

/// Whether a script has a PEP 723 block that names dependencies.
fn has_header(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines().skip_while(|line| line.trim_end() != "# /// script").skip(1);
    let block: Vec<&str> =
        lines.by_ref().take_while(|line| line.starts_with('#') && line.trim_end() != "# ///").collect();
    // One without dependencies is content with `base`.
    let mut content = block.iter().map(|line| line.trim_start_matches('#').trim());
    content.any(|line| line.starts_with("dependencies") && !line.replace(' ', "").ends_with("=[]"))
}

/// Whether the value of `--env` is a file rather than a name.
pub fn is_file(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    value.contains('/') || [".yaml", ".yml", ".txt", ".toml", ".lock"].iter().any(|ext| lower.ends_with(ext))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_asked_what_it_needs_before_the_files_beside_it() {
        let dir = tempfile::tempdir().expect("tempdir");
        let script = dir.path().join("train.py");
        std::fs::write(&script, "print()\n").expect("write");
        assert_eq!(asked_by(&script), None);
        std::fs::write(dir.path().join("requirements.txt"), "numpy\n").expect("write");
        assert_eq!(asked_by(&script).expect("beside").by, "requirements.txt");
        std::fs::write(dir.path().join("uv.lock"), "version = 1\n").expect("write");
        assert_eq!(asked_by(&script).expect("beside").by, "uv.lock", "the exact one first");
        std::fs::remove_file(dir.path().join("uv.lock")).expect("removed");
        std::fs::write(&script, "# /// script\n# dependencies = [\"numpy\"]\n# ///\n").expect("write");
        assert_eq!(asked_by(&script).expect("header").path, script);
        std::fs::write(&script, "# /// script\n# dependencies = []\n# ///\n").expect("write");
        assert_eq!(asked_by(&script).expect("beside").by, "requirements.txt");
        assert_eq!(asked_by(&dir.path().join("run.sh")), None);
    }

    #[test]
    fn names_come_from_scripts_and_directories() {
        for (path, want) in [
            ("train.py", "train"),
            ("a b/my script.py", "my-script"),
            ("/srv/proj/requirements.txt", "proj"),
            ("/srv/.hidden/homie.env.yaml", "hidden"),
            ("/srv/base/pylock.toml", "env"),
            ("auto.py", "env"),
        ] {
            assert_eq!(name_from(Path::new(path)), want, "{path}");
        }
    }

    #[test]
    fn files_are_told_from_names() {
        for file in ["./homie.env.yaml", "homie.env.yaml", "dir/x", "requirements.txt", "pylock.toml"] {
            assert!(is_file(file), "{file}");
        }
        for name in ["ml-demo", "auto", "base", "py3.11"] {
            assert!(!is_file(name), "{name}");
        }
    }
}
