//! How fast two homes come in step, over a relay on loopback, with everything on the disk: many small files, and a long
//! one. The rival, in the same run: the same files copied one after the other, each put on the disk.
//!
//! `cargo bench -p chumwire-cli --bench sync`

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const SMALL: usize = 5_000;
const LONG: usize = 200_000_000;
const ROUNDS: usize = 3;

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chumwire"));
    command.arg("--json").args(args).stderr(Stdio::null());
    command
}

/// The first line that has `word`, of a process that goes on.
fn line(child: &mut Child, word: &str) -> Result<String> {
    let stdout = child.stdout.take().ok_or("no stdout")?;
    let mut lines = BufReader::new(stdout).lines();
    let found = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains(word)));
    Ok(found.ok_or_else(|| format!("no {word}"))??)
}

fn member<'a>(line: &'a str, name: &str) -> Result<&'a str> {
    let start = format!("\"{name}\":\"");
    let at = line.find(&start).ok_or("no such member")? + start.len();
    Ok(line[at..].split('"').next().unwrap_or_default())
}

/// Two homes that are paired, in a directory.
fn pair(dir: &Path, relay: &str) -> Result<[String; 2]> {
    let homes = ["a", "b"].map(|name| dir.join(name).display().to_string());
    for home in &homes {
        let email = format!("{}@example.com", &home[home.len() - 1..]);
        command(&["init", "--home", home, "--email", &email]).output()?;
    }
    let mut invite = command(&["invite", "--home", &homes[0], "--relay", relay])
        .stdout(Stdio::piped())
        .spawn()?;
    let invitation = line(&mut invite, "\"invitation\"")?;
    let link = member(&invitation, "link")?;
    command(&["join", "--home", &homes[1], link]).output()?;
    invite.wait()?;
    Ok(homes)
}

/// How long it takes until both are in step.
fn sync(homes: &[String; 2], relay: &str) -> Result<Duration> {
    let run = |home: &String| {
        let args = ["run", "--home", home, "--relay", relay, "--once"];
        command(&args).stdout(Stdio::null()).spawn()
    };
    let begin = Instant::now();
    let (mut one, mut other) = (run(&homes[0])?, run(&homes[1])?);
    let (one, other) = (one.wait()?, other.wait()?);
    if !one.success() || !other.success() {
        return Err("it failed".into());
    }
    Ok(begin.elapsed())
}

/// The rival: each file copied, and put on the disk.
fn copy(from: &Path, to: &Path) -> Result<Duration> {
    fs::create_dir_all(to)?;
    let begin = Instant::now();
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let mut file = File::create(to.join(entry.file_name()))?;
        io::copy(&mut File::open(entry.path())?, &mut file)?;
        file.sync_all()?;
    }
    Ok(begin.elapsed())
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

fn main() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = |length: usize| -> Vec<u8> {
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as u8
        };
        (0..length).map(|_| next()).collect()
    };
    let (small, long) = (dir.path().join("small"), dir.path().join("long"));
    fs::create_dir(&small)?;
    fs::create_dir(&long)?;
    for n in 0..SMALL {
        File::create(small.join(n.to_string()))?.write_all(&bytes(1_000))?;
    }
    File::create(long.join("long"))?.write_all(&bytes(LONG))?;
    let mut relay = command(&["relay", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()?;
    let listening = line(&mut relay, "listening")?;
    let url = member(&listening, "url")?;
    for (what, from) in [("small", &small), ("long", &long)] {
        let (mut ours, mut rival, mut idle) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let place = dir.path().join(format!("{what}{round}"));
            let homes = pair(&place, url)?;
            idle.push(sync(&homes, url)?);
            let put = [
                "put",
                "--home",
                &homes[0],
                &from.display().to_string(),
                "--share",
                "b@example.com",
            ];
            command(&put).stdout(Stdio::null()).spawn()?.wait()?;
            ours.push(sync(&homes, url)?);
            rival.push(copy(from, &place.join("copy"))?);
            fs::remove_dir_all(place)?;
        }
        // Starting, connecting and taking leave are the same in both.
        let (idle, whole, rival) = (median(idle), median(ours), median(rival));
        let time = (whole - idle).max(0.001);
        match what {
            "small" => println!(
                "{SMALL} files of 1 kB, each with a descriptor: {time:.2} s (and {idle:.2} s to connect and leave), \
                 {:.0} objects and files a second; copied and synced one by one: {rival:.2} s, ratio {:.2}",
                2.0 * SMALL as f64 / time,
                rival / time,
            ),
            _ => println!(
                "one file of 200 MB: {time:.2} s (and {idle:.2} s), {:.0} MB/s; copied and synced: {rival:.2} s, \
                 ratio {:.2}",
                LONG as f64 / 1e6 / time,
                rival / time,
            ),
        }
    }
    relay.kill()?;
    relay.wait()?;
    Ok(())
}
