//! Two routes into one state.

use crate::bench::*;

pub(crate) fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn two_routes_into_one_state_are_equal() {
    let key = key_pair(7);
    let end = |bench: &mut Bench<Nacl>| {
        let (spare, initiator) = bench.pair(&key);
        let waiting = bench.spare(&key);
        let last = bench.accept();
        bench.pass(Micros::secs(2));
        bench.binary(initiator, &[1]);
        (spare, waiting, last)
    };
    let mut straight = Bench::new();
    end(&mut straight);
    // The other route has a past: other ids, other times, other counters.
    let mut winding = Bench::new();
    let gone = winding.spare(&key_pair(3));
    winding.pass(Micros::secs(25));
    winding.lose(gone);
    let refused = winding.accept();
    winding.text(refused, "rubbish");
    winding.close(refused, "");
    let (_, _, last) = end(&mut winding);
    assert_ne!(straight.relay.stats(), winding.relay.stats());
    assert!(straight.relay == winding.relay);
    assert_eq!(hash_of(&straight.relay), hash_of(&winding.relay));
    // What behaves differently is different: a microsecond, an answer, an effect that waits.
    let mut later = winding.relay.clone();
    later.tick(at(winding.now + Micros(1)));
    assert!(straight.relay != later);
    let mut more = winding.relay.clone();
    more.message(at(winding.now), last, Message::Text("rubbish"))
        .unwrap();
    assert!(straight.relay != more);
}
