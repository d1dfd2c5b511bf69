//! Homes as directories.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Home, binary, run};

#[test]
fn a_home_is_its_owners_alone() {
    let dir = tempfile::TempDir::new().expect("a directory");
    let open = dir.path().join("open");
    std::fs::create_dir(&open).expect("a directory");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).expect("a mode");
    let path = open.to_str().expect("text");
    run(&["init", "--home", path, "--email", "alice@example.com"]).ok();
    let mode = |path: &std::path::Path| {
        std::fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(&open), 0o700);
    let files: Vec<_> = std::fs::read_dir(&open)
        .expect("a directory")
        .flatten()
        .collect();
    assert!(files.len() >= 2);
    for file in files {
        assert_eq!(mode(&file.path()), 0o600, "{:?}", file.path());
    }
}

#[test]
fn an_identity_is_made_once_and_stays() {
    let alice = Home::new("alice@example.com");
    assert_eq!(alice.identity["name"], "laptop");
    let again = alice.run("init", &["--email", "eve@example.com"]);
    assert_eq!(again.kind(), "already_initialised");
    assert_eq!(
        alice.run("whoami", &[]).ok(),
        std::slice::from_ref(&alice.identity)
    );
}

#[test]
fn without_an_identity_nothing_is_done_and_nothing_is_left_behind() {
    let dir = tempfile::TempDir::new().expect("a directory");
    let path = dir.path().to_str().expect("text");
    for command in ["whoami", "contacts", "invitations", "run"] {
        assert_eq!(run(&[command, "--home", path]).kind(), "not_initialised");
    }
    assert_eq!(std::fs::read_dir(path).expect("a directory").count(), 0);
    for email in ["", "a\nb", "a<b"] {
        let made = run(&["init", "--home", path, "--email", email]);
        assert_eq!(made.kind(), "bad_name", "{email:?}");
    }
    assert_eq!(std::fs::read_dir(path).expect("a directory").count(), 0);
}

#[test]
fn the_default_name_is_good() {
    let dir = tempfile::TempDir::new().expect("a directory");
    let home = dir.path().join("home");
    let events = run(&[
        "init",
        "--home",
        home.to_str().expect("text"),
        "--email",
        "a@b.c",
    ])
    .ok();
    assert!(
        events[0]["name"]
            .as_str()
            .is_some_and(|name| !name.is_empty())
    );
}

#[test]
fn people_get_sentences() {
    let alice = Home::new("alice@example.com");
    let path = alice.path();
    let said = |args: &[&str]| {
        let out = binary()
            .args(args)
            .arg("--home")
            .arg(&path)
            .output()
            .expect("it runs");
        (
            out.status.code(),
            String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned(),
        )
    };
    assert!(
        said(&["whoami"])
            .1
            .contains("This is alice@example.com on laptop.")
    );
    assert!(said(&["contacts"]).1.contains("There is no contact yet."));
    assert!(said(&["invitations"]).1.contains("No invitation is open."));
    let (code, text) = said(&["forget", "bob@example.com"]);
    assert_eq!(code, Some(1));
    assert_eq!(
        text,
        "chumwire: no contact is bob@example.com; `chumwire contacts` lists them\n"
    );
    let listen = ["invite", "--listen", "127.0.0.1:0", "--expires", "1"];
    let (code, text) = said(&listen);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("https://one.example/invites/") && text.contains('█'),
        "{text}"
    );
    assert!(
        text.contains("nobody has used the invitation in time"),
        "{text}"
    );
}

#[test]
fn a_damaged_home_is_told_and_nothing_damaged_is_handed_out() {
    let alice = Home::new("alice@example.com");
    let file = alice.dir.path().join("long");
    std::fs::write(&file, vec![7; 100_000]).expect("a file");
    let file = file.to_str().expect("text");
    let stored = alice.run("put", &[file]).ok();
    let blob = stored[0]["blob"].as_str().expect("a hash");
    let out = alice.dir.path().join("out");
    let out = out.to_str().expect("text");
    alice.run("get", &[blob, "-o", out]).ok();
    assert_eq!(std::fs::read(out).expect("it is there").len(), 100_000);
    std::fs::remove_file(out).expect("it is there");

    let inside = alice.path().join("files").join(blob);
    std::fs::write(&inside, vec![7; 99_999]).expect("it is there");
    assert_eq!(alice.run("get", &[blob, "-o", out]).kind(), "store_damaged");
    assert!(!std::path::Path::new(out).exists());
    assert_eq!(alice.run("get", &[blob]).kind(), "store_damaged");

    let store = alice.path().join("chumwire.redb");
    let whole = std::fs::read(&store).expect("it is there");
    let pages = whole.len() / 4096;
    let told = (0..pages).filter(|page| {
        let mut damaged = whole.clone();
        damaged[page * 4096..][..4096].fill(0);
        std::fs::write(&store, damaged).expect("it is there");
        let ended = alice.run("whoami", &[]);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        match ended.status.success() {
            true => assert_eq!(ended.ok()[0], alice.identity),
            false => return ended.kind() == "store_damaged",
        }
        false
    });
    assert!(told.count() > 3);
    std::fs::write(&store, whole).expect("it is there");
    alice.run("whoami", &[]).ok();
}

#[test]
#[cfg(target_os = "linux")]
fn what_cannot_be_told_is_no_success_unless_nobody_listens() {
    let alice = Home::new("alice@example.com");
    let path = alice.path();
    let whoami = |to: std::process::Stdio| {
        let args = ["whoami", "--json", "--home", path.to_str().expect("text")];
        binary().args(args).stdout(to).output().expect("it starts")
    };
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("it is there");
    let ended = whoami(full.into());
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    assert!(whoami(writer.into()).status.success());
}
