//! The peer's version, which is asked for until it is told (spec 11, "Start").

use alloc::string::String;
use alloc::vec::Vec;

use super::{For, Importer, Phase, is_unknown_service};
use crate::chum::services::{Service, VERSION};
use crate::chum::trouble::ChumFault;
use crate::chum::work::Work;
use crate::limits;
use crate::rpc::{Data, Failed};

impl Importer {
    /// The peer can be asked from now on.
    pub(in crate::chum) fn start(&mut self, work: &mut Work<'_>) {
        self.phase = Phase::Version {
            again: work.now.mono + limits::CHUM_VERSION_AGAIN,
            silent: 0,
            unknown: 0,
            retry: None,
            until: work.now.mono + limits::CHUM_VERSION,
        };
        self.request(For::Phase, Service::GetProtocolVersion, Vec::new(), work);
    }

    pub(in crate::chum) fn tick(&mut self, work: &mut Work<'_>) {
        match &mut self.phase {
            Phase::Version {
                again,
                silent,
                retry,
                until,
                ..
            } => {
                if work.now.mono >= *until {
                    let why = "no answer in time".into();
                    *work.fault = Some(ChumFault::NoVersion(why));
                } else if retry.is_some_and(|at| work.now.mono >= at) {
                    *retry = None;
                    *again = work.now.mono + limits::CHUM_VERSION_AGAIN;
                    self.request(For::Phase, Service::GetProtocolVersion, Vec::new(), work);
                } else if work.now.mono >= *again && retry.is_none() {
                    *again = work.now.mono + limits::CHUM_VERSION_AGAIN;
                    *silent += 1;
                    if *silent <= limits::CHUM_VERSION_REPEATS {
                        self.request(For::Phase, Service::GetProtocolVersion, Vec::new(), work);
                    }
                }
            }
            Phase::Sleeping { until } if work.now.mono >= *until => self.ask_roots(work),
            _ => {}
        }
    }

    pub(super) fn version_answered(&mut self, data: &Data, work: &mut Work<'_>) {
        if *data == Data::Number(VERSION) {
            self.ask_roots(work);
        } else {
            *work.fault = Some(ChumFault::Version);
        }
    }

    pub(super) fn version_failed(&mut self, failed: &Failed, work: &mut Work<'_>) {
        let Phase::Version { unknown, retry, .. } = &mut self.phase else {
            return;
        };
        if is_unknown_service(failed) {
            *unknown += 1;
            if *unknown < limits::CHUM_UNKNOWN_TRIES {
                *retry = Some(work.now.mono + limits::CHUM_UNKNOWN_AGAIN);
                return;
            }
        } else if !matches!(failed, Failed::Remote(_)) {
            // Silence has its own counter.
            return;
        }
        *work.fault = Some(ChumFault::NoVersion(String::from(failed.code())));
    }
}
