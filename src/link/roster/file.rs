//! Effect: `roster.json` in the state directory: the number of our newest card, and the cards of others.
//!
//! What it holds can be learnt again from any friend, so a file that cannot be read is set aside and said so, never a
//! reason not to start. Our number too: a friend that has a newer card of ours shows it, and the next goes over it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};

use super::cards::{Kept, MAX_CARDS};
use crate::wire::roster::Generation;

const FORMAT: u32 = 1;
/// Longest file that is read: twice what the most cards of the largest size take.
const MAX_FILE: u64 = 2 << 20;

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Document {
    /// Of our newest card.
    pub(super) seq: u64,
    /// Under which secret it was written.
    pub(super) generation: Option<Generation>,
    pub(super) cards: Vec<Kept>,
}

#[derive(Serialize, Deserialize)]
struct Text {
    version: u32,
    seq: u64,
    generation: String,
    cards: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    card: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(default)]
    proven: bool,
    #[serde(default)]
    removed: bool,
    #[serde(default)]
    past: bool,
    #[serde(default)]
    silent_s: u64,
}

fn path_in(state: &Path) -> PathBuf {
    state.join("roster.json")
}

/// Reads it; `None` if there is none, or none that makes sense, which is then moved out of the way. Blocks.
pub(super) fn load(state: &Path) -> Option<Document> {
    let path = path_in(state);
    let mut text = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut text));
    let why = match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => error.to_string(),
        Ok(_) if text.len() as u64 > MAX_FILE => "it is far too long".to_owned(),
        Ok(_) => match decode(&text) {
            Ok(document) => return Some(document),
            Err(why) => why,
        },
    };
    let aside = path.with_extension("json.broken");
    match fs::rename(&path, &aside) {
        Ok(()) => tracing::warn!(
            path = %path.display(), aside = %aside.display(), why,
            "the machines that others introduced cannot be read; the file is set aside, and they are learnt anew"
        ),
        Err(error) => tracing::warn!(path = %path.display(), why, %error, "cannot be read, nor set aside"),
    }
    None
}

fn decode(text: &[u8]) -> Result<Document, String> {
    let text: Text = serde_json::from_slice(text).map_err(|e| e.to_string())?;
    if text.version != FORMAT {
        return Err(format!("version {} is not known to this release", text.version));
    }
    let generation = match text.generation.as_str() {
        "" => None,
        hex => {
            let bytes = HEXLOWER.decode(hex.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
            Some(Generation(bytes.ok_or("its generation is no number")?))
        }
    };
    let kept = |row: Row| {
        let bytes = BASE64.decode(row.card.as_bytes()).map_err(|e| e.to_string())?.into();
        let Row { by, proven, removed, past, silent_s, card: _ } = row;
        Ok::<_, String>(Kept { bytes, by, proven, removed, past, silent_s })
    };
    let cards = text.cards.into_iter().take(MAX_CARDS).map(kept).collect::<Result<_, _>>()?;
    Ok(Document { seq: text.seq, generation, cards })
}

/// Puts it there whole, on disk when this returns. Blocks.
pub(super) fn save(state: &Path, document: &Document) -> io::Result<()> {
    let row = |kept: &Kept| Row {
        card: BASE64.encode(&kept.bytes),
        by: kept.by.clone(),
        proven: kept.proven,
        removed: kept.removed,
        past: kept.past,
        silent_s: kept.silent_s,
    };
    let generation = document.generation.map(|g| HEXLOWER.encode(&g.0)).unwrap_or_default();
    let cards = document.cards.iter().map(row).collect();
    let mut text = serde_json::to_vec_pretty(&Text { version: FORMAT, seq: document.seq, generation, cards })?;
    text.push(b'\n');
    let path = path_in(state);
    let temp = path.with_extension("json.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temp)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&temp, &path)?;
    File::open(state)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_back_and_rubbish_is_set_aside() {
        let dir = tempfile::tempdir().expect("tempdir");
        assert_eq!(load(dir.path()), None, "no file yet");
        let kept = Kept {
            bytes: b"a card".as_slice().into(),
            by: Some("bob".into()),
            proven: true,
            removed: false,
            past: true,
            silent_s: 77,
        };
        let document = Document { seq: 9, generation: Some(Generation([7; 16])), cards: vec![kept] };
        save(dir.path(), &document).expect("writable");
        assert_eq!(load(dir.path()), Some(document.clone()));
        let aside = dir.path().join("roster.json.broken");
        for rubbish in [&b"{"[..], b"", br#"{"version":9,"seq":1,"generation":"","cards":[]}"#, &[b' '; 3 << 20]] {
            fs::write(path_in(dir.path()), rubbish).expect("writable");
            assert_eq!(load(dir.path()), None);
            assert_eq!(fs::read(&aside).expect("set aside"), rubbish);
            assert!(!path_in(dir.path()).exists());
        }
        save(dir.path(), &document).expect("writable");
        assert_eq!(load(dir.path()), Some(document));
    }
}
