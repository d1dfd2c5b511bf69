//! The blocking example driver does what the conformance kit wants of every driver.
#![expect(
    clippy::disallowed_methods,
    reason = "a driver runs in a thread; the core may not spawn"
)]

#[path = "../examples/blocking/driver.rs"]
mod driver;

use std::net::TcpListener;
use std::sync::mpsc::channel;
use std::thread;

use chumwire::io::Machine;
use chumwire_conformance::{DriverUnderTest, Running, TestHost, check_all};

struct BlockingDriver;

impl DriverUnderTest for BlockingDriver {
    fn start<M>(&self, machine: M, listen: bool, host: TestHost<M>) -> Running
    where
        M: Machine + Send + 'static,
        M::Event: Send + 'static,
        M::Record: Send + 'static,
        M::Answer: Send + 'static,
    {
        let listener = listen.then(|| TcpListener::bind("127.0.0.1:0").expect("a port is free"));
        let address = listener
            .as_ref()
            .and_then(|listener| listener.local_addr().ok());
        let (inputs, incoming) = channel();
        let stop = inputs.clone();
        let running = thread::spawn(move || {
            let channels = (inputs, incoming);
            let TestHost { event, store } = host;
            driver::run(machine, listener, channels, event, store);
        });
        Running::new(address, move || {
            let _ = stop.send(driver::Input::Stop);
            let _ = running.join();
        })
    }
}

#[test]
fn it_conforms() {
    check_all(&BlockingDriver);
}
