//! A sender of files, and a receiver that wants whatever it likes.

#![no_main]

use std::io;

use bytes::Bytes;
use homie::model::{CleanPath, Digest, FileEntry, Manifest};
use homie::transfer::{ChunkAt, ChunkSource, send};
use homie::wire::frame::FrameCodec;
use libfuzzer_sys::fuzz_target;
use tokio::io::AsyncWriteExt;
use tokio_util::codec::Framed;

/// Files of so many equal bytes.
const SIZES: [usize; 4] = [0, 1, 4096, 300_000];

struct Sevens;

impl ChunkSource for Sevens {
    async fn read(&mut self, _: &Manifest, at: ChunkAt) -> io::Result<Bytes> {
        Ok(vec![7; at.len as usize].into())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let file = |len: usize| FileEntry {
        path: CleanPath::new(format!("f{len}")).expect("clean"),
        size: len as u64,
        exec: false,
        hash: Digest::of(&vec![7; len]),
        chunks: vec![],
        lengths: vec![],
    };
    let manifest = Manifest::new(SIZES.into_iter().map(file).collect()).expect("valid");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let (near, mut far) = tokio::io::duplex(1 << 22);
        far.write_all(bytes).await.expect("room");
        far.shutdown().await.expect("closes");
        if let Ok(sent) = send(&mut Framed::new(near, FrameCodec::bulk()), &manifest, &mut Sevens, |_, _| ()).await {
            assert!(sent <= manifest.total_bytes());
        }
    });
});
