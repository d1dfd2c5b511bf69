//! A browser without a window, told what to do by WebDriver: HTTP with JSON, over loopback.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Far more than anything takes, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);
/// How the specification of WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A running browser. It ends when this is dropped.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    /// A profile of its own.
    _profile: TempDir,
}

/// The first of these programs that is there.
fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&path);
    places.find_map(|place| {
        let mut programs = names.iter().map(|name| place.join(name));
        programs.find(|program| program.is_file())
    })
}

impl Browser {
    /// Starts one; `None` if there is none, unless `CHUMWIRE_NEEDS_BROWSER` says that there has to be.
    pub(crate) fn start() -> Option<Self> {
        let driver = program(&["chromedriver"]);
        let browser = program(&["chromium", "chromium-browser", "google-chrome"]);
        let (Some(driver), Some(browser)) = (&driver, &browser) else {
            let missing = if driver.is_none() {
                "chromedriver"
            } else {
                "chromium"
            };
            assert!(
                std::env::var_os("CHUMWIRE_NEEDS_BROWSER").is_none(),
                "a browser is needed here, and there is no {missing}"
            );
            eprintln!("skipped: no {missing}");
            return None;
        };
        Some(Self::of(driver, browser))
    }

    fn of(driver: &Path, browser: &Path) -> Self {
        let profile = TempDir::new().expect("a directory");
        let mut driver = Command::new(driver)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(driver.stdout.take().expect("piped")).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let port = line.split_once("successfully on port ")?.1;
                port.trim_end_matches('.').parse().ok()
            })
            .expect("it tells its port");
        // Nobody reads what else it tells, but it has to be able to tell it.
        std::thread::spawn(move || lines.for_each(drop));
        let mut this = Self {
            driver,
            port,
            session: String::new(),
            _profile: profile,
        };
        let own = format!("--user-data-dir={}", this._profile.path().display());
        let answer = this.ask(
            "POST",
            "",
            &json!({"capabilities": {"alwaysMatch": {
                "goog:loggingPrefs": {"browser": "ALL"},
                "goog:chromeOptions": {"binary": browser, "args": [
                    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                    "--disable-background-networking", "--disable-component-update", "--disable-sync",
                    "--disable-dev-shm-usage", "--window-size=1280,900", own,
                ]},
            }}}),
        );
        this.session = answer["sessionId"].as_str().expect("a session").into();
        this
    }

    /// Asks for something in the session, or for one.
    fn ask(&self, method: &str, what: &str, body: &Value) -> Value {
        let path = match self.session.as_str() {
            "" => "/session".to_owned(),
            session => format!("/session/{session}{what}"),
        };
        let answer = self
            .http(method, &path, &body.to_string())
            .expect("an answer");
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        let value = answer["value"].clone();
        assert!(value.get("error").is_none(), "{method} {path}: {value}");
        value
    }

    fn http(&self, method: &str, path: &str, body: &str) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(LIMIT))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json; charset=utf-8\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        )?;
        let mut reader = BufReader::new(stream);
        let (mut line, mut length) = (String::new(), 0);
        while reader.read_line(&mut line)? > 2 {
            let header = line.to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            line.clear();
        }
        let mut answer = vec![0; length];
        reader.read_exact(&mut answer)?;
        Ok(answer)
    }

    /// Opens an address.
    pub(crate) fn open(&self, url: &str) {
        // From page to page; a fragment alone would be no new page.
        self.ask("POST", "/url", &json!({"url": "about:blank"}));
        self.ask("POST", "/url", &json!({"url": url}));
    }

    /// What a script returns.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.ask(
            "POST",
            "/execute/sync",
            &json!({"script": script, "args": []}),
        )
    }

    /// Waits until a script returns true.
    pub(crate) fn until(&self, script: &str) {
        let until = Instant::now() + Duration::from_secs(20);
        while self.run(script) != true {
            assert!(
                Instant::now() < until,
                "never: {script}\nlogs: {:?}",
                self.logs()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Types on the keyboard, wherever the focus is. `\u{e014}` and others are keys without a character.
    pub(crate) fn keys(&self, keys: &str) {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key})))
            .collect();
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": actions});
        self.ask("POST", "/actions", &json!({"actions": [keyboard]}));
    }

    /// Clicks where an element is, whatever lies above it, with a mouse or a finger.
    pub(crate) fn click(&self, selector: &str, pointer: &str) {
        let found = self.ask(
            "POST",
            "/element",
            &json!({"using": "css selector", "value": selector}),
        );
        let element = json!({ELEMENT: found[ELEMENT]});
        let to = json!({"type": "pointerMove", "duration": 0, "origin": element, "x": 0, "y": 0});
        let pointer = json!({"type": "pointer", "id": pointer, "parameters": {"pointerType": pointer}, "actions": [
            to, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0},
        ]});
        self.ask("POST", "/actions", &json!({"actions": [pointer]}));
    }

    /// Asks for something that WebDriver has no word for.
    pub(crate) fn develop(&self, command: &str, with: Value) {
        let body = json!({"cmd": command, "params": with});
        self.ask("POST", "/goog/cdp/execute", &body);
    }

    /// What the console has told since this was asked.
    pub(crate) fn logs(&self) -> Vec<Value> {
        let logs = self.ask("POST", "/se/log", &json!({"type": "browser"}));
        logs.as_array().cloned().unwrap_or_default()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser first, while there is somebody to end it.
        if !self.session.is_empty() {
            let _ = self.http("DELETE", &format!("/session/{}", self.session), "");
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
