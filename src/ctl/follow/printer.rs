//! Writes a job's output: `[raj] ` in front of each line, nothing that steers the terminal, each source to its stream.

use std::cell::RefCell;
use std::io::{self, BufWriter, Write};
use std::rc::Rc;

use super::lines::{Assembler, Emit, End, Piece};
use crate::ctl::render::Style;
use crate::model::visible_controls;
use crate::wire::output::Source;

/// One write call for so many bytes of lines: a million lines in a few hundred calls.
const BUFFER: usize = 64 << 10;
/// Back to the first column, and nothing stands on the line any more.
const REWRITE: &[u8] = b"\r\x1b[K";

const SOURCES: [Source; 2] = [Source::Stdout, Source::Stderr];

/// One output stream.
#[derive(Debug)]
struct Stream<W: Write> {
    to: BufWriter<W>,
    style: Style,
    assembler: Assembler,
    /// A line stands open on it.
    open: bool,
    /// That line is to be overwritten by the next.
    overwrite: bool,
    /// The open line was closed to make room for something else; its rest begins with the name again.
    cut: bool,
}

/// Standard output and standard error of the client.
#[derive(Debug)]
pub(super) struct Printer<W: Write> {
    out: Stream<W>,
    err: Stream<W>,
    /// Both show on one terminal.
    shared: bool,
    raw: bool,
    name: String,
    failed: Option<io::Error>,
}

/// What a terminal would get of these bytes.
pub(super) fn as_shown(output: &[u8]) -> Vec<u8> {
    /// Keeps what is written. Boxed, so that the printer of every day does the work.
    struct Paper(Rc<RefCell<Vec<u8>>>);
    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let paper = Rc::new(RefCell::new(Vec::new()));
    let style = Style { tty: false, color: false, unicode: true, width: 80 };
    let stream = || -> (Box<dyn Write>, Style) { (Box::new(Paper(Rc::clone(&paper))), style) };
    let mut printer = Printer::new(stream(), stream(), false);
    printer.output(Source::Stdout, output);
    // Nothing that writes into memory fails.
    let _ = printer.finish();
    paper.take()
}

impl<W: Write> Printer<W> {
    /// A printer onto these streams. `raw` writes exactly the job's bytes.
    pub(super) fn new((out, out_style): (W, Style), (err, err_style): (W, Style), raw: bool) -> Self {
        let stream = |to, style| Stream {
            to: BufWriter::with_capacity(BUFFER, to),
            style,
            assembler: Assembler::default(),
            open: false,
            overwrite: false,
            cut: false,
        };
        let shared = out_style.tty && err_style.tty;
        Self {
            out: stream(out, out_style),
            err: stream(err, err_style),
            shared,
            raw,
            name: String::new(),
            failed: None,
        }
    }

    /// The lines that come now are of the machine `name`.
    pub(super) fn set_name(&mut self, name: &str) {
        self.name = visible_controls(name.as_bytes());
    }

    /// Takes some output of the job. A failed write is told by the next [`Printer::idle`].
    pub(super) fn output(&mut self, source: Source, data: &[u8]) {
        if self.raw {
            self.take_turn(source);
            self.write(source, data);
        } else {
            self.assemble(source, &|assembler, emit| assembler.push(data, emit));
        }
    }

    /// Hands over what is written; nothing new will come for a moment.
    pub(super) fn idle(&mut self) -> io::Result<()> {
        SOURCES.into_iter().for_each(|source| self.flush(source));
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Whether an unfinished line waits to be shown.
    pub(super) fn has_pending(&self) -> bool {
        self.out.assembler.has_pending() || self.err.assembler.has_pending()
    }

    /// Shows unfinished lines: a prompt, or the dots of a slow loop.
    pub(super) fn show_pending(&mut self) -> io::Result<()> {
        SOURCES.into_iter().for_each(|source| self.assemble(source, &|assembler, emit| assembler.flush(emit)));
        self.idle()
    }

    /// No more comes of this attempt: shows everything and closes open lines.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        for source in SOURCES {
            self.assemble(source, &|assembler, emit| assembler.finish(emit));
            self.close_line(source);
            self.stream(source).cut = false;
        }
        self.idle()
    }

    /// Makes room on the terminal for something that is not the job's.
    pub(super) fn step_aside(&mut self) -> io::Result<()> {
        for source in SOURCES {
            if self.stream(source).style.tty {
                self.close_line(source);
            }
        }
        self.idle()
    }

    fn stream(&mut self, source: Source) -> &mut Stream<W> {
        match source {
            Source::Stdout => &mut self.out,
            Source::Stderr => &mut self.err,
        }
    }

    fn assemble(&mut self, source: Source, act: &dyn Fn(&mut Assembler, Emit<'_>)) {
        let mut assembler = std::mem::take(&mut self.stream(source).assembler);
        act(&mut assembler, &mut |piece| self.piece(source, piece));
        self.stream(source).assembler = assembler;
    }

    fn piece(&mut self, source: Source, piece: Piece<'_>) {
        // A bar that redraws itself begins with the return: that is no line.
        if piece.end == End::Return && piece.text.is_empty() && piece.start {
            return;
        }
        self.take_turn(source);
        let name = std::mem::take(&mut self.name);
        let stream = self.stream(source);
        let style = stream.style;
        if piece.start || std::mem::take(&mut stream.cut) {
            if std::mem::take(&mut stream.overwrite) {
                self.write(source, REWRITE);
            }
            if !name.is_empty() {
                self.write(source, style.cyan(&format!("[{name}]")).as_bytes());
                self.write(source, b" ");
            }
        }
        self.name = name;
        // The usual line has nothing to hide, and a million of them need no copies.
        if piece.text.iter().all(|b| matches!(b, b' '..=b'~' | b'\t')) {
            self.write(source, piece.text);
        } else {
            self.write(source, visible_controls(piece.text).as_bytes());
        }
        if piece.end == End::Newline || (piece.end == End::Return && !style.tty) {
            self.write(source, b"\n");
        }
        let stream = self.stream(source);
        stream.overwrite = piece.end == End::Return && style.tty;
        stream.open = piece.end == End::Open || stream.overwrite;
    }

    /// On one terminal the other stream's open line has to end first, and its bytes have to be there before ours.
    fn take_turn(&mut self, source: Source) {
        if !self.shared {
            return;
        }
        let other = if source == Source::Stdout { Source::Stderr } else { Source::Stdout };
        self.close_line(other);
        if !self.stream(other).to.buffer().is_empty() {
            self.flush(other);
        }
    }

    fn close_line(&mut self, source: Source) {
        let stream = self.stream(source);
        if std::mem::take(&mut stream.open) {
            // What comes after an overwritten line begins a line anyway.
            stream.cut = !std::mem::take(&mut stream.overwrite);
            self.write(source, b"\n");
        }
    }

    fn write(&mut self, source: Source, bytes: &[u8]) {
        if let Err(e) = self.stream(source).to.write_all(bytes) {
            self.failed.get_or_insert(e);
        }
    }

    fn flush(&mut self, source: Source) {
        if let Err(e) = self.stream(source).to.flush() {
            self.failed.get_or_insert(e);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    /// A stream that several may read.
    #[derive(Clone, Default)]
    struct Screen(Rc<RefCell<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Screen {
        fn text(&self) -> String {
            String::from_utf8(self.0.borrow().clone()).expect("UTF-8")
        }
    }

    fn style(tty: bool) -> Style {
        Style { tty, color: false, unicode: true, width: 80 }
    }

    /// Standard output and error in two pipes.
    fn pipes(raw: bool) -> (Printer<Screen>, Screen, Screen) {
        let (out, err) = (Screen::default(), Screen::default());
        let mut printer = Printer::new((out.clone(), style(false)), (err.clone(), style(false)), raw);
        printer.set_name("raj");
        (printer, out, err)
    }

    /// Both on one terminal.
    fn terminal() -> (Printer<Screen>, Screen) {
        let screen = Screen::default();
        let mut printer = Printer::new((screen.clone(), style(true)), (screen.clone(), style(true)), false);
        printer.set_name("raj");
        (printer, screen)
    }

    #[test]
    fn each_line_bears_the_name_and_each_source_has_its_stream() {
        let (mut p, out, err) = pipes(false);
        p.output(Source::Stdout, b"Loading da");
        p.output(Source::Stderr, b"warning\r\n");
        p.output(Source::Stdout, "ta...\n\u{2713} Saved\n\nno newline".as_bytes());
        p.finish().expect("written");
        assert_eq!(out.text(), "[raj] Loading data...\n[raj] \u{2713} Saved\n[raj] \n[raj] no newline\n");
        assert_eq!(err.text(), "[raj] warning\n");
    }

    #[test]
    fn nothing_in_the_output_steers_the_terminal() {
        let (mut p, out, _) = pipes(false);
        p.output(Source::Stdout, b"\x1b]0;owned\x07 \xff\xfe\n");
        p.finish().expect("written");
        assert_eq!(out.text(), "[raj] \\x1b]0;owned\\x07 \\xff\\xfe\n");
    }

    #[test]
    fn raw_output_is_the_jobs_bytes() {
        let (mut p, out, err) = pipes(true);
        p.output(Source::Stdout, b"a\x1b[1mb");
        p.output(Source::Stderr, b"c");
        p.output(Source::Stdout, b"\r\nd");
        p.finish().expect("written");
        assert_eq!((out.text(), err.text()), ("a\x1b[1mb\r\nd".into(), "c".into()));
    }

    #[test]
    fn on_one_terminal_lines_do_not_run_into_each_other() {
        let (mut p, screen) = terminal();
        p.output(Source::Stdout, b"Name: ");
        p.show_pending().expect("written");
        assert_eq!(screen.text(), "[raj] Name: ");
        p.output(Source::Stderr, b"late warning\n");
        p.output(Source::Stdout, b"bob\n");
        p.step_aside().expect("written");
        p.finish().expect("written");
        assert_eq!(screen.text(), "[raj] Name: \n[raj] late warning\n[raj] bob\n");
    }

    #[test]
    fn a_progress_bar_stays_on_its_line_and_becomes_lines_in_a_pipe() {
        let (mut p, screen) = terminal();
        p.output(Source::Stderr, b"\r10%\r20%\r30%\ndone\n");
        p.finish().expect("written");
        assert_eq!(screen.text(), "[raj] 10%\r\x1b[K[raj] 20%\r\x1b[K[raj] 30%\n[raj] done\n");
        let (mut p, _, err) = pipes(false);
        p.output(Source::Stderr, b"\r10%\r20%\r30%\ndone");
        p.finish().expect("written");
        assert_eq!(err.text(), "[raj] 10%\n[raj] 20%\n[raj] 30%\n[raj] done\n");
    }

    #[test]
    fn a_reader_that_has_gone_is_told() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut p = Printer::new((Gone, style(false)), (Gone, style(false)), false);
        p.output(Source::Stdout, b"x\n");
        assert_eq!(p.idle().expect_err("gone").kind(), io::ErrorKind::BrokenPipe);
    }
}
