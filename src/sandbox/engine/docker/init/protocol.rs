//! What a supervisor and the init program of a container say to each other, over named pipes in the directory that is
//! [`PLACE`] inside. Part of homied and of the init program, so it uses the standard library only.
//!
//! ```text
//! supervisor                       init
//!   opens status, out, err to read
//!   go    -> in      [b'G']          opens in when it starts, and waits there
//!                                    opens status, out, err to write
//!   ready <- status  Said::Ready
//!   removes the names of the pipes: the job shall not find them
//!   order -> in      length, Order
//!                                    starts the program, its output on out and err
//!   said  <- status  Said::Started, or Said::Failed(errno) and the end
//!   said  <- status  Said::Ended(wait status), and the end: the kernel kills what is left
//! ```
//! `in` stays open for as long as the supervisor lives and wants the job to live.

/// Where the pipes and the init program are inside a container.
pub(crate) const PLACE: &str = "/run/homie";
/// The init program, there.
pub(crate) const INIT: &str = "init";
/// The pipe to init.
pub(crate) const IN: &str = "in";
/// The pipe from init.
pub(crate) const STATUS: &str = "status";
/// The program's standard output.
pub(crate) const OUT: &str = "out";
/// The program's standard error.
pub(crate) const ERR: &str = "err";
/// The four pipes.
pub(crate) const PIPES: [&str; 4] = [IN, STATUS, OUT, ERR];
/// The first byte on [`IN`].
pub(crate) const GO: u8 = b'G';
/// Longest order. The kernel gives a program 2 MiB of arguments and variables as a rule (execve(2)), and homied refuses
/// a job with more.
pub(crate) const MAX_ORDER: usize = 8 << 20;

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Order {
    /// The working directory.
    pub(crate) dir: Vec<u8>,
    /// The argument vector.
    pub(crate) command: Vec<Vec<u8>>,
    /// Variables (name, value) that are laid over those of the container.
    pub(crate) vars: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Order {
    /// The bytes on the pipe: a length, then strings, each after its length.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let put = |body: &mut Vec<u8>, text: &[u8]| {
            body.extend((text.len() as u32).to_le_bytes());
            body.extend(text);
        };
        put(&mut body, &self.dir);
        body.extend((self.command.len() as u32).to_le_bytes());
        self.command.iter().for_each(|word| put(&mut body, word));
        for (name, value) in &self.vars {
            put(&mut body, name);
            put(&mut body, value);
        }
        let mut all = (body.len() as u32).to_le_bytes().to_vec();
        all.extend(body);
        all
    }

    /// The inverse for what follows the length; `None` when it is no order.
    pub(crate) fn decode(mut body: &[u8]) -> Option<Self> {
        let dir = take(&mut body)?;
        let count = number(&mut body)? as usize;
        // Each takes four bytes at least, so the count cannot ask for more memory than came.
        if count > body.len() / 4 {
            return None;
        }
        let command = (0..count).map(|_| take(&mut body)).collect::<Option<Vec<_>>>()?;
        let mut vars = Vec::new();
        while !body.is_empty() {
            vars.push((take(&mut body)?, take(&mut body)?));
        }
        (!command.is_empty()).then_some(Self { dir, command, vars })
    }
}

fn number(body: &mut &[u8]) -> Option<u32> {
    let (head, rest) = body.split_first_chunk::<4>()?;
    *body = rest;
    Some(u32::from_le_bytes(*head))
}

fn take(body: &mut &[u8]) -> Option<Vec<u8>> {
    let len = number(body)? as usize;
    let (text, rest) = body.split_at_checked(len)?;
    *body = rest;
    Some(text.to_vec())
}

/// What init says. [`Said::BYTES`] each, so that one write is one message (pipe(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// It holds all pipes and waits for its order.
    Ready,
    /// The program runs.
    Started,
    /// It cannot be started; the number of the error (errno(3)).
    Failed(i32),
    /// It ended with this wait status (wait(2)).
    Ended(i32),
}

impl Said {
    /// Length of a message.
    pub(crate) const BYTES: usize = 5;

    /// The bytes on the pipe.
    pub(crate) fn encode(self) -> [u8; Self::BYTES] {
        let (tag, number) = match self {
            Self::Ready => (b'R', 0),
            Self::Started => (b'S', 0),
            Self::Failed(errno) => (b'F', errno),
            Self::Ended(status) => (b'E', status),
        };
        let [a, b, c, d] = number.to_le_bytes();
        [tag, a, b, c, d]
    }

    /// The inverse; `None` for what init never says.
    pub(crate) fn decode([tag, a, b, c, d]: [u8; Self::BYTES]) -> Option<Self> {
        let number = i32::from_le_bytes([a, b, c, d]);
        match tag {
            b'R' => Some(Self::Ready),
            b'S' => Some(Self::Started),
            b'F' => Some(Self::Failed(number)),
            b'E' => Some(Self::Ended(number)),
            _ => None,
        }
    }
}
