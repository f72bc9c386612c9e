//! From the files people write to a [`Recipe`]: `homie.env.yaml`, the header of a script (PEP 723), requirements, a
//! lock of another tool ([`locks`]), a Dockerfile. Pure. Every complaint names file and line.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::locks;
use crate::model::{Lock, Recipe, RecipeProblem};

/// The files of a recipe by name, as the client sent them.
pub(in crate::sandbox) type Files = BTreeMap<String, String>;

/// What the files say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) enum Reading {
    /// A recipe, and the versions it was resolved to if the file has them.
    Recipe(Box<Recipe>, Option<Box<Lock>>),
    /// Other files are named that were not sent.
    Wants(Vec<String>),
}

/// Reads `main`, one of `files`. `name` is what the environment is called if no file says it.
///
/// # Errors
/// What is wrong, with file and line.
pub(in crate::sandbox) fn read(main: &str, files: &Files, name: &str) -> Result<Reading, RecipeProblem> {
    let text = files.get(main).ok_or_else(|| RecipeProblem(format!("{main} was not sent")))?;
    let lower = main.rsplit('/').next().unwrap_or(main).to_ascii_lowercase();
    let named = |recipe: Recipe| Recipe { name: name.to_owned(), ..recipe };
    let (recipe, lock) = if lower.ends_with(".yaml") || lower.ends_with(".yml") {
        match yaml(main, text, files, name)? {
            Reading::Recipe(recipe, lock) => (*recipe, lock),
            wants => return Ok(wants),
        }
    } else if lower.ends_with(".py") {
        (named(header(main, text)?), None)
    } else if let Some(lock) = locks::reader(&lower) {
        (named(lock(main, text)?), None)
    } else if lower.contains("dockerfile") {
        (named(Recipe { dockerfile: Some(text.clone()), ..Recipe::default() }), None)
    } else {
        (named(Recipe { requirements: requirements(main, text)?, ..Recipe::default() }), None)
    };
    recipe.check().map_err(|e| RecipeProblem(format!("{main}: {e}")))?;
    if let Some(lock) = &lock {
        lock.check().map_err(|e| RecipeProblem(format!("{main}: {e}")))?;
    }
    if let Some(lock) = &lock
        && lock.recipe != recipe.digest()
    {
        return Err(RecipeProblem(format!(
            "{main}: its lock is of another recipe; take the `lock:` block out, and `homie env build` makes a new one"
        )));
    }
    Ok(Reading::Recipe(Box::new(recipe), lock))
}

/// `homie.env.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecipeFile {
    version: u32,
    name: Option<String>,
    python: Option<String>,
    #[serde(default)]
    requirements: Vec<String>,
    requirements_file: Option<String>,
    #[serde(default)]
    apt: Vec<String>,
    image: Option<String>,
    dockerfile: Option<String>,
    lock: Option<Lock>,
}

fn yaml(main: &str, text: &str, files: &Files, name: &str) -> Result<Reading, RecipeProblem> {
    let file: RecipeFile = serde_saphyr::from_str(text).map_err(|e| {
        let line = e.location().map_or(1, |l| l.line());
        let full = e.without_snippet().to_string();
        RecipeProblem(format!("{main}:{line}: {}", full.split(" at line ").next().unwrap_or("not valid YAML")))
    })?;
    if file.version != 1 {
        return Err(RecipeProblem(format!("{main}: version {} is not known here; write version: 1", file.version)));
    }
    let beside = |path: &String| main.rsplit_once('/').map_or_else(|| path.clone(), |(dir, _)| format!("{dir}/{path}"));
    let others = [&file.requirements_file, &file.dockerfile];
    let wants: Vec<String> = others.into_iter().flatten().map(beside).filter(|p| !files.contains_key(p)).collect();
    if !wants.is_empty() {
        return Ok(Reading::Wants(wants));
    }
    let mut wanted = file.requirements;
    if let Some(path) = file.requirements_file.as_ref().map(beside) {
        match read(&path, files, name)? {
            Reading::Recipe(other, _) => wanted.extend(other.requirements),
            wants => return Ok(wants),
        }
    }
    let recipe = Recipe {
        name: file.name.unwrap_or_else(|| name.to_owned()),
        python: file.python,
        requirements: wanted,
        apt: file.apt,
        image: file.image,
        dockerfile: file.dockerfile.as_ref().map(beside).and_then(|path| files.get(&path).cloned()),
    };
    Ok(Reading::Recipe(Box::new(recipe), file.lock.map(Box::new)))
}

/// The lines between `# /// script` and `# ///` (PEP 723), without their marks, and the line of the first.
pub(super) fn script_block(text: &str) -> Option<(usize, String)> {
    let mut lines = text.lines().enumerate();
    let (start, _) = lines.by_ref().find(|(_, line)| line.trim_end() == "# /// script")?;
    let mut block = String::new();
    for (_, line) in lines {
        if line.trim_end() == "# ///" {
            return Some((start + 2, block));
        }
        let content = line.strip_prefix('#')?;
        block.push_str(content.strip_prefix(' ').unwrap_or(content));
        block.push('\n');
    }
    // Never closed: then it is a comment like any other.
    None
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Header {
    requires_python: Option<String>,
    dependencies: Vec<String>,
}

fn header(main: &str, text: &str) -> Result<Recipe, RecipeProblem> {
    let (first, block) = script_block(text)
        .ok_or_else(|| RecipeProblem(format!("{main}: no header; PEP 723 begins it with a line `# /// script`")))?;
    let header: Header = parse_toml(main, first, &block)?;
    Ok(Recipe { python: header.requires_python, requirements: header.dependencies, ..Recipe::default() })
}

/// `text` begins in line `first` of the file.
pub(super) fn parse_toml<T: serde::de::DeserializeOwned>(
    main: &str,
    first: usize,
    text: &str,
) -> Result<T, RecipeProblem> {
    toml::from_str(text).map_err(|e| {
        let before = e.span().map_or("", |span| text.get(..span.start).unwrap_or_default());
        let line = first + before.matches('\n').count();
        RecipeProblem(format!("{main}:{line}: {}", e.message().lines().next().unwrap_or("not valid TOML")))
    })
}

/// Requirements as pip reads them, less what names other places than the index.
fn requirements(main: &str, text: &str) -> Result<Vec<String>, RecipeProblem> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let mut whole = without_comment(line).to_owned();
        while let Some(open) = whole.strip_suffix('\\') {
            let more = lines.next().map_or("", |(_, more)| without_comment(more));
            whole = format!("{} {}", open.trim_end(), more.trim_start());
        }
        let line = whole.split_whitespace().collect::<Vec<_>>().join(" ");
        let problem = |why: &str| Err(RecipeProblem(format!("{main}:{}: {why}", at + 1)));
        match line.split(' ').next().unwrap_or_default() {
            "" => {}
            "-r" | "--requirement" | "-c" | "--constraint" => {
                return problem("other files are not followed; write their lines here, or a lock made by pip-compile");
            }
            "-i" | "--index-url" | "--extra-index-url" | "-f" | "--find-links" | "--trusted-host" | "--pre"
            | "--no-index" => {
                return problem("where packages come from is set on the machine that builds (PIP_INDEX_URL, pip.conf)");
            }
            "--require-hashes" => {}
            word if word.starts_with('-') => return problem("options of pip are not understood here"),
            _ => {
                Recipe { name: "x".into(), requirements: vec![line.clone()], ..Recipe::default() }.check().map_err(
                    |e| RecipeProblem(format!("{main}:{}: {}", at + 1, e.0.trim_start_matches("requirements: "))),
                )?;
                found.push(line);
            }
        }
    }
    Ok(found)
}

/// A comment begins at the line's start or after white space.
fn without_comment(line: &str) -> &str {
    let at = line.match_indices('#').map(|(at, _)| at).find(|at| *at == 0 || line[..*at].ends_with([' ', '\t']));
    line[..at.unwrap_or(line.len())].trim()
}

/// A recipe as the text of a `homie.env.yaml`, with its lock if it has one. Texts are quoted as JSON's are, which YAML
/// reads alike.
pub(in crate::sandbox) fn write(recipe: &Recipe, lock: Option<&Lock>) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
    let mut out = format!("version: 1\nname: {}\n", quoted(&recipe.name));
    if let Some(python) = &recipe.python {
        out.push_str(&format!("python: {}\n", quoted(python)));
    }
    for (key, list) in [("requirements", &recipe.requirements), ("apt", &recipe.apt)] {
        if !list.is_empty() {
            out.push_str(&format!("{key}:\n"));
            list.iter().for_each(|line| out.push_str(&format!("  - {}\n", quoted(line))));
        }
    }
    if let Some(image) = &recipe.image {
        out.push_str(&format!("image: {}\n", quoted(image)));
    }
    let Some(lock) = lock else { return out };
    out.push_str("# What `homie env build` chose; machines of this kind build exactly this.\nlock:\n");
    let json = |value: serde_json::Result<String>| value.unwrap_or_default();
    out.push_str(&format!("  recipe: {}\n", quoted(&lock.recipe.to_string())));
    out.push_str(&format!("  target: {}\n", json(serde_json::to_string(&lock.target))));
    if !lock.packages.is_empty() {
        out.push_str("  packages:\n");
        lock.packages.iter().for_each(|p| out.push_str(&format!("    - {}\n", json(serde_json::to_string(p)))));
    }
    if !lock.apt.is_empty() {
        out.push_str(&format!("  apt: {}\n", json(serde_json::to_string(&lock.apt))));
    }
    if let Some(image) = &lock.image {
        out.push_str(&format!("  image: {}\n", quoted(image)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LockedPackage, Target};
    use proptest::prelude::*;

    fn files(list: &[(&str, &str)]) -> Files {
        list.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    fn recipe(main: &str, list: &[(&str, &str)]) -> Recipe {
        match read(main, &files(list), "given") {
            Ok(Reading::Recipe(recipe, _)) => *recipe,
            other => panic!("{other:?}"),
        }
    }

    fn problem(main: &str, text: &str) -> String {
        read(main, &files(&[(main, text)]), "given").expect_err(text).0
    }

    #[test]
    fn the_committed_file_says_everything() {
        let text = "version: 1\nname: ml-demo\npython: 3.10\nrequirements:\n  - scikit-learn>=1.3\napt: [libgomp1]\n";
        let got = recipe("homie.env.yaml", &[("homie.env.yaml", text)]);
        assert_eq!((got.name.as_str(), got.python.as_deref()), ("ml-demo", Some("3.10")));
        assert_eq!((got.requirements, got.apt), (vec!["scikit-learn>=1.3".to_owned()], vec!["libgomp1".to_owned()]));
    }

    #[test]
    fn other_files_are_asked_for_and_then_read() {
        let text = "version: 1\nrequirements_file: reqs.txt\n";
        let main = ("d/homie.env.yaml", text);
        assert_eq!(read(main.0, &files(&[main]), "x"), Ok(Reading::Wants(vec!["d/reqs.txt".into()])));
        let got =
            recipe(main.0, &[main, ("d/reqs.txt", "# ours\nnumpy # fast\n\nscipy==1.11 \\\n  --hash=sha256:00\n")]);
        assert_eq!(got.requirements, ["numpy", "scipy==1.11 --hash=sha256:00"]);
        let docker = ("homie.env.yaml", "version: 1\nname: d\ndockerfile: Dockerfile\n");
        assert_eq!(recipe(docker.0, &[docker, ("Dockerfile", "FROM x\n")]).dockerfile.as_deref(), Some("FROM x\n"));
    }

    #[test]
    fn complaints_have_file_and_line() {
        for (main, text, want) in [
            ("a.yaml", "version: 1\nname: x\npyton: 3\n", "a.yaml:3: "),
            ("a.yaml", "version: 1\nrequirements: numpy\n", "a.yaml:2: "),
            ("a.yaml", "version: 2\nname: x\n", "version 2 is not known"),
            ("a.yaml", "name: x\n", "version"),
            ("a.yaml", "version: 1\nname: base\n", "Homie's own"),
            ("a.yaml", "version: 1\nname: x\nimage: a\napt: [b1]\n", "one of image"),
            ("r.txt", "numpy\n-r more.txt\n", "r.txt:2: other files"),
            ("r.txt", "--index-url https://x\n", "r.txt:1: where packages come from"),
            ("r.txt", "numpy\n\ngit+https://x/y\n", "r.txt:3: "),
            ("s.py", "print()\n", "no header"),
            ("s.py", "#!/usr/bin/python3\n# /// script\n# dependencies = [\n#   1,\n# ]\n# ///\n", "s.py:"),
            ("pylock.toml", "lock-version = \"1.0\"\n[[packages]]\nname = \"mine\"\n", "comes from no index"),
        ] {
            let got = problem(main, text);
            assert!(got.contains(want), "{text:?}: {got}");
        }
    }

    #[test]
    fn a_scripts_header_is_read_as_pep_723_has_it() {
        let text = "#!/usr/bin/env python3\n# /// script\n# requires-python = \">=3.10,<4\"\n# dependencies = [\n#   \"requests<3\",\n#   \"rich\",\n# ]\n#\n# [tool.x]\n# y = 1\n# ///\nimport rich\n";
        let got = recipe("train.py", &[("train.py", text)]);
        assert_eq!((got.name.as_str(), got.python.as_deref()), ("given", Some(">=3.10,<4")));
        assert_eq!(got.requirements, ["requests<3", "rich"]);
        for open in ["# /// script\n# a = 1\nimport x\n# ///\n", "# /// script\n# a = 1\n", "# /// other\n# ///\n"] {
            assert_eq!(script_block(open), None, "{open:?}");
        }
    }

    #[test]
    fn what_is_written_reads_back_the_same_with_its_lock() {
        let recipe = Recipe {
            name: "ml".into(),
            python: Some("3.10".into()),
            requirements: vec!["a; python_version < \"4\"".into(), "b==1".into()],
            apt: vec!["libgomp1".into()],
            ..Recipe::default()
        };
        let lock = Lock {
            recipe: recipe.digest(),
            target: Target { arch: "x86_64".into(), python: Some("3.10".into()), system: None },
            packages: vec![LockedPackage {
                name: "b".into(),
                version: "1".into(),
                sha256: "0".repeat(64),
                source: true,
            }],
            apt: vec!["libgomp1".into()],
            image: None,
            dockerfile: None,
        };
        let text = write(&recipe, Some(&lock));
        let read = read("x.yaml", &files(&[("x.yaml", &text)]), "given").expect(&text);
        assert_eq!(read, Reading::Recipe(Box::new(recipe.clone()), Some(Box::new(lock.clone()))));
        let other = text.replace("b==1", "b==2");
        assert!(problem("x.yaml", &other).contains("lock is of another recipe"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_readers_panic(text in "\\PC*|[a-z:=\\-\\[\\]{}&*!|>'\"#\\\\/\\n\\t ]{0,120}") {
            for main in ["a.yaml", "a.py", "pylock.toml", "uv.lock", "poetry.lock", "r.txt", "Dockerfile"] {
                let _ = read(main, &files(&[(main, &text)]), "x");
                let _ = read(main, &files(&[(main, &format!("# /// script\n# {text}\n# ///\n"))]), "x");
            }
        }
    }
}
