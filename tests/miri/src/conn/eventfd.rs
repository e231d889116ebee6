//! The kernel's counter, made of a mutex and a condition variable: Miri has an `eventfd(2)`, and no `ppoll(2)` to wait for it.

use std::io;
use std::sync::Condvar;
use std::sync::Mutex;
use std::time::Duration;

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
        let count = self.count.lock().expect("no thread panics");
        let waited = self.changed.wait_timeout_while(count, most, |count| *count == 0);
        drop(waited.expect("no thread panics"));
    }
}
