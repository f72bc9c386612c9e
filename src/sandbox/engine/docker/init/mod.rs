//! Process 1 of a job's container, as homied sees it: the program itself, and how a job is handed over to it.
//!
//! `main` and `sys` are the program; `build.rs` makes it. `protocol` is what both sides say.

mod handover;
// The program is built by build.rs; here it only comes before the eyes of clippy and the compiler's lints.
#[cfg(test)]
#[allow(dead_code, clippy::duplicate_mod)]
#[path = "main.rs"]
mod program;
// Each side says its half and understands the other.
#[allow(dead_code, clippy::duplicate_mod)]
mod protocol;

pub(super) use handover::{Line, NoAnswer, furnish};
pub(super) use protocol::{INIT, Order, PLACE, Said};

/// The program: one static file.
const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/homie-init"));

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_init_says_round_trips_and_nothing_else_is_said() {
        for said in [Said::Ready, Said::Started, Said::Failed(2), Said::Ended(-1), Said::Ended(0x8b)] {
            assert_eq!(Said::decode(said.encode()), Some(said));
        }
        assert_eq!(Said::decode(*b"X\0\0\0\0"), None);
    }

    #[test]
    fn the_program_is_static() {
        assert_eq!(&PROGRAM[..4], b"\x7fELF");
        // PT_INTERP would name a loader that the image may not have.
        let loader = b"/ld-linux";
        assert!(!PROGRAM.windows(loader.len()).any(|w| w == loader));
    }

    proptest! {
        #[test]
        fn orders_round_trip(dir: Vec<u8>, command in prop::collection::vec(any::<Vec<u8>>(), 1..9), vars: Vec<(Vec<u8>, Vec<u8>)>) {
            let order = Order { dir, command, vars };
            let bytes = order.encode();
            let (len, body) = bytes.split_first_chunk::<4>().expect("a length");
            prop_assert_eq!(u32::from_le_bytes(*len) as usize, body.len());
            prop_assert_eq!(Order::decode(body), Some(order));
            prop_assert_eq!(Order::decode(&body[..body.len() - 1]).is_some(), false);
        }

        #[test]
        fn no_bytes_make_init_panic(body: Vec<u8>) {
            let _ = Order::decode(&body);
        }
    }
}
