//! What the requests layer allocates: nothing for a chunk in the steady state, one copy of a long text, and under a
//! flood no more than its bound (spec 10, "Security").

#[path = "support/steady.rs"]
mod steady;

use std::alloc::System;

use chumwire::io::{Kind, Message};
use chumwire::rpc::{Data, RequestId, Rpc, RpcConfig, RpcEvent, RpcOutput, Want};
use chumwire::time::Now;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use steady::allocates_nothing;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One test, since all threads share the allocator.
#[test]
fn copies_and_bounds() {
    chunks_allocate_nothing();
    a_long_text_is_not_copied_often();
    a_flood_stays_within_its_bound();
}

fn chunks_allocate_nothing() {
    let now = Now::default();
    let (mut asker, mut server) = (
        Rpc::new(RpcConfig::default()),
        Rpc::new(RpcConfig::default()),
    );
    let (mut wire, mut bytes) = (Vec::new(), Vec::new());
    let id = asker.request(now, 8, &[], Want::Stream).expect("room");
    asker.poll(&mut wire);
    server.message(now, Message::of(Kind::Text, &wire).expect("UTF-8"));
    server.poll(&mut wire);
    let file = [5; 65_528];
    let mut stream = |count: usize| {
        for _ in 0..count {
            server.chunk(id, &file);
            assert_eq!(server.poll(&mut wire), Some(RpcOutput::Send(Kind::Binary)));
            asker.message(now, Message::Binary(&wire));
            let expected = RpcOutput::Event(RpcEvent::Chunk { id });
            assert_eq!(asker.poll(&mut bytes), Some(expected));
            assert_eq!(bytes.len(), file.len());
        }
    };
    stream(4);
    assert!(allocates_nothing(ALLOCATOR, || stream(100)));
}

fn a_long_text_is_not_copied_often() {
    let now = Now::default();
    let text = "<span itemprop=\"text\">microdata</span>".repeat(27_000);
    let mut server = Rpc::new(RpcConfig::default());
    let request = r#"{"requestId":0,"type":"request","serviceId":6,"args":[]}"#;
    server.message(now, Message::Text(request));
    let mut wire = Vec::new();
    server.poll(&mut wire);
    let region = Region::new(ALLOCATOR);
    server.answer_text(RequestId(0), &text);
    server.poll(&mut wire);
    // Once, with room for the escapes.
    assert!(region.change().bytes_allocated < text.len() * 5 / 4);

    let mut asker = Rpc::new(RpcConfig::default());
    asker.request(now, 6, &[], Want::Verbatim).expect("room");
    asker.poll(&mut Vec::new());
    let message = std::str::from_utf8(&wire).expect("UTF-8");
    let region = Region::new(ALLOCATOR);
    asker.message(now, Message::Text(message));
    let answer = asker.poll(&mut Vec::new());
    let change = region.change();
    // What is kept is the text alone; to take the escapes out it is copied once more, in a buffer that doubles.
    assert!(change.bytes_allocated - change.bytes_deallocated < text.len() + 1000);
    assert!(change.bytes_allocated < text.len() * 4);
    let data = Data::Text(text);
    let id = RequestId(0);
    assert!(answer == Some(RpcOutput::Event(RpcEvent::Answered { id, data })));
}

/// Texts that unfold as far as a text can, chunks, and requests; nobody polls.
fn a_flood_stays_within_its_bound() {
    let now = Now::default();
    let config = RpcConfig {
        buffered_bytes: 4_000_000,
        queued_bytes: 100_000,
        ..RpcConfig::default()
    };
    let bound = config.buffered_bytes + config.queued_bytes + 1024 * (256 + 256) + 65_536;
    let mut rpc = Rpc::new(config);
    let mut bytes = Vec::new();
    for want in [Want::Value, Want::Stream, Want::Stream] {
        for _ in 0..10 {
            rpc.request(now, 8, &[], want).expect("room");
            rpc.poll(&mut bytes);
        }
    }
    let members: Vec<String> = (0..1500).map(|n| format!("\"{n}\":{{\"a\":0}}")).collect();
    let wide = format!("[{{{}}}]", members.join(","));
    let region = Region::new(ALLOCATOR);
    let held = |region: &Region<System>| {
        let change = region.change();
        change.bytes_allocated - change.bytes_deallocated
    };
    for round in 0..2000_u64 {
        let id = round % 40;
        let text = match round % 4 {
            0 => format!(r#"{{"responseId":{id},"type":"data","data":{wide}}}"#),
            1 => format!(r#"{{"requestId":{round},"type":"request","serviceId":1,"args":{wide}}}"#),
            2 => r#"{"requestId":1,"type":"write-stream-error"}"#.into(),
            _ => format!(
                r#"{{"responseId":{id},"type":"stream","chunk":"{}","encoding":"base64"}}"#,
                "AAAA".repeat(10_000)
            ),
        };
        rpc.message(now, Message::Text(&text));
        let chunk = [&(id as f64).to_le_bytes()[..], &[1; 50_000]].concat();
        rpc.message(now, Message::Binary(&chunk));
        drop((text, chunk));
        assert!(held(&region) < bound, "{} of {bound}", held(&region));
    }
    assert!(rpc.stats().refusals_dropped > 0);
}
