//! A file: asked for, hashed as it comes, and kept when it is whole (spec 11, "Importer").

use alloc::boxed::Box;
use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use super::fetching::hash_of;
use super::task::{File, Step};
use super::{For, Importer, TaskNo};
use crate::chum::services::Service;
use crate::chum::store::{Answer, Ask, FileNo};
use crate::chum::trouble::Trouble;
use crate::chum::work::Work;
use crate::objects::Reference;
use crate::rpc::Data;

impl Importer {
    pub(super) fn ask_file(
        &mut self,
        no: TaskNo,
        what: Reference,
        as_text: bool,
        work: &mut Work<'_>,
    ) {
        let file = self.ask(For::File(no), Ask::Open, work);
        let Some(task) = self.tasks.get_mut(&no) else {
            return;
        };
        task.step = Step::File(Box::new(File {
            reference: what,
            file,
            request: None,
            hash: Sha256::new(),
            bytes: 0,
            untaken: 1,
            whole: None,
            as_text,
        }));
        let encoding = match what {
            Reference::Clob(_) => Data::Text("utf8".into()),
            _ if as_text => Data::Text("utf8".into()),
            _ => Data::Undefined,
        };
        let args = [hash_of(what), encoding].into();
        self.request(For::Task(no), Service::GetBlob, args, work);
    }

    pub(super) fn file_chunk(&mut self, no: TaskNo, bytes: &mut Vec<u8>, work: &mut Work<'_>) {
        let counted = self.count_bytes(bytes.len() as u64, work);
        let Some(task) = self.tasks.get_mut(&no) else {
            return;
        };
        let Step::File(file) = &mut task.step else {
            return;
        };
        file.bytes = file.bytes.saturating_add(bytes.len() as u64);
        let trouble = match counted {
            Err(trouble) => Some(trouble),
            Ok(()) if file.bytes > work.config.file => Some(Trouble::FileTooLong),
            Ok(()) => None,
        };
        if let Some(trouble) = trouble {
            return self.task_failed(no, trouble, work);
        }
        file.hash.update(&bytes);
        file.untaken += 1;
        let part = For::Part(no, file.file);
        let append = Ask::Append {
            file: file.file,
            bytes: core::mem::take(bytes),
        };
        self.ask(part, append, work);
    }

    /// The store has taken a part of a file, or could not.
    pub(super) fn file_told(
        &mut self,
        (no, of): (TaskNo, FileNo),
        answer: &Answer,
        work: &mut Work<'_>,
    ) {
        let step = self.tasks.get_mut(&no).map(|task| &mut task.step);
        // It can be a file that was given up meanwhile.
        let Some(Step::File(file)) = step.filter(|step| step.receives(of)) else {
            return;
        };
        if *answer != Answer::Done {
            return self.task_failed(no, Trouble::Store, work);
        }
        file.untaken = file.untaken.saturating_sub(1);
        if let Some(empty_chunks) = file.whole.filter(|_| file.untaken == 0) {
            self.file_whole(no, empty_chunks, work);
        }
    }

    pub(super) fn file_end(&mut self, no: TaskNo, empty_chunks: u64, work: &mut Work<'_>) {
        let Some(task) = self.tasks.get_mut(&no) else {
            return;
        };
        let Step::File(file) = &mut task.step else {
            return;
        };
        file.request = None;
        // Until the store has taken all of it: a file that lacks a part would be closed else.
        file.whole = Some(empty_chunks);
        if file.untaken == 0 {
            self.file_whole(no, empty_chunks, work);
        }
    }

    /// A file has come, and the store has all of it.
    fn file_whole(&mut self, no: TaskNo, empty_chunks: u64, work: &mut Work<'_>) {
        let Some(task) = self.tasks.get_mut(&no) else {
            return;
        };
        let Step::File(file) = &mut task.step else {
            return;
        };
        let (what, no_file) = (file.reference, file.file);
        if file.digest() == *what.bytes() {
            task.step = Step::Closing(what, no_file, file.bytes);
            let close = Ask::Close {
                file: no_file,
                reference: what,
            };
            self.ask(For::Task(no), close, work);
            return;
        }
        if empty_chunks > 0 && !file.as_text && matches!(what, Reference::Blob(_)) {
            // The peer cannot send bytes; as text they are right if they are text. The hash decides.
            self.ask(For::Nobody, Ask::Discard(no_file), work);
            return self.ask_file(no, what, true, work);
        }
        let trouble = match file.as_text {
            true => Trouble::EmptyChunks,
            false => Trouble::WrongHash,
        };
        self.task_failed(no, trouble, work);
    }
}
