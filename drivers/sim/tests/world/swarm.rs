//! Links that misbehave in every way at once: whatever passes, nothing is left over, and good links work again.

use chumwire::pairing::InvitationState;
use chumwire::time::Micros;
use chumwire_sim::{Choice, Faults, Insecure, Profile, Side};

use crate::common::{Meeting, Via, Who, is_quiet, jittery, pairings, watch};

/// Some faults are off altogether, the others wild.
fn wild(mut choose: impl FnMut(usize) -> usize) -> Faults {
    let mut some = |permille: u32| if choose(3) == 0 { permille } else { 0 };
    Faults {
        loss: some(60),
        duplicate: some(60),
        reorder: some(150),
        distance: 3,
        flip: some(60),
        truncate: some(40),
        cut: some(40),
        silence: some(30),
    }
}

fn swarm(via: Via, inviter: Who, joiner: Who, seeds: core::ops::Range<u64>) -> usize {
    let mut succeeded = 0;
    for seed in seeds {
        let hint = format!("{via:?}, {inviter:?} invites {joiner:?}, seed {seed}");
        let mut meeting = Meeting::<Insecure>::new(jittery(seed), via, inviter, joiner);
        let (a, b) = (meeting.inviter, meeting.joiner);
        for (id, who) in [a, b] {
            if who == Who::Ours {
                watch(&mut meeting.world, &[id]);
            }
        }
        let faults = wild(|options| meeting.world.choose(Choice::Test, options));
        let profile = Profile {
            jitter: Micros::millis(20),
            ..Profile::default()
        };
        meeting.world.set_profile(Profile { faults, ..profile });
        let links: Vec<_> = meeting.world.links().map(|link| link.id).collect();
        for link in links {
            meeting.world.set_faults(link, faults);
        }
        meeting.join();
        meeting.world.run_for(Micros::secs(40)).expect(&hint);
        succeeded += usize::from(pairings(&meeting.world, b.0) > 0);
        meeting.world.set_profile(profile);
        let links: Vec<_> = meeting.world.links().map(|link| link.id).collect();
        for link in links {
            meeting.world.set_faults(link, Faults::default());
            // Which connections are silent is not known to anybody: the rest of them goes as well.
            if via == Via::Direct {
                for side in Side::BOTH {
                    meeting.world.silence(link, side);
                }
            }
        }
        for (id, who) in [a, b] {
            if who == Who::Deployed {
                // It has no time limits: what fell silent in its registrations hangs for ever.
                meeting.world.restart(id);
            }
        }
        meeting.world.run_for(Micros::secs(150)).expect(&hint);
        if via == Via::Relay {
            assert!(is_quiet(&meeting.world), "{hint}: a session is left");
            let relay = meeting.relay().expect("a relay");
            assert_eq!(meeting.world.relay(relay).stats().spares, 4, "{hint}");
        }
        if a.1 == Who::Ours {
            let held = meeting
                .world
                .node(a.0)
                .invitations()
                .any(|(_, state)| matches!(state, InvitationState::Held(_)));
            assert!(!held, "{hint}: a token is held for ever");
        }
        let before = [a, b].map(|(id, _)| pairings(&meeting.world, id));
        meeting.invitation = meeting.invite(Micros::secs(60));
        meeting.join();
        let again = |world: &chumwire_sim::World<Insecure>| {
            pairings(world, a.0) > before[0] && pairings(world, b.0) > before[1]
        };
        let paired = meeting
            .world
            .run_until(Micros::secs(20), again)
            .expect(&hint);
        assert!(
            paired,
            "{hint}: not again\n{}",
            meeting.world.trace_so_far().tail(60)
        );
    }
    succeeded
}

#[test]
fn whatever_the_links_do_nothing_is_left_over() {
    for via in [Via::Direct, Via::Relay] {
        for (inviter, joiner) in [
            (Who::Ours, Who::Ours),
            (Who::Ours, Who::Deployed),
            (Who::Deployed, Who::Ours),
        ] {
            let succeeded = swarm(via, inviter, joiner, 0..100);
            assert!(
                (5..95).contains(&succeeded),
                "{via:?}: {succeeded} of 100 got through"
            );
        }
    }
}

#[test]
fn a_relay_that_restarts_is_found_again() {
    for seed in 0..30 {
        let mut meeting =
            Meeting::<Insecure>::new(jittery(seed), Via::Relay, Who::Ours, Who::Deployed);
        let relay = meeting.relay().expect("a relay");
        meeting.join();
        let moment = Micros::millis(meeting.world.choose(Choice::Test, 400) as u64);
        meeting.world.run_for(moment).expect("no violation");
        let paired = pairings(&meeting.world, meeting.inviter.0) > 0;
        meeting.world.crash(relay);
        meeting
            .world
            .run_for(Micros::secs(3))
            .expect("no violation");
        assert!(
            !meeting.world.node(meeting.inviter.0).is_online(),
            "seed {seed}"
        );
        meeting.world.restart(relay);
        meeting
            .world
            .run_for(Micros::secs(25))
            .expect("no violation");
        assert!(
            meeting.world.node(meeting.inviter.0).is_online(),
            "seed {seed}"
        );
        assert_eq!(meeting.world.relay(relay).stats().spares, 4, "seed {seed}");
        if !paired && pairings(&meeting.world, meeting.inviter.0) == 0 {
            meeting.join();
            assert!(meeting.pair(), "seed {seed}");
        }
    }
}
