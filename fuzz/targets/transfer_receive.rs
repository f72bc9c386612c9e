//! A receiver of files, and a sender that says whatever it likes.

#![no_main]

use bytes::{Bytes, BytesMut};
use homie::model::{Digest, Manifest};
use homie::transfer::{ChunkAt, ChunkSink, chunks, receive};
use homie::wire::frame::{Frame, FrameCodec};
use homie::wire::refusal::Refusal;
use libfuzzer_sys::fuzz_target;
use tokio::io::AsyncWriteExt;
use tokio_util::codec::{Encoder, Framed};

/// What the sender says: the bytes as they are, or, since no fuzzer finds a hash, a list of files under its right hash
/// and the rest as their content.
fn speech(bytes: &[u8]) -> BytesMut {
    let Some(([kind, low, high], rest)) = bytes.split_first_chunk::<3>().filter(|([kind, ..], _)| kind % 2 == 1) else {
        return bytes.into();
    };
    let (list, content) = rest.split_at(usize::from(u16::from_le_bytes([*low, *high])).min(rest.len()));
    let offer = serde_json::json!({ "t": "offer", "manifest_bytes": list.len(), "digest": Digest::of(list) });
    let raw = |data: &[u8]| Frame::Raw { stream: 0, data: Bytes::copy_from_slice(data) };
    let mut said = BytesMut::new();
    let step = usize::from(*kind).max(16);
    let frames = std::iter::once(Frame::json(&offer).expect("small"));
    for frame in frames.chain(list.chunks(4096).map(raw)).chain(content.chunks(step).map(raw)) {
        FrameCodec::bulk().encode(frame, &mut said).expect("within caps");
    }
    said
}

#[derive(Default)]
struct Checks {
    written: u64,
    finished: bool,
}

impl ChunkSink for Checks {
    async fn wants(&mut self, manifest: &Manifest) -> Result<Vec<bool>, Refusal> {
        if manifest.total_bytes() > 1 << 24 {
            return Err(Refusal::internal("more than this test has room for".to_owned()));
        }
        Ok(vec![true; chunks(manifest).count()])
    }
    async fn write(&mut self, _: &Manifest, at: ChunkAt, bytes: Bytes) -> Result<(), Refusal> {
        assert_eq!(bytes.len() as u64, at.len);
        assert_eq!(Digest::of(&bytes), at.digest, "nothing is handed on unchecked");
        self.written += at.len;
        Ok(())
    }
    async fn finish(&mut self, manifest: &Manifest) -> Result<(), Refusal> {
        assert_eq!(self.written, manifest.total_bytes());
        self.finished = true;
        Ok(())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        // Room for everything either side says, so that nobody waits.
        let (near, mut far) = tokio::io::duplex(1 << 25);
        far.write_all(&speech(bytes)).await.expect("room");
        far.shutdown().await.expect("closes");
        let mut sink = Checks::default();
        let done = receive(&mut Framed::new(near, FrameCodec::bulk()), None, &mut sink, |_, _| ()).await;
        assert_eq!(done.is_ok(), sink.finished, "done is said only when it is");
    });
});
