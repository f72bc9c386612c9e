//! Cuts a stream of bytes into lines, however it arrives, without losing or doubling one.

/// A line that is longer comes in several pieces, so that output without newlines needs no memory.
const MAX_LINE: usize = 64 << 10;

/// How a piece ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The line goes on in the next piece.
    Open,
    /// `\n` or `\r\n`.
    Newline,
    /// A lone `\r`: what follows is meant to overwrite this line, as progress bars do.
    Return,
}

/// Some of a line, or all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// Its bytes, without the line's end.
    pub(super) text: &'a [u8],
    /// Whether a line begins with it.
    pub(super) start: bool,
    /// How it ends.
    pub(super) end: End,
}

/// Who is handed the pieces.
pub(super) type Emit<'a> = &'a mut dyn FnMut(Piece<'_>);

/// The unfinished line of one source.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    /// Text of the line that was not handed out yet.
    pending: Vec<u8>,
    /// A `\r` came last: the next byte tells whether it belongs to a `\r\n`.
    held_return: bool,
    /// Some of this line was handed out already.
    begun: bool,
}

impl Assembler {
    /// Takes the next bytes and hands out every line that they complete.
    pub(super) fn push(&mut self, mut data: &[u8], emit: Emit<'_>) {
        if self.held_return && !data.is_empty() {
            self.held_return = false;
            if data[0] == b'\n' {
                self.line(b"", End::Newline, emit);
                data = &data[1..];
            } else {
                self.line(b"", End::Return, emit);
            }
        }
        while let Some(at) = data.iter().position(|b| matches!(b, b'\n' | b'\r')) {
            let text = &data[..at];
            match data[at..] {
                [b'\r'] => {
                    self.pending.extend_from_slice(text);
                    self.held_return = true;
                    return;
                }
                [b'\r', b'\n', ..] => {
                    self.line(text, End::Newline, emit);
                    data = &data[at + 2..];
                }
                [b'\r', ..] => {
                    self.line(text, End::Return, emit);
                    data = &data[at + 1..];
                }
                _ => {
                    self.line(text, End::Newline, emit);
                    data = &data[at + 1..];
                }
            }
        }
        self.pending.extend_from_slice(data);
        if self.pending.len() > MAX_LINE {
            self.flush(emit);
        }
    }

    /// Hands out what there is of an unfinished line.
    pub(super) fn flush(&mut self, emit: Emit<'_>) {
        if !self.pending.is_empty() {
            self.line(b"", End::Open, emit);
        }
    }

    /// Nothing more will come: hands out the rest.
    pub(super) fn finish(&mut self, emit: Emit<'_>) {
        if std::mem::take(&mut self.held_return) {
            self.line(b"", End::Return, emit);
        }
        self.flush(emit);
        self.begun = false;
    }

    /// Whether text waits for the rest of its line.
    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    fn line(&mut self, text: &[u8], end: End, emit: Emit<'_>) {
        let start = !self.begun;
        if self.pending.is_empty() {
            emit(Piece { text, start, end });
        } else {
            self.pending.extend_from_slice(text);
            emit(Piece { text: &self.pending, start, end });
            self.pending.clear();
        }
        self.begun = end == End::Open;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the pieces say, written out again.
    #[derive(Default)]
    struct Script(Vec<u8>, Vec<bool>);

    impl Script {
        fn add(&mut self, piece: Piece<'_>) {
            self.0.extend_from_slice(piece.text);
            self.1.push(piece.start);
            match piece.end {
                End::Open => {}
                End::Newline => self.0.push(b'\n'),
                End::Return => self.0.push(b'\r'),
            }
        }
    }

    fn cut(text: &[u8], cuts: &[(usize, bool)]) -> Vec<u8> {
        let (mut assembler, mut script, mut rest) = (Assembler::default(), Script::default(), text);
        for (len, flush) in cuts {
            let (piece, after) = rest.split_at((*len).min(rest.len()));
            assembler.push(piece, &mut |p| script.add(p));
            if *flush {
                assembler.flush(&mut |p| script.add(p));
            }
            rest = after;
        }
        assembler.push(rest, &mut |p| script.add(p));
        assembler.finish(&mut |p| script.add(p));
        script.0
    }

    #[test]
    fn lines_progress_bars_and_prompts_are_told_apart() {
        let (mut a, mut seen) = (Assembler::default(), Vec::new());
        let mut emit = |p: Piece<'_>| seen.push((String::from_utf8_lossy(p.text).into_owned(), p.start, p.end));
        a.push(b"one\r", &mut emit);
        a.push(b"\ntwo\n10%\r20%\rName: ", &mut emit);
        a.flush(&mut emit);
        a.push(b"bob\n", &mut emit);
        a.finish(&mut emit);
        let want = [
            ("one", true, End::Newline),
            ("two", true, End::Newline),
            ("10%", true, End::Return),
            ("20%", true, End::Return),
            ("Name: ", true, End::Open),
            ("bob", false, End::Newline),
        ];
        assert_eq!(seen, want.map(|(t, s, e)| (t.to_owned(), s, e)));
    }

    #[test]
    fn a_line_without_end_needs_no_memory() {
        let (mut assembler, mut bytes) = (Assembler::default(), 0);
        for _ in 0..1000 {
            assembler.push(&[b'x'; 4096], &mut |p| bytes += p.text.len());
            assert!(assembler.pending.len() <= MAX_LINE);
        }
        assembler.finish(&mut |p| bytes += p.text.len());
        assert_eq!(bytes, 1000 * 4096);
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_or_doubled_however_it_is_cut(
            text in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'a'), any::<u8>()], 0..60),
            cuts in proptest::collection::vec((0usize..9, any::<bool>()), 0..12),
        ) {
            let mut want = Vec::new();
            for (i, b) in text.iter().enumerate() {
                if !(*b == b'\r' && text.get(i + 1) == Some(&b'\n')) {
                    want.push(*b);
                }
            }
            prop_assert_eq!(cut(&text, &cuts), want);
        }
    }
}
