//! Who this machine is: an Ed25519 key made at the first start and kept for ever.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::SigningKey;

use crate::model::PeerId;

/// What stands before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410, section 4).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// A PKCS#8 Ed25519 key has 83 or 85 bytes; a file much longer is something else.
const MAX_KEY_FILE: u64 = 1024;

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Others could have copied it.
    #[error("the device key {path} can be read by others (mode {mode:o}); run: chmod 600 {path}")]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It holds something else.
    #[error(
        "{path} is not an Ed25519 key in PKCS#8 form; restore it from a backup, or remove it and friends will see a new machine"
    )]
    NotAKey {
        /// Which file.
        path: PathBuf,
    },
    /// It cannot be read or written.
    #[error("cannot {doing} the device key {path}: {source}")]
    Io {
        /// `read` or `write`.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system gives no random bytes.
    #[error("no random bytes for a device key")]
    NoRandom,
}

/// This machine's key. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    peer: PeerId,
    spki: Arc<[u8]>,
    signing: Arc<dyn SigningKey>,
    pair: Arc<Ed25519KeyPair>,
}

impl Identity {
    /// Reads the key at `path`, or makes one when there is none.
    ///
    /// # Errors
    /// See [`IdentityError`]: a key that others can read is refused rather than used.
    pub fn load_or_create(path: &Path) -> Result<Self, IdentityError> {
        match read_key(path) {
            Err(IdentityError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                write_key(path, &new_key()?)?;
                // Read back what lies there: had another homied been quicker, both must use the same key.
                read_key(path)
            }
            other => other,
        }
    }

    /// A key that is kept nowhere, for tests and trials.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn ephemeral() -> Result<Self, IdentityError> {
        Self::from_pkcs8(&new_key()?).ok_or(IdentityError::NoRandom)
    }

    fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok()?;
        let signing = rustls::crypto::ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(der.to_vec())).ok()?;
        let spki = [&SPKI_PREFIX[..], pair.public_key().as_ref()].concat();
        Some(Self { peer: peer_id(&spki), spki: spki.into(), signing, pair: Arc::new(pair) })
    }

    /// The name friends know this machine by: the hash of its public key.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// The public key as SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The public key alone.
    pub fn public_key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        key.copy_from_slice(&self.spki[SPKI_PREFIX.len()..]);
        key
    }

    /// The signature of `context` and `message`, one behind the other. The context tells what is signed, so that a
    /// signature for one purpose is none for another; it must not be the beginning of another one.
    pub fn sign(&self, context: &[u8], message: &[u8]) -> [u8; 64] {
        let signature = self.pair.sign(&[context, message].concat());
        let mut bytes = [0; 64];
        bytes.copy_from_slice(signature.as_ref());
        bytes
    }

    /// The key in the form in which TLS signs with it.
    pub fn signing_key(&self) -> Arc<dyn SigningKey> {
        self.signing.clone()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({:?})", self.peer)
    }
}

/// The id of whoever owns this public key (SubjectPublicKeyInfo).
pub fn peer_id(spki: &[u8]) -> PeerId {
    let mut id = [0; 32];
    id.copy_from_slice(digest(&SHA256, spki).as_ref());
    PeerId(id)
}

/// The id of whoever owns this bare Ed25519 public key.
pub fn peer_id_of_key(key: &[u8; 32]) -> PeerId {
    peer_id(&[&SPKI_PREFIX[..], key].concat())
}

/// Whether `signature` is one of [`Identity::sign`] by the owner of `key`. About 40 µs.
pub fn verify(key: &[u8; 32], context: &[u8], message: &[u8], signature: &[u8; 64]) -> bool {
    UnparsedPublicKey::new(&ED25519, key).verify(&[context, message].concat(), signature).is_ok()
}

/// Whether this is the SubjectPublicKeyInfo of an Ed25519 key, in its only spelling.
pub fn is_ed25519_spki(spki: &[u8]) -> bool {
    spki.len() == SPKI_PREFIX.len() + 32 && spki.starts_with(&SPKI_PREFIX)
}

fn new_key() -> Result<Vec<u8>, IdentityError> {
    let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| IdentityError::NoRandom)?;
    Ok(key.as_ref().to_vec())
}

fn read_key(path: &Path) -> Result<Identity, IdentityError> {
    let fail = |source| IdentityError::Io { doing: "read", path: path.to_owned(), source };
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path).map_err(fail)?;
    let meta = file.metadata().map_err(fail)?;
    if meta.mode() & 0o077 != 0 {
        return Err(IdentityError::Exposed { path: path.to_owned(), mode: meta.mode() & 0o7777 });
    }
    let mut der = Vec::new();
    file.take(MAX_KEY_FILE).read_to_end(&mut der).map_err(fail)?;
    Identity::from_pkcs8(&der).ok_or_else(|| IdentityError::NotAKey { path: path.to_owned() })
}

/// Puts the key there whole or not at all, and never over one that exists.
fn write_key(path: &Path, der: &[u8]) -> Result<(), IdentityError> {
    let fail = |source| IdentityError::Io { doing: "write", path: path.to_owned(), source };
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut temp = path.as_os_str().to_owned();
    temp.push(format!(".new-{}", std::process::id()));
    let temp = PathBuf::from(temp);
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temp)?;
        file.write_all(der)?;
        file.sync_all()?;
        // A link fails where a rename would replace.
        match fs::hard_link(&temp, path) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
            _ => File::open(dir)?.sync_all(),
        }
    };
    let _ = fs::remove_file(&temp);
    let done = write();
    let _ = fs::remove_file(&temp);
    done.map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_first_start_makes_a_key_and_later_ones_find_it() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("device.key");
        let first = Identity::load_or_create(&path).expect("made");
        let again = Identity::load_or_create(&path).expect("found");
        assert_eq!(first.peer(), again.peer());
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 1, "no temporary file is left");
        assert!(is_ed25519_spki(first.spki()));
        assert_eq!(peer_id(first.spki()), first.peer());
        assert_eq!(first.signing_key().public_key().expect("has one").as_ref(), first.spki());
        assert_ne!(first.peer(), Identity::ephemeral().expect("made").peer());
    }

    #[test]
    fn a_signature_holds_for_its_key_its_context_and_its_message_only() {
        let (me, other) = (Identity::ephemeral().expect("made"), Identity::ephemeral().expect("made"));
        let signature = me.sign(b"card\0", b"hello");
        let key = me.public_key();
        assert_eq!(peer_id_of_key(&key), me.peer());
        assert!(verify(&key, b"card\0", b"hello", &signature));
        assert!(!verify(&other.public_key(), b"card\0", b"hello", &signature));
        assert!(!verify(&key, b"else\0", b"hello", &signature));
        assert!(!verify(&key, b"card\0", b"hellO", &signature));
        assert!(!verify(&[0xff; 32], b"card\0", b"hello", &signature), "no key at all");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("device.key");
        Identity::load_or_create(&path).expect("made");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("chmod");
        let error = Identity::load_or_create(&path).expect_err("exposed").to_string();
        assert!(error.contains("640") && error.contains(&format!("chmod 600 {}", path.display())), "{error}");
    }

    #[test]
    fn what_is_no_key_is_neither_used_nor_replaced() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("device.key");
        for rubbish in [&b""[..], b"rubbish", &[0x30; 4000]] {
            fs::write(&path, rubbish).expect("write");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
            assert!(matches!(Identity::load_or_create(&path), Err(IdentityError::NotAKey { .. })));
            assert_eq!(fs::read(&path).expect("read"), rubbish);
        }
        fs::remove_file(&path).expect("remove");
        std::os::unix::fs::symlink("/etc/hostname", &path).expect("link");
        assert!(matches!(Identity::load_or_create(&path), Err(IdentityError::Io { .. })), "a link is not followed");
    }
}
