//! The frame: `u32` little-endian length, `u8` type, body. Type 1 is JSON, type 2 is raw bytes with a stream id.
//!
//! The same frame is used on the local socket, on the control link and on bulk connections; only the caps differ.
//! The length counts the body alone. A length over the cap is refused before a byte of the body is buffered.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Serialize, de::DeserializeOwned};
use tokio_util::codec::{Decoder, Encoder};

/// Cap of a JSON body everywhere.
pub const MAX_JSON: usize = 64 << 10;
/// Cap of a JSON body before the other side has proven who it is.
pub const MAX_JSON_PRE_HELLO: usize = 4 << 10;
/// Cap of raw data in one frame on the local socket and on bulk connections: the buffer size at which TLS over
/// veth was fastest when measured.
pub const MAX_RAW_BULK: usize = 256 << 10;
/// Cap of raw data in one frame on the control link, so that a log never holds up another job's line for long.
pub const MAX_RAW_CONTROL: usize = 60 << 10;

/// Bytes before the body of a frame.
pub const HEADER: usize = 5;
/// Bytes of a raw frame's body before its data.
pub const STREAM_ID: usize = 4;
const TYPE_JSON: u8 = 1;
const TYPE_RAW: u8 = 2;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A JSON document.
    Json(Bytes),
    /// Bytes of one stream of the connection.
    Raw {
        /// Which stream.
        stream: u32,
        /// The bytes; empty ends the stream.
        data: Bytes,
    },
}

/// Why a frame cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The connection broke.
    #[error("connection broke: {0}")]
    Io(#[from] std::io::Error),
    /// The other side closed in the middle of something.
    #[error("the other side closed the connection")]
    Closed,
    /// A length over the cap.
    #[error("a frame of {len} bytes is over the cap of {cap}")]
    TooLong {
        /// What was announced.
        len: usize,
        /// What is allowed.
        cap: usize,
    },
    /// A type this version does not know.
    #[error("unknown frame type {0}")]
    UnknownType(u8),
    /// A body that does not hold what its type promises.
    #[error("malformed frame: {0}")]
    Malformed(String),
}

impl Frame {
    /// A JSON frame of `message`.
    ///
    /// # Errors
    /// The message is longer than [`MAX_JSON`] or cannot be written as JSON.
    pub fn json<T: Serialize>(message: &T) -> Result<Self, FrameError> {
        let body = serde_json::to_vec(message).map_err(|e| FrameError::Malformed(e.to_string()))?;
        if body.len() > MAX_JSON {
            return Err(FrameError::TooLong { len: body.len(), cap: MAX_JSON });
        }
        Ok(Self::Json(body.into()))
    }

    /// The message of a JSON frame.
    ///
    /// # Errors
    /// The frame is raw, or its JSON has another shape.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, FrameError> {
        match self {
            Self::Json(body) => serde_json::from_slice(body).map_err(|e| FrameError::Malformed(e.to_string())),
            Self::Raw { .. } => Err(FrameError::Malformed("raw bytes where a message was expected".into())),
        }
    }
}

/// Reads and writes frames; sans-IO, to be used with `tokio_util::codec::Framed`.
#[derive(Debug, Clone)]
pub struct FrameCodec {
    max_json: usize,
    max_raw: usize,
}

impl FrameCodec {
    /// For the local socket and bulk connections.
    pub fn bulk() -> Self {
        Self { max_json: MAX_JSON, max_raw: MAX_RAW_BULK }
    }

    /// For the control link.
    pub fn control() -> Self {
        Self { max_json: MAX_JSON, max_raw: MAX_RAW_CONTROL }
    }

    /// For the frames before HELLO is accepted: small JSON, nothing raw.
    pub fn pre_hello() -> Self {
        Self { max_json: MAX_JSON_PRE_HELLO, max_raw: 0 }
    }
}

/// What the first [`HEADER`] bytes of a frame announce: its type, and the length of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announced {
    /// A JSON document.
    Json(usize),
    /// A stream's id and its bytes.
    Raw(usize),
}

impl FrameCodec {
    /// What comes, for a reader that has its own place for it.
    ///
    /// # Errors
    /// A type that this version does not know, a length over the cap, or a raw frame too short for its stream's id.
    pub fn announced(&self, header: [u8; HEADER]) -> Result<Announced, FrameError> {
        let [a, b, c, d, kind] = header;
        let len = u32::from_le_bytes([a, b, c, d]) as usize;
        let (cap, announced) = match kind {
            TYPE_JSON => (self.max_json, Announced::Json(len)),
            TYPE_RAW => (self.max_raw + STREAM_ID, Announced::Raw(len)),
            other => return Err(FrameError::UnknownType(other)),
        };
        if len > cap {
            return Err(FrameError::TooLong { len, cap });
        }
        if kind == TYPE_RAW && len < STREAM_ID {
            return Err(FrameError::Malformed("raw frame without a stream id".into()));
        }
        Ok(announced)
    }

    /// What comes before `len` bytes of data in a raw frame, for a writer that sends those from where they lie.
    ///
    /// # Errors
    /// The length is over the cap.
    pub fn raw_head(&self, stream: u32, len: usize) -> Result<[u8; HEADER + STREAM_ID], FrameError> {
        if len > self.max_raw {
            return Err(FrameError::TooLong { len: len + STREAM_ID, cap: self.max_raw + STREAM_ID });
        }
        let [a, b, c, d] = ((len + STREAM_ID) as u32).to_le_bytes();
        let [i, j, k, l] = stream.to_le_bytes();
        Ok([a, b, c, d, TYPE_RAW, i, j, k, l])
    }
}

impl Decoder for FrameCodec {
    type Item = Frame;
    type Error = FrameError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        let Some(header) = src.first_chunk() else { return Ok(None) };
        let announced = self.announced(*header)?;
        let (Announced::Json(len) | Announced::Raw(len)) = announced;
        if src.len() < HEADER + len {
            src.reserve(HEADER + len - src.len());
            return Ok(None);
        }
        src.advance(HEADER);
        let mut body = src.split_to(len).freeze();
        if let Announced::Json(_) = announced {
            return Ok(Some(Frame::Json(body)));
        }
        let stream = body.get_u32_le();
        Ok(Some(Frame::Raw { stream, data: body }))
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        match self.decode(src)? {
            Some(frame) => Ok(Some(frame)),
            None if src.is_empty() => Ok(None),
            None => Err(FrameError::Closed),
        }
    }
}

impl Encoder<Frame> for FrameCodec {
    type Error = FrameError;

    fn encode(&mut self, frame: Frame, dst: &mut BytesMut) -> Result<(), FrameError> {
        let (kind, len, cap) = match &frame {
            Frame::Json(body) => (TYPE_JSON, body.len(), self.max_json),
            Frame::Raw { data, .. } => (TYPE_RAW, data.len() + STREAM_ID, self.max_raw + STREAM_ID),
        };
        if len > cap {
            return Err(FrameError::TooLong { len, cap });
        }
        dst.reserve(HEADER + len);
        dst.put_u32_le(len as u32);
        dst.put_u8(kind);
        match frame {
            Frame::Json(body) => dst.put_slice(&body),
            Frame::Raw { stream, data } => {
                dst.put_u32_le(stream);
                dst.put_slice(&data);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(frame: &Frame) -> BytesMut {
        let mut bytes = BytesMut::new();
        FrameCodec::bulk().encode(frame.clone(), &mut bytes).expect("within caps");
        bytes
    }

    #[test]
    fn the_bytes_of_a_frame_are_fixed_for_ever() {
        assert_eq!(&encode(&Frame::Json("{}".into()))[..], b"\x02\0\0\0\x01{}");
        assert_eq!(&encode(&Frame::Raw { stream: 7, data: "ab".into() })[..], b"\x06\0\0\0\x02\x07\0\0\0ab");
        assert_eq!(FrameCodec::bulk().raw_head(7, 2).expect("within caps"), *b"\x06\0\0\0\x02\x07\0\0\0");
        assert!(FrameCodec::bulk().raw_head(7, MAX_RAW_BULK).is_ok());
        assert!(matches!(FrameCodec::bulk().raw_head(7, MAX_RAW_BULK + 1), Err(FrameError::TooLong { .. })));
    }

    #[test]
    fn a_length_over_the_cap_is_refused_before_the_body_arrives() {
        let mut src = BytesMut::from(&b"\xff\xff\xff\xff\x01"[..]);
        assert!(matches!(FrameCodec::bulk().decode(&mut src), Err(FrameError::TooLong { .. })));
        assert!(src.capacity() < 1024);
        let mut raw = BytesMut::from(&b"\x08\0\0\0\x02"[..]);
        assert!(matches!(FrameCodec::pre_hello().decode(&mut raw), Err(FrameError::TooLong { .. })));
    }

    #[test]
    fn a_close_in_the_middle_of_a_frame_is_told_from_one_between_frames() {
        let mut half = BytesMut::from(&b"\x02\0\0\0\x01{"[..]);
        assert!(matches!(FrameCodec::bulk().decode_eof(&mut half), Err(FrameError::Closed)));
        assert!(matches!(FrameCodec::bulk().decode_eof(&mut BytesMut::new()), Ok(None)));
    }

    proptest! {
        #[test]
        fn frames_round_trip_however_the_bytes_are_cut(
            bodies in proptest::collection::vec((any::<Option<u32>>(), any::<Vec<u8>>()), 0..5), cut in 1usize..7,
        ) {
            let frames: Vec<Frame> = bodies.into_iter().map(|(stream, data)| match stream {
                Some(stream) => Frame::Raw { stream, data: data.into() },
                None => Frame::Json(data.into()),
            }).collect();
            let mut wire = Vec::new();
            for f in &frames {
                wire.extend_from_slice(&encode(f));
            }
            let mut codec = FrameCodec::bulk();
            let mut src = BytesMut::new();
            let mut back = Vec::new();
            for piece in wire.chunks(cut) {
                src.extend_from_slice(piece);
                while let Some(f) = codec.decode(&mut src).expect("valid") {
                    back.push(f);
                }
            }
            prop_assert_eq!(back, frames);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes: Vec<u8>) {
            let mut src = BytesMut::from(&bytes[..]);
            let mut codec = FrameCodec::control();
            while let Ok(Some(_)) = codec.decode(&mut src) {}
        }
    }
}
