//! Loom's atomics and fences, and a bounded channel made of loom's mutex: what `src/conn/sync.rs` has of the system's.
//!
//! The channel's promise is flume's: a queue behind a lock, in the order in which it was filled, whose ends never wait. Nobody leaves in the model.

use std::collections::VecDeque;
use std::sync::Arc;

use loom::sync::Mutex;
pub use loom::sync::atomic::AtomicBool;
pub use loom::sync::atomic::AtomicUsize;
pub use loom::sync::atomic::Ordering;
pub use loom::sync::atomic::fence;

#[derive(Debug)]
struct Channel<T> {
    queue: Mutex<VecDeque<T>>,
    count_max: usize,
}

#[derive(Debug)]
pub struct Sender<T>(Arc<Channel<T>>);

#[derive(Debug)]
pub struct Receiver<T>(Arc<Channel<T>>);

#[derive(Debug)]
pub enum TrySendError<T> {
    Full(T),
    Disconnected(T),
}

pub fn bounded<T>(count_max: usize) -> (Sender<T>, Receiver<T>) {
    let channel = Arc::new(Channel { queue: Mutex::new(VecDeque::new()), count_max });
    (Sender(Arc::clone(&channel)), Receiver(channel))
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Sender<T> {
    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        let mut queue = self.0.queue.lock().expect("no thread panics");
        if queue.len() == self.0.count_max {
            return Err(TrySendError::Full(item));
        }
        queue.push_back(item);
        Ok(())
    }
}

impl<T> Receiver<T> {
    pub fn try_recv(&self) -> Result<T, ()> {
        self.0.queue.lock().expect("no thread panics").pop_front().ok_or(())
    }

    pub fn is_empty(&self) -> bool {
        self.0.queue.lock().expect("no thread panics").is_empty()
    }
}
