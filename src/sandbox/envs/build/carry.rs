//! Images on the road between friends.
//!
//! An engine packs an image as a tar file, each in its own fashion. What travels is taken out of it: the image's
//! configuration and its layers, unpacked, as plain files named for the hash that the configuration gives them. So they are
//! the same bytes whichever engine packed them and however often, a broken transfer goes on where it was, and the receiver
//! checks every layer before its engine sees any of it. The engine is handed a tar file made here from those parts alone.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use ring::digest::{Context, SHA256};
use serde::Deserialize;
use serde_json::Value;

use super::fetch::CARD;
use super::files::sha256;
use crate::blobs::BlobStore;
use crate::model::{Digest, FileEntry, Manifest};

/// The directory of a transfer in which an image's parts travel.
pub(in crate::sandbox) const IMAGE: &str = ".homie/image/";
/// Its configuration, below that.
const CONFIG: &str = "config.json";
/// Bytes of a configuration: one with a history of a thousand steps has 400 KB.
const MAX_CONFIG: u64 = 4 << 20;
/// Layers of an image; engines stop at 127.
const MAX_LAYERS: usize = 256;
/// Files in a tar file that an engine packed: four for each layer at most.
const MAX_FILES: usize = 4096;

/// What is wrong with an image.
type Problem = String;

/// What a configuration says that matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Config {
    /// Layers by the SHA-256 of their tar files, the lowest first, in hex.
    layers: Vec<String>,
}

impl Config {
    fn read(text: &[u8]) -> Result<Self, Problem> {
        #[derive(Deserialize)]
        struct Outer {
            architecture: String,
            os: String,
            #[serde(default)]
            config: Option<Inner>,
            rootfs: RootFs,
        }
        #[derive(Deserialize)]
        struct Inner {
            #[serde(rename = "Volumes", default)]
            volumes: Option<BTreeMap<String, Value>>,
        }
        #[derive(Deserialize)]
        struct RootFs {
            diff_ids: Vec<String>,
        }
        let outer: Outer = serde_json::from_slice(text).map_err(|e| format!("its configuration: {e}"))?;
        let here = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        if outer.os != "linux" || outer.architecture != here {
            return Err(format!("it is for {} on {:?}, this machine is linux on {here}", outer.os, outer.architecture));
        }
        if outer.config.and_then(|c| c.volumes).is_some_and(|v| !v.is_empty()) {
            return Err("it declares volumes, which no limit of a job would reach".to_owned());
        }
        if outer.rootfs.diff_ids.is_empty() || outer.rootfs.diff_ids.len() > MAX_LAYERS {
            return Err(format!("it has {} layers", outer.rootfs.diff_ids.len()));
        }
        let hex = |id: &String| {
            let hex = id.strip_prefix("sha256:").filter(|h| h.len() == 64)?;
            hex.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')).then(|| hex.to_owned())
        };
        let layers: Option<Vec<String>> = outer.rootfs.diff_ids.iter().map(hex).collect();
        Ok(Self { layers: layers.ok_or("a layer has no SHA-256")? })
    }
}

/// Takes the parts out of a tar file as an engine packs it, and puts them into `dir`, where nothing is. Blocks.
///
/// # Errors
/// It cannot be read or written, or its parts do not belong together.
pub(super) fn take_apart(packed: impl Read, dir: &Path) -> io::Result<()> {
    let raw = dir.join("raw");
    fs::create_dir_all(&raw)?;
    let (mut files, mut links) = (HashMap::<String, PathBuf>::new(), HashMap::<String, String>::new());
    let mut count = 0;
    let mut archive = tar::Archive::new(packed);
    for entry in archive.entries()? {
        let mut entry = entry?;
        // Names are kept apart from paths on disk: an engine is trusted, but its tar file is only read.
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if count + links.len() >= MAX_FILES {
            return Err(io::Error::other("the engine packed more files than an image has"));
        }
        match entry.header().entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                // The same name once more means the newer content, as everywhere.
                count += 1;
                let path = raw.join(count.to_string());
                io::copy(&mut entry, &mut File::create_new(&path)?)?;
                files.insert(name, path);
            }
            // The same layer twice is packed once by older Dockers.
            tar::EntryType::Symlink | tar::EntryType::Link => {
                let to = entry.link_name_bytes().map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
                links.insert(name, to.trim_start_matches("../").to_owned());
            }
            _ => {}
        }
    }
    let find = |name: &str| {
        let name = links.get(name).map_or(name, String::as_str);
        files.get(name).ok_or_else(|| io::Error::other(format!("the engine packed no {name}")))
    };
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Packed {
        config: String,
        layers: Vec<String>,
    }
    let list: Vec<Packed> = serde_json::from_slice(&fs::read(find("manifest.json")?)?).map_err(io::Error::other)?;
    let [image] = &list[..] else {
        return Err(io::Error::other("the engine packed another number of images than one"));
    };
    let text = fs::read(find(&image.config)?)?;
    let config = Config::read(&text).map_err(io::Error::other)?;
    if config.layers.len() != image.layers.len() {
        return Err(io::Error::other("the engine packed another number of layers than the image has"));
    }
    for (hex, name) in config.layers.iter().zip(&image.layers) {
        let to = dir.join(layer_file(hex));
        if !to.exists() {
            unfold(find(name)?, &to, hex)?;
        }
    }
    fs::write(dir.join(CONFIG), text)?;
    fs::remove_dir_all(&raw)
}

fn layer_file(hex: &str) -> String {
    format!("{hex}.tar")
}

/// A layer as it is unpacked: newer engines keep and pack them compressed.
fn unfold(from: &Path, to: &Path, hex: &str) -> io::Result<()> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(from)?);
    let compressed = match file.fill_buf()? {
        [0x1f, 0x8b, ..] => Some(Box::new(flate2::bufread::MultiGzDecoder::new(file)) as Box<dyn Read>),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Box::new(zstd::Decoder::with_buffer(file)?) as Box<dyn Read>),
        _ => None,
    };
    let hash = match compressed {
        Some(mut layer) => sha256(&mut layer, Some(&mut File::create_new(to)?))?,
        None => {
            let mut file = File::open(from)?;
            let hash = sha256(&mut file, None)?;
            fs::rename(from, to)?;
            hash
        }
    };
    if hash == hex { Ok(()) } else { Err(io::Error::other("a layer that the engine packed is not what its hash says")) }
}

/// The parts of an image that came, checked.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    text: Vec<u8>,
    config: Config,
    files: HashMap<String, FileEntry>,
}

/// Whether an image is among the files of an environment that travels.
pub fn is_image(manifest: &Manifest) -> bool {
    manifest.files().iter().any(|f| f.path.as_str().starts_with(IMAGE))
}

/// What else is among them: the files of a directory, if there is one.
pub(super) fn rest(manifest: &Manifest) -> Option<Manifest> {
    let rest: Vec<FileEntry> =
        manifest.files().iter().filter(|f| !f.path.as_str().starts_with(IMAGE)).cloned().collect();
    let tree = rest.iter().any(|f| f.path.as_str() != CARD);
    // What was one list is a shorter one.
    Manifest::new(rest).ok().filter(|_| tree)
}

/// A small file of a transfer.
///
/// # Errors
/// It is not there, or is too large to be that file.
pub(super) fn small_file(store: &BlobStore, manifest: &Manifest, path: &str, most: u64) -> Result<Vec<u8>, Problem> {
    let entry = manifest.files().iter().find(|f| f.path.as_str() == path).filter(|f| f.size <= most);
    let entry = entry.ok_or_else(|| format!("{path} is missing or too large"))?;
    let mut bytes = Vec::with_capacity(entry.size as usize);
    for (digest, len) in entry.chunks() {
        bytes.extend(store.get(&digest, len).map_err(|e| e.to_string())?);
    }
    Ok(bytes)
}

impl Parts {
    /// Finds the parts among what came and hashes every layer. Blocks for as long as reading all of it takes.
    ///
    /// # Errors
    /// They are not the parts of one image for this machine.
    pub(super) fn of(store: &BlobStore, manifest: &Manifest) -> Result<Self, Problem> {
        let text = small_file(store, manifest, &format!("{IMAGE}{CONFIG}"), MAX_CONFIG)?;
        let config = Config::read(&text)?;
        let below = |f: &&FileEntry| f.path.as_str().starts_with(IMAGE);
        let files: HashMap<String, FileEntry> = manifest
            .files()
            .iter()
            .filter(below)
            .map(|f| (f.path.as_str()[IMAGE.len()..].to_owned(), f.clone()))
            .collect();
        let named = |name: &str| name == CONFIG || config.layers.iter().any(|hex| layer_file(hex) == name);
        if let Some(other) = files.keys().find(|name| !named(name)) {
            return Err(format!("{other:?} is no part of it"));
        }
        for hex in &config.layers {
            let entry = files.get(&layer_file(hex)).ok_or_else(|| format!("layer {hex} did not come"))?;
            let mut layer = Chunks::new(store, entry);
            if sha256(&mut layer, None).map_err(|e| e.to_string())? != *hex {
                return Err(format!("layer {hex} is not what its hash says"));
            }
        }
        Ok(Self { text, config, files })
    }

    /// Its layers as engines name them, the lowest first.
    pub(super) fn layers(&self) -> Vec<String> {
        self.config.layers.iter().map(|hex| format!("sha256:{hex}")).collect()
    }

    /// Writes the tar file that an engine takes in, in which the image is called `name`. Blocks.
    ///
    /// # Errors
    /// The store lost a chunk, or nobody reads on.
    pub(super) fn put_together(&self, store: &BlobStore, name: &str, into: impl Write) -> io::Result<()> {
        let mut tar = tar::Builder::new(into);
        let mut add = |name: &str, size: u64, content: &mut dyn Read| {
            let mut header = tar::Header::new_ustar();
            header.set_size(size);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, content)
        };
        let mut context = Context::new(&SHA256);
        context.update(&self.text);
        let config = format!("{}.json", HEXLOWER.encode(context.finish().as_ref()));
        let layers: Vec<String> = self.config.layers.iter().map(|hex| format!("{hex}/layer.tar")).collect();
        let list = serde_json::json!([{ "Config": config, "RepoTags": [name], "Layers": layers }]).to_string();
        add(&config, self.text.len() as u64, &mut &self.text[..])?;
        for (name, entry) in self.files.iter().filter(|(name, _)| *name != CONFIG) {
            let name = format!("{}/layer.tar", name.trim_end_matches(".tar"));
            add(&name, entry.size, &mut Chunks::new(store, entry))?;
        }
        add("manifest.json", list.len() as u64, &mut list.as_bytes())?;
        tar.into_inner()?.flush()
    }
}

/// A file of a transfer, read out of the store.
struct Chunks<'a> {
    store: &'a BlobStore,
    left: std::vec::IntoIter<(Digest, u64)>,
    now: io::Cursor<Vec<u8>>,
}

impl<'a> Chunks<'a> {
    fn new(store: &'a BlobStore, entry: &FileEntry) -> Self {
        let left = entry.chunks().collect::<Vec<_>>().into_iter();
        Self { store, left, now: io::Cursor::default() }
    }
}

impl Read for Chunks<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.now.stream_position()? == self.now.get_ref().len() as u64 {
            let Some((digest, len)) = self.left.next() else { return Ok(0) };
            self.now = io::Cursor::new(self.store.get(&digest, len).map_err(io::Error::other)?);
        }
        self.now.read(into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CHUNK_BYTES, CleanPath};
    use proptest::prelude::*;

    const NAME: &str = "homie-env:0123";

    fn hex(bytes: &[u8]) -> String {
        HEXLOWER.encode(ring::digest::digest(&SHA256, bytes).as_ref())
    }

    /// Two layers, the second twice: the larger has several chunks.
    fn layers() -> Vec<Vec<u8>> {
        let large = (0..3 * CHUNK_BYTES + 7).map(|n| (n % 251) as u8).collect();
        vec![large, b"small".to_vec(), b"small".to_vec()]
    }

    fn config(layers: &[Vec<u8>], more: &str) -> String {
        let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let ids: Vec<String> = layers.iter().map(|l| format!("\"sha256:{}\"", hex(l))).collect();
        format!(
            "{{\"architecture\":\"{arch}\",\"os\":\"linux\",\"config\":{{{more}}},\"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[{}]}}}}",
            ids.join(",")
        )
    }

    type Packed = tar::Builder<Vec<u8>>;

    fn add(tar: &mut Packed, name: &str, bytes: &[u8]) {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, bytes).expect("packed");
    }

    /// As Docker 20.10 packs: a directory for each layer, and a link where one is there already.
    fn classic(layers: &[Vec<u8>], config: &str) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (n, layer) in layers.iter().enumerate() {
            match layers[..n].iter().position(|l| l == layer) {
                Some(at) => {
                    let mut header = tar::Header::new_ustar();
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_size(0);
                    tar.append_link(&mut header, format!("l{n}/layer.tar"), format!("../l{at}/layer.tar"))
                        .expect("packed");
                }
                None => add(&mut tar, &format!("l{n}/layer.tar"), layer),
            }
            add(&mut tar, &format!("l{n}/VERSION"), b"1.0");
        }
        let names: Vec<String> = (0..layers.len()).map(|n| format!("l{n}/layer.tar")).collect();
        add(&mut tar, "c.json", config.as_bytes());
        let list = serde_json::json!([{ "Config": "c.json", "RepoTags": null, "Layers": names }]);
        add(&mut tar, "manifest.json", list.to_string().as_bytes());
        tar.into_inner().expect("packed")
    }

    /// As engines pack that keep layers as their registry had them.
    fn compressed(layers: &[Vec<u8>], config: &str) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut names = Vec::new();
        for (n, layer) in layers.iter().enumerate() {
            let blob = if n == 0 {
                let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gz.write_all(layer).expect("packed");
                gz.finish().expect("packed")
            } else {
                zstd::encode_all(&layer[..], 1).expect("packed")
            };
            names.push(format!("blobs/sha256/{}", hex(&blob)));
            add(&mut tar, &names[n], &blob);
        }
        add(&mut tar, "blobs/sha256/c", config.as_bytes());
        let list = serde_json::json!([{ "Config": "blobs/sha256/c", "Layers": names }]);
        add(&mut tar, "manifest.json", list.to_string().as_bytes());
        tar.into_inner().expect("packed")
    }

    /// The parts as they would arrive.
    fn arrive(dir: &Path) -> (BlobStore, Manifest) {
        let store = BlobStore::open(dir.join("store"), 1 << 30).expect("a store");
        let mut files = Vec::new();
        for entry in fs::read_dir(dir.join(IMAGE)).expect("listed").flatten() {
            let bytes = fs::read(entry.path()).expect("read");
            let path = CleanPath::new(format!("{IMAGE}{}", entry.file_name().to_string_lossy())).expect("clean");
            let file = crate::transfer::describe(&bytes[..]).expect("read").entry(path, false);
            let mut left = &bytes[..];
            for (digest, len) in file.chunks() {
                let (piece, rest) = left.split_at(len as usize);
                store.put(&digest, piece).expect("put");
                left = rest;
            }
            files.push(file);
        }
        (store, Manifest::new(files).expect("a list"))
    }

    fn apart(packed: &[u8]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("tempdir");
        take_apart(packed, &dir.path().join(IMAGE)).expect("taken apart");
        dir
    }

    #[test]
    fn however_it_was_packed_the_same_parts_travel_and_make_the_same_image() {
        let (layers, config) = (layers(), config(&layers(), ""));
        let (first, second) = (apart(&classic(&layers, &config)), apart(&compressed(&layers, &config)));
        let ((store, manifest), (_, other)) = (arrive(first.path()), arrive(second.path()));
        assert_eq!(manifest.digest(), other.digest());
        assert_eq!(manifest.files().len(), 3, "two layers and the configuration");
        assert!(is_image(&manifest) && rest(&manifest).is_none());

        let parts = Parts::of(&store, &manifest).expect("sound");
        let mut tar = Vec::new();
        parts.put_together(&store, NAME, &mut tar).expect("put together");
        let again = apart(&tar);
        assert_eq!(arrive(again.path()).1.digest(), manifest.digest());
        assert!(String::from_utf8_lossy(&tar).contains(&format!("\"RepoTags\":[\"{NAME}\"]")));
    }

    #[test]
    fn parts_that_do_not_belong_together_are_refused() {
        let refused = |spoil: fn(&Path), config: &str, why: &str| {
            let dir = tempfile::tempdir().expect("tempdir");
            let parts = dir.path().join(IMAGE);
            fs::create_dir_all(&parts).expect("made");
            for layer in layers() {
                fs::write(parts.join(layer_file(&hex(&layer))), layer).expect("written");
            }
            fs::write(parts.join(CONFIG), config).expect("written");
            spoil(&parts);
            let (store, manifest) = arrive(dir.path());
            let problem = Parts::of(&store, &manifest).expect_err(why);
            assert!(problem.contains(why), "{problem}");
        };
        let sound = config(&layers(), "");
        refused(|p| fs::write(p.join(layer_file(&hex(b"small"))), b"other").expect("written"), &sound, "its hash says");
        refused(|p| fs::remove_file(p.join(layer_file(&hex(b"small")))).expect("gone"), &sound, "did not come");
        refused(|p| fs::write(p.join("manifest.json"), b"[]").expect("written"), &sound, "no part of it");
        refused(|p| fs::remove_file(p.join(CONFIG)).expect("gone"), &sound, "missing");
        refused(|_| (), &config(&layers(), "\"Volumes\":{\"/data\":{}}"), "declares volumes");
        refused(|_| (), &sound.replace("linux", "windows"), "this machine is");
        refused(|_| (), &sound.replace("sha256:", "sha256:../"), "no SHA-256");
        refused(|_| (), "{}", "its configuration");
    }

    #[test]
    fn what_an_engine_packs_wrongly_is_not_passed_on() {
        let (layers, sound) = (layers(), config(&layers(), ""));
        let lie = config(&[b"x".to_vec(), b"y".to_vec(), b"z".to_vec()], "");
        for packed in [classic(&layers, &lie), compressed(&layers, &lie), classic(&layers[..1], &sound), vec![0; 1024]]
        {
            let dir = tempfile::tempdir().expect("tempdir");
            take_apart(&packed[..], &dir.path().join(IMAGE)).expect_err("refused");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_readers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000), cut in 0usize..4000) {
            let dir = tempfile::tempdir().expect("tempdir");
            let _ = (Config::read(&bytes), take_apart(&bytes[..], &dir.path().join("a")));
            let small = vec![b"small".to_vec()];
            let packed = classic(&small, &config(&small, ""));
            let _ = take_apart(&packed[..cut.min(packed.len())], &dir.path().join("b"));
        }
    }
}
