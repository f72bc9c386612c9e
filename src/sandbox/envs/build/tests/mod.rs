//! Fetching from friends, honest and not, without a network.

mod actor;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tokio::sync::watch;

use self::actor::friend;
use super::HostBuilderParts;
use super::fetch::{CARD, Card, fetch, write_card};
use super::python::{Interpreter, Place};
use crate::blobs::BlobStore;
use crate::model::{BuildFailure, BuildProgress, EngineKind, EnvBuilt, FailedBuild, Lock, PeerId, Recipe, Target};
use crate::sandbox::envs::builder::{FetchOrder, Giver, TREE};
use crate::sandbox::envs::tree;

fn lock(python: &str) -> Lock {
    Lock {
        recipe: Recipe::default().digest(),
        target: Target { arch: std::env::consts::ARCH.into(), python: Some(python.into()), system: None },
        packages: vec![],
        apt: vec![],
        image: None,
        dockerfile: None,
    }
}

/// A settled tree that says it is `lock`.
fn tree_of(dir: &Path, lock: &Lock) -> PathBuf {
    let tree = dir.join("theirs");
    fs::create_dir_all(tree.join("bin")).expect("made");
    fs::write(tree.join("bin/tool"), b"#!/env/bin/python\n").expect("written");
    fs::write(tree.join("big"), vec![3; 3 << 20]).expect("written");
    symlink("/usr/bin/python3", tree.join("bin/python")).expect("linked");
    write_card(&tree, &Card { lock: lock.clone(), python: Some("3.11.2".into()) }).expect("written");
    tree::settle(&tree, 1 << 30).expect("settled");
    tree
}

struct Asker {
    dir: tempfile::TempDir,
    store: BlobStore,
}

impl Asker {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        let store = BlobStore::open(dir.path().join("store"), 1 << 30).expect("a store");
        Self { dir, store }
    }

    async fn ask(&self, theirs: Option<PathBuf>, lock: &Lock) -> Result<EnvBuilt, BuildFailure> {
        let dir = self.dir.path().join("mine");
        fs::create_dir_all(&dir).expect("made");
        let order = FetchOrder {
            digest: lock.digest(),
            engine: EngineKind::Native,
            givers: vec![Giver { peer: PeerId([9; 32]), engine: EngineKind::Native }],
            dir,
            max_bytes: 1 << 30,
        };
        let python = Interpreter { program: "/usr/bin/python3".into(), version: "3.11.2".into() };
        let place = Place { engine: EngineKind::Native, image: None, python, system: None };
        let (progress, _seen) = watch::channel(BuildProgress::default());
        let link = friend(theirs, self.store.clone());
        fetch(&self.host(), &link, &order, &Ok(vec![place]), &progress).await
    }

    /// No engine is asked: none answers at that address.
    fn host(&self) -> HostBuilderParts {
        HostBuilderParts {
            exe: "/nowhere".into(),
            node: "TEST".into(),
            docker_host: Some("unix:///nowhere".into()),
            cache: self.dir.path().join("cache"),
            limits: crate::model::Limits::default(),
            blobs: self.store.clone(),
            link: std::sync::Arc::default(),
            lookout: crate::sandbox::Lookout::default(),
        }
    }

    /// Nothing of a refused tree may be seen, and nothing stays pinned.
    fn is_clean(&self) -> bool {
        fs::read_dir(self.dir.path().join("mine")).expect("listed").next().is_none()
            && self.store.pins().expect("listed").is_empty()
    }
}

#[actix::test]
async fn what_a_friend_has_arrives_whole_with_its_links() {
    let (asker, theirs) = (Asker::new(), tempfile::tempdir().expect("tempdir"));
    let lock = lock("3.11");
    let tree = tree_of(theirs.path(), &lock);
    let built = asker.ask(Some(tree.clone()), &lock).await.expect("fetched");
    assert_eq!((built.digest, built.image, built.python.as_deref()), (lock.digest(), None, Some("3.11.2")));
    let mine = asker.dir.path().join("mine").join(TREE);
    assert_eq!(tree::scan(&mine).expect("scanned").digest(), tree::scan(&tree).expect("scanned").digest());
    assert_eq!(fs::read_link(mine.join("bin/python")).expect("a link"), Path::new("/usr/bin/python3"));
    assert!(asker.store.pins().expect("listed").is_empty());
}

#[actix::test]
async fn a_friend_without_it_and_one_with_another_python_are_told_apart() {
    let (asker, theirs) = (Asker::new(), tempfile::tempdir().expect("tempdir"));
    assert_eq!(asker.ask(None, &lock("3.11")).await.expect_err("none").kind, FailedBuild::Network);
    let other = lock("3.12");
    let failure = asker.ask(Some(tree_of(theirs.path(), &other)), &other).await.expect_err("another Python");
    assert_eq!(failure.kind, FailedBuild::Cannot, "{failure:?}");
    assert!(asker.is_clean());
}

#[actix::test]
async fn a_tree_whose_python_is_elsewhere_on_this_machine_is_of_no_use() {
    let (asker, theirs) = (Asker::new(), tempfile::tempdir().expect("tempdir"));
    let lock = lock("3.11");
    let tree = tree_of(theirs.path(), &lock);
    symlink("/usr/local/bin/python3.99", tree.join("bin/python3")).expect("linked");
    tree::settle(&tree, 1 << 30).expect("settled");
    let failure = asker.ask(Some(tree), &lock).await.expect_err("no such Python here");
    assert_eq!(failure.kind, FailedBuild::Cannot, "{failure:?}");
    assert!(asker.is_clean());
}

#[actix::test]
async fn an_image_is_of_no_use_to_the_native_engine() {
    let (asker, theirs) = (Asker::new(), tempfile::tempdir().expect("tempdir"));
    let lock = lock("3.11");
    let tree = tree_of(theirs.path(), &lock);
    fs::create_dir_all(tree.join(super::IMAGE)).expect("made");
    fs::write(tree.join(super::IMAGE).join("config.json"), b"{}").expect("written");
    let failure = asker.ask(Some(tree), &lock).await.expect_err("an image");
    assert!(failure.kind == FailedBuild::Cannot && failure.message.contains("native engine"), "{failure:?}");
    assert!(asker.is_clean());
}

#[actix::test]
async fn trees_of_liars_and_attackers_are_refused_and_leave_nothing() {
    let spoil: [fn(&Path); 7] = [
        // Another environment under the name that was asked for.
        |t| write_card(t, &Card { lock: lock("3.10"), python: None }).expect("written"),
        |t| fs::remove_file(t.join(CARD)).expect("removed"),
        |t| fs::write(t.join(CARD), b"{}").expect("written"),
        // Links that lead out, through a link, over a file.
        |t| fs::write(t.join(tree::LINKS), br#"{"links":{"x":"/etc/passwd"}}"#).expect("written"),
        |t| fs::write(t.join(tree::LINKS), br#"{"links":{"x":"../../../store"}}"#).expect("written"),
        |t| fs::write(t.join(tree::LINKS), br#"{"links":{"bin":"/usr/bin/python3"}}"#).expect("written"),
        |t| fs::remove_file(t.join(tree::LINKS)).expect("removed"),
    ];
    for (n, spoil) in spoil.iter().enumerate() {
        let (asker, theirs) = (Asker::new(), tempfile::tempdir().expect("tempdir"));
        let lock = lock("3.11");
        let tree = tree_of(theirs.path(), &lock);
        spoil(&tree);
        let failure = asker.ask(Some(tree), &lock).await.expect_err("refused");
        assert_eq!(failure.kind == FailedBuild::Integrity, n != 6, "{n}: {failure:?}");
        assert!(asker.is_clean(), "{n}");
    }
}
