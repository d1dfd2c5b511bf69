//! How a command reaches a home that another process has open: through a socket that only the owner can open.

mod client;
mod protocol;
mod server;
mod socket;

pub(crate) use client::Client;
pub(crate) use protocol::{Chat, Invite, Put, Request};
pub(crate) use server::Server;
