//! The command as its users have it: real processes, real sockets on loopback.

mod contacts;
mod control;
mod demo;
mod homes;
mod kills;
mod outages;
mod pairing;
mod refusals;
mod sim;
mod support;
mod syncing;
mod traces;
