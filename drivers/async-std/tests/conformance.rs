//! The driver does what the conformance kit wants of every driver.

use chumwire::io::Machine;
use chumwire_async_std::{Config, Host, block_on, spawn};
use chumwire_conformance::{DriverUnderTest, Running, TestHost, check_all};

struct AsyncStdDriver;

struct Hooks<M: Machine>(TestHost<M>);

impl<M: Machine> Host<M> for Hooks<M> {
    fn event(&mut self, event: M::Event, bytes: &[u8]) {
        (self.0.event)(event, bytes);
    }

    fn store(&mut self, record: M::Record) -> M::Answer {
        (self.0.store)(record)
    }
}

impl DriverUnderTest for AsyncStdDriver {
    fn start<M>(&self, machine: M, listen: bool, host: TestHost<M>) -> Running
    where
        M: Machine + Send + 'static,
        M::Event: Send + 'static,
        M::Record: Send + 'static,
        M::Answer: Send + 'static,
    {
        let (handle, task) = spawn(machine, Hooks(host), Config::default());
        let address = listen.then(|| {
            block_on(handle.listen(([127, 0, 0, 1], 0).into(), None)).expect("a port is free")
        });
        Running::new(address, move || {
            block_on(async {
                // Nothing has to be said to the test peers: no orderly shutdown.
                task.cancel().await;
            });
        })
    }
}

#[test]
fn it_conforms() {
    let mut times = check_all(&AsyncStdDriver);
    times.sort_by_key(|(_, time)| *time);
    for (name, time) in times {
        println!("{:6.0} ms  {name}", time.as_secs_f64() * 1000.0);
    }
}
