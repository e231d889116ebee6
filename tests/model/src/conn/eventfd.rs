//! The kernel's counter, made of loom's mutex and condition variable.
//!
//! A wait without an end in sight really waits: whoever is not woken is a deadlock, and loom says so. A short one is over at once.

use std::io;
use std::time::Duration;

use loom::sync::Condvar;
use loom::sync::Mutex;

/// Waits that are at least so long have no end in the model.
const ENDLESS: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub struct Eventfd {
    count: Mutex<u64>,
    changed: Condvar,
}

impl Eventfd {
    pub fn new() -> io::Result<Self> {
        Ok(Self { count: Mutex::new(0), changed: Condvar::new() })
    }

    pub fn add(&self) {
        *self.count.lock().expect("no thread panics") += 1;
        self.changed.notify_one();
    }

    pub fn empty(&self) -> u64 {
        std::mem::take(&mut self.count.lock().expect("no thread panics"))
    }

    pub fn wait(&self, most: Duration) {
        if most < ENDLESS {
            loom::thread::yield_now();
            return;
        }
        let mut count = self.count.lock().expect("no thread panics");
        while *count == 0 {
            count = self.changed.wait(count).expect("no thread panics");
        }
    }
}
