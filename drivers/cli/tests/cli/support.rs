//! Processes of the command, and what they say.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Far more than anything takes, even on a machine that is busy with other tests.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_chumwire"))
}

/// A process of the command, with `--json`.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    stderr: Option<JoinHandle<String>>,
    /// Everything that it has told so far.
    pub(crate) heard: Vec<Value>,
}

/// A process that has ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) events: Vec<Value>,
    pub(crate) stderr: String,
}

impl Process {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_with(args, None)
    }

    pub(crate) fn start_with(args: &[&str], stdin: Option<&str>) -> Self {
        let mut child = binary()
            .arg("--json")
            .args(args)
            .stdin(if stdin.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        if let (Some(text), Some(mut pipe)) = (stdin, child.stdin.take()) {
            pipe.write_all(text.as_bytes()).expect("it reads");
        }
        let (tell, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        let mut pipe = child.stderr.take().expect("piped");
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = pipe.read_to_string(&mut text);
            text
        });
        Self {
            child,
            lines,
            stderr: Some(stderr),
            heard: Vec::new(),
        }
    }

    /// The next event of this name. Others on the way are remembered in `heard`.
    pub(crate) fn event(&mut self, name: &str) -> Value {
        let until = Instant::now() + LIMIT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    let event: Value = serde_json::from_str(&line).expect(&line);
                    self.heard.push(event.clone());
                    if event["event"] == name {
                        return event;
                    }
                }
                Err(why) => {
                    let _ = self.child.kill();
                    let stderr = self.stderr.take().map(JoinHandle::join);
                    panic!(
                        "no `{name}` ({why}); heard {:?}, stderr {stderr:?}",
                        self.heard
                    )
                }
            }
        }
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let until = Instant::now() + LIMIT;
        loop {
            match self
                .lines
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(line) => self.heard.push(serde_json::from_str(&line).expect(&line)),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end; heard {:?}", self.heard),
            }
        }
        let status = self.child.wait().expect("it ends");
        let stderr = self.stderr.take().expect("once").join().expect("text");
        Ended {
            status,
            events: std::mem::take(&mut self.heard),
            stderr,
        }
    }

    /// Ends it in due form.
    pub(crate) fn interrupt(self) -> Ended {
        self.signal("-INT");
        self.end()
    }

    /// As a service manager ends it.
    pub(crate) fn terminate(self) -> Ended {
        self.signal("-TERM");
        self.end()
    }

    /// Ends it without a word.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    fn signal(&self, signal: &str) {
        let done = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(done.expect("kill").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// The one error that it ended with.
    pub(crate) fn error(&self) -> &Value {
        assert_eq!(
            self.status.code(),
            Some(1),
            "{:?} {}",
            self.events,
            self.stderr
        );
        let error = self.events.last().expect("an event");
        assert_eq!(error["event"], "error", "{:?}", self.events);
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|text| text.len() > 10),
            "{error}"
        );
        assert!(
            error
                .as_object()
                .is_some_and(|members| members.contains_key("step")),
            "{error}"
        );
        error
    }

    pub(crate) fn kind(&self) -> &str {
        self.error()["kind"].as_str().expect("a kind")
    }

    pub(crate) fn ok(self) -> Vec<Value> {
        assert!(self.status.success(), "{:?} {}", self.events, self.stderr);
        self.events
    }
}

/// Runs a command to its end.
pub(crate) fn run(args: &[&str]) -> Ended {
    Process::start(args).end()
}

/// A home in a directory of its own.
pub(crate) struct Home {
    pub(crate) dir: TempDir,
    pub(crate) identity: Value,
}

impl Home {
    pub(crate) fn new(email: &str) -> Self {
        let dir = TempDir::new().expect("a directory");
        let home = dir.path().join("home");
        let home = home.to_str().expect("text");
        let events = run(&["init", "--home", home, "--email", email, "--name", "laptop"]).ok();
        let [identity] = events.as_slice() else {
            panic!("{events:?}")
        };
        assert_eq!(identity["event"], "identity");
        Self {
            identity: identity.clone(),
            dir,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub(crate) fn person(&self) -> &str {
        self.identity["personId"].as_str().expect("an id")
    }

    fn args<'a>(&'a self, path: &'a str, command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        [&[command, "--home", path], more].concat()
    }

    /// Starts a command at this home.
    pub(crate) fn start(&self, command: &str, more: &[&str]) -> Process {
        let path = self.path();
        Process::start(&self.args(path.to_str().expect("text"), command, more))
    }

    /// Runs a command at this home to its end.
    pub(crate) fn run(&self, command: &str, more: &[&str]) -> Ended {
        self.start(command, more).end()
    }

    /// Joins; the invitation goes through the standard input.
    pub(crate) fn join(&self, invitation: &str) -> Ended {
        let path = self.path();
        let args = self.args(path.to_str().expect("text"), "join", &["-"]);
        Process::start_with(&args, Some(invitation)).end()
    }

    /// The person ids of the contacts.
    pub(crate) fn contacts(&self) -> Vec<String> {
        let events = self.run("contacts", &[]).ok();
        let (last, contacts) = events.split_last().expect("a last line");
        assert_eq!(last["event"], "contacts");
        assert_eq!(last["count"], contacts.len());
        contacts
            .iter()
            .map(|c| c["personId"].as_str().expect("an id").to_owned())
            .collect()
    }
}

/// A relay, and where it is.
pub(crate) fn relay() -> (Process, String) {
    relay_at("127.0.0.1:0")
}

pub(crate) fn relay_at(place: &str) -> (Process, String) {
    let mut relay = Process::start(&["relay", "--listen", place]);
    let url = relay.event("listening")["url"]
        .as_str()
        .expect("a url")
        .to_owned();
    (relay, url)
}

/// The JSON of an `invitation` event.
pub(crate) fn handed_over(event: &Value) -> String {
    event["invitation"].to_string()
}
