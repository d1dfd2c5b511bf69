//! Processes that are killed at any moment leave a home that opens, with its identity and its contacts whole.

use std::time::Duration;

use crate::support::{Home, Process, handed_over, run};

/// How often, if `CHUMWIRE_KILLS` does not say.
const KILLS: u64 = 30;

#[test]
fn a_home_survives_kills_at_random_moments() {
    let kills = std::env::var("CHUMWIRE_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(KILLS);
    let (alice, bob) = (Home::new("alice@example.com"), Home::new("bob@example.com"));
    let mut known = Vec::new();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64 ^ u64::from(std::process::id());
    for round in 0..kills {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let invite = if round % 3 == 0 {
            // Killed while somebody joins.
            let mut invite = alice.start("invite", &["--listen", "127.0.0.1:0"]);
            let invitation = handed_over(&invite.event("invitation"));
            let join = bob.start("join", &[&invitation]);
            std::thread::sleep(Duration::from_millis(random % 60));
            invite.kill();
            drop(join);
            None
        } else {
            let invite = alice.start("invite", &["--listen", "127.0.0.1:0"]);
            std::thread::sleep(Duration::from_millis(random % 40));
            Some(invite)
        };
        if let Some(invite) = invite {
            invite.kill();
        }
        let whoami = alice.run("whoami", &[]).ok();
        assert_eq!(
            whoami,
            std::slice::from_ref(&alice.identity),
            "round {round}"
        );
        let contacts = alice.contacts();
        assert!(
            known.iter().all(|person| contacts.contains(person)),
            "round {round}"
        );
        assert!(
            contacts.iter().all(|person| person == bob.person()),
            "round {round}"
        );
        alice.run("invitations", &[]).ok();
        known = contacts;
    }
    // Whatever was killed half-way: they can pair.
    let mut invite = alice.start("invite", &["--listen", "127.0.0.1:0"]);
    let invitation = handed_over(&invite.event("invitation"));
    bob.join(&invitation).ok();
    invite.end().ok();
    assert_eq!(alice.contacts(), [bob.person()]);
    assert_eq!(bob.contacts(), [alice.person()]);
}

#[test]
fn an_init_that_is_killed_leaves_a_whole_home_or_none() {
    for round in 0..12 {
        let dir = tempfile::TempDir::new().expect("a directory");
        let home = dir.path().join("home");
        let home = home.to_str().expect("text");
        let args = ["init", "--home", home, "--email", "alice@example.com"];
        let init = Process::start(&args);
        std::thread::sleep(Duration::from_millis(round));
        init.kill();
        let found = run(&["whoami", "--home", home]);
        if !found.status.success() {
            assert_eq!(found.kind(), "not_initialised", "round {round}");
            run(&args).ok();
            run(&["whoami", "--home", home]).ok();
        }
    }
}
