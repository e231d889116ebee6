//! Orders of operators that the process carries out, not a shard: they wait here until whoever started the server takes them.
//!
//! Invariants: who hands one in never waits; at most `ORDERS_MAX` wait. Where nobody takes orders (a server within another program), each is refused.

use flume::Receiver;
use flume::Sender;

use crate::shard::ConnRef;
use crate::shard::Response;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Stop, as SIGTERM says it.
    Drain,
    /// Read the configuration anew, as SIGHUP says it.
    Reload,
    /// Start the program anew and hand the listeners over to it, as SIGUSR2 says it.
    Upgrade,
    /// Log so much from now on, until the configuration is read anew.
    Log(String),
}

/// An answer, and for which connection it is.
pub(super) type Answered = (ConnRef, Response);

/// An order, and who waits for what becomes of it.
#[derive(Debug)]
pub struct Ordered {
    pub order: Order,
    pub(super) conn: ConnRef,
    pub(super) answers: Sender<Answered>,
}

impl Ordered {
    /// Says what became of it. Its shard looks for answers ten times a second.
    pub fn answer(&self, response: Response) {
        // Whoever asked may have gone with its shard.
        drop(self.answers.try_send((self.conn, response)));
    }
}

/// Where orders are handed in.
pub(super) struct OrderBook {
    pub(super) orders: Sender<Ordered>,
    pub(super) waiting: Orders,
    pub(super) wake: Box<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for OrderBook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OrderBook").field("waiting", &self.orders.len()).finish_non_exhaustive()
    }
}

/// Orders that wait.
#[derive(Clone, Debug)]
pub struct Orders(pub(super) Receiver<Ordered>);

impl Orders {
    /// The next one, if one waits.
    #[must_use]
    pub fn take(&self) -> Option<Ordered> {
        self.0.try_recv().ok()
    }
}
