//! Brokers and databases as sources: their connectors against the real servers, which are killed, filled, emptied and set back, and against far ends that are none.

mod attacks;
mod mqtt;
mod nats;
#[cfg(feature = "postgres")]
mod postgres;
mod redis;

use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fanwire::source::Batch;
use fanwire::source::Connector;
use fanwire::source::Fault;
use fanwire::source::Gap;
use fanwire::source::KINDS;
use fanwire::source::Message;
use fanwire::source::Resume;
use fanwire::source::Unusable;
use fanwire::source::Value;
use fanwire::source::Values;

/// How long a call may take that waits for something; and how often it is tried, together what only a broken server takes.
pub(crate) const WITHIN: Duration = Duration::from_millis(200);
const CONNECT: Duration = Duration::from_secs(5);
pub(crate) const LOOKS: usize = 300;

/// A folder of a test's own, which goes with it.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("fw-brokers-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A setting that is a text.
pub(crate) fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

/// A setting that is a list.
pub(crate) fn list(all: &[&str]) -> Value {
    Value::List(all.iter().map(|one| (*one).to_owned()).collect())
}

/// A connector of a kind, with these settings.
pub(crate) fn open(kind: &str, settings: &[(&str, Value)]) -> Box<dyn Connector> {
    let kind = KINDS.iter().find(|known| known.name == kind).unwrap();
    let mut values = Values::of(kind, "test");
    for (name, value) in settings {
        assert!(kind.settings.iter().any(|setting| setting.name == *name), "{name}");
        values.set(name, value.clone());
    }
    (kind.open)(&values).unwrap()
}

/// A source as its server has it: it fetches, stores, and goes on from where it was.
pub(crate) struct Source {
    kind: &'static str,
    settings: Vec<(&'static str, Value)>,
    connector: Box<dyn Connector>,
    pub(crate) resume: Option<Resume>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) unusable: Vec<Unusable>,
    /// What was fetched and not asked for yet.
    held: Vec<Message>,
}

impl Source {
    pub(crate) fn new(kind: &'static str, settings: Vec<(&'static str, Value)>) -> Self {
        let connector = open(kind, &settings);
        let (gaps, unusable, held) = (Vec::new(), Vec::new(), Vec::new());
        Self { kind, settings, connector, resume: None, gaps, unusable, held }
    }

    pub(crate) fn connect(&mut self) -> Result<(), Fault> {
        let connected = self.connector.connect(self.resume.as_ref(), CONNECT)?;
        self.gaps.extend(connected.gap);
        Ok(())
    }

    /// Connects, however often it takes while the server comes up.
    pub(crate) fn connected(&mut self) {
        let mut last = None;
        for _ in 0..LOOKS {
            match self.connect() {
                Ok(()) => return,
                Err(fault) => last = Some(fault),
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        panic!("it does not connect: {last:?}");
    }

    /// Fetches once, and stores that.
    pub(crate) fn fetch(&mut self) -> Result<(), Fault> {
        let mut batch = Batch::default();
        let fetched = self.connector.fetch(&mut batch, WITHIN);
        self.gaps.extend_from_slice(batch.gaps());
        self.unusable.extend_from_slice(batch.unusable());
        self.held.extend_from_slice(batch.messages());
        if let Some(resume) = batch.resume() {
            self.resume = Some(resume.clone());
        }
        fetched?;
        self.connector.stored(WITHIN)
    }

    /// The next so many messages; what is lost on the way is connected again.
    pub(crate) fn take(&mut self, count: usize) -> Vec<Message> {
        for _ in 0..LOOKS {
            if self.held.len() >= count {
                return self.held.drain(..count).collect();
            }
            if self.fetch().is_err() {
                self.connected();
            }
        }
        panic!("there are {} of {count} messages", self.held.len());
    }

    /// The payloads of the next so many.
    pub(crate) fn payloads(&mut self, count: usize) -> Vec<String> {
        let texts = self.take(count).into_iter();
        texts.map(|message| String::from_utf8(message.payload.to_vec()).unwrap()).collect()
    }

    /// Its process is killed, and another one goes on from what was kept.
    pub(crate) fn restart(&mut self) {
        self.connector = open(self.kind, &self.settings);
        self.connected();
    }

    /// It is told to stop, with what it has not stored unacknowledged.
    pub(crate) fn close(&mut self) {
        self.connector.close(CONNECT);
    }

    /// Fetches without storing, as if the server were killed before.
    pub(crate) fn fetch_in_vain(&mut self) -> Vec<Message> {
        for _ in 0..LOOKS {
            let mut batch = Batch::default();
            self.connector.fetch(&mut batch, WITHIN).unwrap();
            if !batch.messages().is_empty() {
                return batch.messages().to_vec();
            }
        }
        panic!("nothing comes");
    }
}

/// `first`, and those behind it.
pub(crate) fn numbered(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("{{\"n\":{number}}}")).collect()
}
