//! Files that a machine's trace goes to while it runs.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use chumwire::io::Machine;
use chumwire::time::Millis;
use chumwire_trace::{Header, Line, Merged, Origin, Sink, Start, Trace, Traced, Writer, merge};

use crate::failure::Failure;
use crate::log;

/// Where traces go; nowhere by default.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Traces {
    /// Write down what happens, without keys and contents: to be explained, drawn, compared
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Write down everything, keys and contents included, so that it can be replayed. Keep the file to yourself
    #[arg(long, value_name = "FILE")]
    pub(crate) trace_secrets: Option<PathBuf>,
}

impl Traces {
    /// Whether there is any.
    pub(crate) const fn any(&self) -> bool {
        self.trace.is_some() || self.trace_secrets.is_some()
    }

    /// A machine that was just started like this, with its traces begun.
    ///
    /// # Errors
    /// `trace_unusable`
    pub(crate) fn of<M: Machine>(
        &self,
        machine: M,
        start: Start,
        wall: Millis,
    ) -> Result<Traced<M>, Failure> {
        let mut traced = Traced::new(machine, &start, wall.0);
        let header = Header::new(Origin::Live, wall.0);
        if let Some(path) = &self.trace {
            traced.tell(false, ToFile::begin(path, &header, false)?);
        }
        if let Some(path) = &self.trace_secrets {
            log::warn(format_args!(
                "{} will hold the secret keys of this instance and all that is said; show it to nobody",
                path.display()
            ));
            let header = Header {
                start: Some(start.into()),
                ..header
            };
            traced.tell(true, ToFile::begin(path, &header, true)?);
        }
        Ok(traced)
    }
}

/// Writes lines to a file. If that fails, it says so once and goes on without.
struct ToFile {
    path: PathBuf,
    out: Option<Writer<BufWriter<File>>>,
}

impl ToFile {
    fn begin(path: &Path, header: &Header, secret: bool) -> Result<Box<dyn Sink>, Failure> {
        let out = open(path, secret).and_then(|file| Writer::begin(BufWriter::new(file), header));
        let out = out.map_err(|error| {
            let path = path.display();
            Failure::new(
                "trace_unusable",
                format_args!("the trace {path} cannot be written: {error}"),
            )
        })?;
        Ok(Box::new(Self {
            path: path.into(),
            out: Some(out),
        }))
    }

    fn with(&mut self, write: impl FnOnce(&mut Writer<BufWriter<File>>) -> std::io::Result<()>) {
        if let Some(out) = &mut self.out
            && let Err(error) = write(out)
        {
            let path = self.path.display();
            log::warn(format_args!("the trace {path} ends here: {error}"));
            self.out = None;
        }
    }
}

impl Sink for ToFile {
    fn line(&mut self, line: &Line) {
        self.with(|out| out.line(line));
    }

    fn idle(&mut self) {
        self.with(Writer::flush);
    }
}

/// A file that is new or empty now; if it is secret, nobody else can read it from the first byte on.
fn open(path: &Path, secret: bool) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    if secret {
        use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
        let file = options.mode(0o600).open(path)?;
        // It may have been there before, with other rights.
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        return Ok(file);
    }
    let _ = secret;
    options.open(path)
}

/// Reads a trace.
///
/// # Errors
/// `bad_trace`
pub(crate) fn read(path: &Path) -> Result<Trace, Failure> {
    let bad = |error: &dyn std::fmt::Display| {
        Failure::new("bad_trace", format_args!("{}: {error}", path.display()))
    };
    let file = File::open(path).map_err(|error| bad(&error))?;
    Trace::read(std::io::BufReader::new(file)).map_err(|error| bad(&error))
}

/// Reads one trace, or puts those of several machines together. Each machine is then called by its file.
///
/// # Errors
/// `bad_trace`
pub(crate) fn read_all(paths: &[PathBuf]) -> Result<Merged, Failure> {
    if let [path] = paths {
        return read(path).map(Merged::from);
    }
    let mut traces: Vec<(String, Trace)> = Vec::new();
    for path in paths {
        let mut name = path.file_stem().unwrap_or_default().display().to_string();
        if traces.iter().any(|(other, _)| *other == name) {
            name = path.display().to_string();
        }
        traces.push((name, read(path)?));
    }
    Ok(merge(traces))
}

/// Writes a text to a file, a trace or what was made of one.
///
/// # Errors
/// `trace_unusable`
pub(crate) fn write(
    what: &str,
    path: &Path,
    parts: impl IntoIterator<Item = String>,
) -> Result<(), Failure> {
    let written = File::create(path).and_then(|file| {
        let mut out = BufWriter::new(file);
        parts
            .into_iter()
            .try_for_each(|part| out.write_all(part.as_bytes()))?;
        out.flush()
    });
    written.map_err(|error| {
        Failure::new(
            "trace_unusable",
            format_args!("the {what} {} cannot be written: {error}", path.display()),
        )
    })
}
