//! Peers at several addresses.

use super::*;
use crate::model::Way;
use crate::registry::messages::Tried;

#[test]
fn a_peer_is_found_where_it_is_whoever_else_answers_or_not() {
    run(async {
        let (a, b, other) = (Machine::new("raj").await, Machine::new("mike").await, Machine::new("eve").await);
        // Nobody is left at the first place, the second takes the connection and is silent, at the third lives another.
        let gone = TcpListener::bind("127.0.0.1:0").await.expect("bind").local_addr().expect("address");
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let quiet = silent.local_addr().expect("address");
        a.seen().elsewhere = vec![gone, quiet, other.addr()];
        a.knows(&b);
        let inputs = a.store(&[("x", vec![1])]);
        a.offer(b.id, 1, &inputs).await.expect("found");
        let failed: Vec<Way> =
            a.seen().tried.iter().filter(|t| t.tried == Tried::Failed).map(|t| t.way.clone()).collect();
        assert_eq!(
            failed,
            [Way::Straight(gone), Way::Straight(other.addr())],
            "the silent one may still have answered"
        );
        assert!(other.seen().linked.is_empty(), "who is not wanted hears no HELLO");
        assert_eq!(b.seen().linked.len(), 1);
    });
}
