//! Frames and the messages in them, on every kind of connection, however the bytes are cut.

#![no_main]

use bytes::BytesMut;
use homie::wire::frame::{Frame, FrameCodec};
use homie::wire::ipc::{Greeting, Reply, Request};
use homie::wire::link::{Hello, LinkFrame};
use libfuzzer_sys::fuzz_target;
use tokio_util::codec::{Decoder, Encoder};

/// All frames of `bytes`, which arrive `step` at a time.
fn decode(mut codec: FrameCodec, bytes: &[u8], step: usize) -> (Vec<Frame>, bool) {
    let (mut src, mut frames) = (BytesMut::new(), Vec::new());
    for piece in bytes.chunks(step) {
        src.extend_from_slice(piece);
        loop {
            match codec.decode(&mut src) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, false),
            }
        }
    }
    (frames, true)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((step, bytes)) = bytes.split_first() else { return };
    for codec in [FrameCodec::bulk, FrameCodec::control, FrameCodec::pre_hello] {
        let (frames, fine) = decode(codec(), bytes, usize::from(*step).max(1));
        assert_eq!((&frames, fine), (&decode(codec(), bytes, usize::MAX).0, decode(codec(), bytes, usize::MAX).1));
        let mut again = BytesMut::new();
        for frame in frames {
            let _ = (frame.parse::<Hello>(), frame.parse::<Greeting>(), frame.parse::<Request>(), frame.parse::<Reply>());
            if let Ok(message) = frame.parse::<LinkFrame>() {
                // What was understood can be said again and is the same.
                let said = Frame::json(&message).and_then(|f| f.parse::<LinkFrame>());
                assert!(said.is_err() || said.is_ok_and(|s| s == message));
            }
            codec().encode(frame, &mut again).expect("what came in fits out");
        }
        assert!(bytes.starts_with(&again), "a frame has one form");
    }
});
