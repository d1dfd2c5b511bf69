//! The page of a trace, as a browser shows it and its users handle it.

mod browser;
#[expect(dead_code, reason = "shared with the tests of the other commands")]
#[path = "../cli/support.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use browser::Browser;
use serde_json::{Value, json};
use support::{Home, Process, handed_over, run};
use tempfile::TempDir;

const HOME: &str = "\u{e011}";
const END: &str = "\u{e010}";
const LEFT: &str = "\u{e012}";
const RIGHT: &str = "\u{e014}";

/// A page in a browser.
struct Page {
    browser: Browser,
    url: String,
}

impl Page {
    fn draw(browser: Browser, traces: &[String], html: &Path) -> Self {
        let out = html.to_str().expect("text");
        let traces: Vec<&str> = traces.iter().map(String::as_str).collect();
        let events = run(&[&["sim", "draw"], &traces[..], &["--html", out]].concat()).ok();
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(
            (&events[0]["event"], &events[0]["path"]),
            (&"page".into(), &out.into())
        );
        let page = Self {
            browser,
            url: format!("file://{out}"),
        };
        page.open("");
        page
    }

    fn open(&self, fragment: &str) {
        self.browser.open(&format!("{}{fragment}", self.url));
    }

    fn number(&self, script: &str) -> u64 {
        let value = self.browser.run(script);
        value
            .as_u64()
            .unwrap_or_else(|| panic!("{script}: {value}"))
    }

    fn text(&self, script: &str) -> String {
        let value = self.browser.run(script);
        value
            .as_str()
            .unwrap_or_else(|| panic!("{script}: {value}"))
            .into()
    }

    fn total(&self) -> u64 {
        self.number("return Number(document.getElementById('slider').max)")
    }

    /// Waits until this is the current step: on the slider, in the words, in the picture, in the address.
    fn is_at(&self, step: u64) {
        self.browser.until(&format!(
            "return document.getElementById('slider').value === '{step}'
                && document.getElementById('live').textContent.startsWith('{step}/')
                && document.querySelector('.row.current')?.dataset.step === '{step}'
                && new URLSearchParams(location.hash.slice(1)).get('step') === '{step}'"
        ));
    }

    /// Nothing was told on the console, nothing was fetched.
    fn is_quiet(&self) {
        let logs = self.browser.logs();
        assert!(logs.is_empty(), "{logs:?}");
        assert_eq!(
            self.number("return performance.getEntriesByType('resource').length"),
            0
        );
    }

    fn steps(&self) {
        let last = self.total();
        self.browser.keys(HOME);
        self.is_at(1);
        self.browser.keys(RIGHT);
        self.is_at(2);
        self.browser.keys(&RIGHT.repeat(3));
        self.is_at(5);
        self.browser.keys(LEFT);
        self.is_at(4);
        self.browser.keys(END);
        self.is_at(last);
        self.browser.click("#previous", "mouse");
        self.is_at(last - 1);
        self.browser.click("#first", "mouse");
        self.is_at(1);
        self.browser.click("#next", "mouse");
        self.is_at(2);
        self.browser.click("#last", "mouse");
        self.is_at(last);
        self.browser.keys(HOME);
        self.is_at(1);
        self.browser.click(".row[data-step='6'] .hit", "mouse");
        self.is_at(6);
    }

    /// The failed message is found by the key and from the diagnosis.
    fn finds_the_failure(&self) {
        assert!(
            self.text("return document.querySelector('#diagnosis .cause').textContent")
                .len()
                > 3
        );
        let failed = self
            .number("return Number(document.querySelector('#diagnosis [data-jump]').dataset.jump)");
        self.browser.keys(HOME);
        self.is_at(1);
        self.browser.click("#diagnosis [data-jump]", "mouse");
        self.is_at(failed);
        let told = self.text("return document.getElementById('step').textContent");
        assert!(told.contains("✕ failed: "), "{told}");
        assert_eq!(
            self.browser
                .run("return document.querySelectorAll('.row.current.bad .ring').length"),
            1
        );

        self.browser.keys(HOME);
        self.is_at(1);
        let mut before = 1;
        while before != failed {
            self.browser.keys("f");
            self.browser.until(&format!(
                "return document.getElementById('slider').value !== '{before}'"
            ));
            let now = self.number("return Number(document.getElementById('slider').value)");
            assert!(now > before && now <= failed, "{before}, {now}, {failed}");
            before = now;
        }
        self.is_at(failed);
    }

    fn filters(&self) {
        // It comes first, so that it can be seen at the first step.
        let layer = "relay";
        // The diagnosis has led down to the picture.
        self.browser.run("scrollTo(0, 0)");
        self.browser.keys(HOME);
        self.is_at(1);
        let count = format!("return document.querySelectorAll('#picture .dot.g-{layer}').length");
        self.browser.until(&format!("{count} > 0"));
        self.browser
            .click(&format!("#layers [data-name='{layer}']"), "mouse");
        self.browser.until(&format!("{count} === 0"));
        let hidden = "return document.getElementById('hidden-count').textContent";
        assert!(self.text(hidden).contains("are hidden"));
        self.browser
            .until("return location.hash.includes('layers=')");
        let fragment = self.text("return location.hash");
        let layers = fragment.split_once("layers=").expect("layers").1;
        assert!(
            !layers.split(['&', ',']).any(|name| name == layer),
            "{fragment}"
        );
        // The link does the same.
        self.open(&fragment);
        self.browser.until(&format!("{count} === 0"));
        assert!(self.text(hidden).contains("are hidden"));
        self.browser.click("#show-all", "mouse");
        self.browser.keys(HOME);
        self.browser.until(&format!("{count} > 0"));
        assert_eq!(self.text(hidden), "");

        self.browser.keys("/");
        self.browser.keys("no such words");
        self.browser
            .until("return document.querySelectorAll('#picture .row').length === 0");
        assert_eq!(
            self.browser
                .run("return document.getElementById('nothing').hidden"),
            false
        );
        self.browser.click("#show-all", "mouse");
        self.browser
            .until("return document.querySelectorAll('#picture .row').length > 0");
    }

    fn follows_links(&self) {
        self.open("#step=7");
        self.is_at(7);
        self.browser.run("location.hash = '#step=9'");
        self.is_at(9);
        // What is no step is left alone.
        self.browser
            .run("location.hash = '#step=1e9&layers=%FF&parties=-1&find='");
        self.browser.run("location.hash = '#step=8'");
        self.is_at(8);
    }

    fn fits_a_phone(&self) {
        let phone = json!({"width": 375, "height": 800, "deviceScaleFactor": 1, "mobile": true});
        self.browser
            .develop("Emulation.setDeviceMetricsOverride", phone);
        self.browser.develop(
            "Emulation.setTouchEmulationEnabled",
            json!({"enabled": true}),
        );
        self.open("#step=5");
        self.is_at(5);
        let wide =
            "return Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)";
        assert_eq!(self.number("return innerWidth"), 375);
        assert!(self.number(wide) <= 375, "{}", self.number(wide));
        self.browser.click("#next", "touch");
        self.is_at(6);
        assert!(self.number(wide) <= 375, "{}", self.number(wide));
        self.browser
            .develop("Emulation.clearDeviceMetricsOverride", json!({}));
    }

    fn is_light_and_dark(&self) {
        let mut grounds: Vec<String> = Vec::new();
        for scheme in ["light", "dark"] {
            let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
            self.browser
                .develop("Emulation.setEmulatedMedia", json!({"features": features}));
            grounds.push(self.text("return getComputedStyle(document.body).backgroundColor"));
        }
        assert_ne!(grounds[0], grounds[1]);
    }

    fn is_usable(&self) {
        self.is_quiet();
        self.steps();
        self.finds_the_failure();
        self.filters();
        self.follows_links();
        self.is_light_and_dark();
        self.fits_a_phone();
        self.is_quiet();
    }
}

#[test]
fn the_page_of_a_simulated_failure_can_be_stepped_through() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let dir = TempDir::new().expect("a directory");
    let trace = dir.path().join("trace").to_str().expect("text").to_owned();
    run(&[
        "sim",
        "run",
        "truncated-frame",
        "--seed",
        "1",
        "--trace",
        &trace,
    ])
    .ok();
    let page = Page::draw(browser, &[trace], &dir.path().join("page.html"));
    let told = page.text("return document.getElementById('diagnosis').textContent");
    for words in [
        "truncated",
        "A frame was cut short.",
        "challenge-answer",
        "the relay's or the network's",
        "Look for",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    page.is_usable();
}

/// The inviter does not know the invitation. Both sides and the relay were recorded.
fn live_failure(dir: &Path) -> Vec<String> {
    let file = |name: &str| dir.join(name).to_str().expect("text").to_owned();
    let traces = ["relay", "alice", "bob"].map(file);
    let mut relay = Process::start(&["relay", "--listen", "127.0.0.1:0", "--trace", &traces[0]]);
    let url = relay.event("listening")["url"]
        .as_str()
        .expect("a url")
        .to_owned();
    let (alice, bob) = (Home::new("alice@example.com"), Home::new("bob@example.com"));
    let mut invite = alice.start(
        "invite",
        &["--relay", &url, "--trace", &traces[1], "--linger", "60"],
    );
    let mut wrong: Value =
        serde_json::from_str(&handed_over(&invite.event("invitation"))).expect("JSON");
    wrong["token"] = "A".repeat(64).into();
    bob.run("join", &[&wrong.to_string(), "--trace", &traces[2]])
        .error();
    drop(invite.interrupt());
    relay.interrupt().ok();
    traces.into()
}

#[test]
fn the_page_of_a_live_failure_can_be_stepped_through() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let dir = TempDir::new().expect("a directory");
    let traces = live_failure(dir.path());
    let page = Page::draw(browser, &traces, &dir.path().join("page.html"));
    let told = page.text("return document.getElementById('diagnosis').textContent");
    assert!(told.contains("invitation_unknown"), "{told}");
    let machines = page.text("return document.getElementById('machines').textContent");
    for party in ["relay", "alice", "bob"] {
        assert!(machines.contains(party), "{party}: {machines}");
    }
    page.is_usable();
}

/// What comes in a trace is neither obeyed nor too much.
#[test]
fn the_page_of_a_forged_and_long_trace_stays_in_bounds() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let dir = TempDir::new().expect("a directory");
    let evil = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=2>\u{202e}{{script}}";
    let who = |n: usize| match n % 40 {
        0 => evil.to_owned(),
        1 => "long ".repeat(2000),
        n => format!("party {n}"),
    };
    let mut text = String::from(
        "{\"chumwire_trace\":1,\"origin\":\"simulated\",\"wall\":18446744073709551615}\n",
    );
    for n in 0..120_000_usize {
        let line = match n % 4 {
            0 => {
                json!({"at": n, "who": who(n / 4), "what": "sent", "conn": u64::MAX, "kind": "text", "name": evil, "bytes": n})
            }
            1 => json!({"at": n, "who": who(n / 4), "what": "says", "words": evil}),
            2 => {
                json!({"at": n, "who": who(n / 4), "what": "dialled", "conn": n, "url": "javascript:window.hacked=3"})
            }
            _ => json!({"at": u64::MAX, "who": who(n / 4), "what": "started", "machine": evil}),
        };
        text += &format!("{line}\n");
    }
    let trace = dir.path().join("trace");
    fs::write(&trace, text).expect("it is written");
    let trace = trace.to_str().expect("text").to_owned();
    let begun = Instant::now();
    let page = Page::draw(browser, &[trace], &dir.path().join("page.html"));
    page.browser.keys(HOME);
    page.is_at(1);
    page.browser.keys(END);
    page.is_at(page.total());
    page.browser.keys(&LEFT.repeat(10));
    page.is_at(page.total() - 10);
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(page.total(), 100_000);
    assert!(
        page.text("return document.getElementById('left-out').textContent")
            .contains("120000")
    );
    let elements = page.number("return document.querySelectorAll('*').length");
    assert!(elements < 5000, "{elements}");
    assert_eq!(page.browser.run("return window.hacked === undefined"), true);
    assert_eq!(
        page.number("return document.querySelectorAll('script, img, a').length"),
        2
    );
    page.is_quiet();
}

/// The errors are those of the drawing in text; a page that cannot be written is told as a trace that cannot.
#[test]
fn without_a_trace_or_a_place_there_is_no_page() {
    let dir = TempDir::new().expect("a directory");
    let path = |name: &str| dir.path().join(name).to_str().expect("text").to_owned();
    let (trace, html) = (path("trace"), path("page.html"));
    fs::write(&trace, "hello\n").expect("it is written");
    for file in [&trace, "/nowhere/at/all"] {
        assert_eq!(
            run(&["sim", "draw", file, "--html", &html]).kind(),
            "bad_trace"
        );
    }
    assert!(!Path::new(&html).exists());
    run(&["sim", "run", "pairing", "--seed", "1", "--trace", &trace]).ok();
    let ended = run(&["sim", "draw", &trace, "--html", "/nowhere/at/all"]);
    assert_eq!(ended.kind(), "trace_unusable");
    let drawn = |html: &str| {
        let events = run(&["sim", "draw", &trace, "--html", html]).ok();
        assert_eq!(events[0]["cause"], "nothing_wrong", "{events:?}");
        fs::read(html).expect("a page")
    };
    assert_eq!(drawn(&html), drawn(&path("again.html")));
}
