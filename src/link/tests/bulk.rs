//! Bulk connections of a member that means no good.

use data_encoding::HEXLOWER;
use futures_util::{SinkExt, StreamExt};

use super::super::secure::{Frames, Member};
use super::super::tls::Tls;
use super::edges::say;
use super::*;
use crate::wire::frame::Frame;
use crate::wire::link::{LinkFrame, LinkReply, LinkRequest, Purpose, Transfer};

/// A member that speaks by hand.
struct Eve {
    member: Member,
    control: Frames,
    requests: u64,
}

impl Eve {
    async fn at(machine: &Machine) -> Self {
        let identity = Identity::ephemeral().expect("key");
        let tls = Tls::new(&identity).expect("TLS");
        let member = Member::new(tls, identity.peer(), OURS.clone(), "eve".into(), BootId([1; 16]));
        let stream = TcpStream::connect(machine.addr()).await.expect("connect");
        let control = member.dial(stream, 0, Purpose::Control).await.expect("a member").control();
        Self { member, control, requests: 0 }
    }

    async fn ask(&mut self, request: LinkRequest) -> Result<LinkReply, Refusal> {
        self.requests += 1;
        say(&mut self.control, &LinkFrame::Request { id: self.requests, request }).await;
        loop {
            let frame = self.control.next().await.expect("open").expect("frame");
            match frame.parse().expect("message") {
                LinkFrame::Reply { id, reply } if id == self.requests => return reply,
                _ => {}
            }
        }
    }

    async fn offer(&mut self, job: u8, inputs: Digest, input_totals: Totals) {
        let (job, epoch) = (JobId([job; 16]), Epoch(1));
        let offer = Offer { job, epoch, spec: JobSpec::default(), inputs, input_totals };
        self.ask(LinkRequest::Offer { offer: Box::new(offer) }).await.expect("accepted");
    }

    /// A bulk connection for the inputs of a job, on which a list of so many bytes was announced.
    async fn begin(&mut self, machine: &Machine, job: u8, list: Digest, bytes: usize) -> Frames {
        let transfer = Transfer::Inputs { job: JobId([job; 16]), epoch: Epoch(1) };
        let Ok(LinkReply::Ticket { ticket }) = self.ask(LinkRequest::Ticket { transfer }).await else {
            panic!("a ticket");
        };
        assert!(HEXLOWER.decode(ticket.as_bytes()).is_ok());
        let stream = TcpStream::connect(machine.addr()).await.expect("connect");
        let secured = self.member.dial(stream, 0, Purpose::Bulk { ticket }).await.expect("a good ticket");
        let mut frames = secured.bulk();
        let offer = format!(r#"{{"t":"offer","manifest_bytes":{bytes},"digest":"{list}"}}"#);
        frames.send(Frame::Json(offer.into())).await.expect("sent");
        frames
    }
}

/// Waits until the other side asks for the list: from now on it would collect it.
async fn is_awaited(frames: &mut Frames) {
    let frame = frames.next().await.expect("open").expect("frame");
    assert_eq!(frame, Frame::Json(r#"{"t":"list"}"#.into()));
}

async fn is_ended(frames: &mut Frames) {
    let ended = async { while let Some(Ok(_)) = frames.next().await {} };
    tokio::time::timeout(LIMIT, ended).await.expect("the newer one took its place");
}

#[test]
fn a_member_with_many_tickets_has_one_list_of_each_job_collected() {
    run(async {
        let worker = Machine::new("mike").await;
        let mut eve = Eve::at(&worker).await;
        let (list, bytes) = (Digest::of(b"a list that never comes"), 200 << 20);
        for job in [1, 2] {
            eve.offer(job, list, Totals::default()).await;
        }
        let mut first = eve.begin(&worker, 1, list, bytes).await;
        is_awaited(&mut first).await;
        let mut other = eve.begin(&worker, 2, list, bytes).await;
        is_awaited(&mut other).await;
        let mut second = eve.begin(&worker, 1, list, bytes).await;
        is_awaited(&mut second).await;
        is_ended(&mut first).await;

        // Jobs that have their inputs are not counted by anybody, so there all of hers share one turn.
        for job in [1, 2] {
            worker.set_state(job, HostedState::Running);
        }
        let mut first = eve.begin(&worker, 1, list, bytes).await;
        is_awaited(&mut first).await;
        let mut second = eve.begin(&worker, 2, list, bytes).await;
        is_awaited(&mut second).await;
        is_ended(&mut first).await;
    });
}
