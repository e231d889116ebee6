//! Waiting for a signal to stop.

use std::io;

use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use crate::client::wait::either;

/// The operator's wish that this process ends: SIGINT (Ctrl-C) or SIGTERM. A second SIGINT is not needed: we stop at the first.
#[derive(Debug)]
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Listens from now on. Must be called inside a runtime.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits until somebody asks.
    pub(crate) async fn asked(&mut self) {
        either(self.interrupt.recv(), self.terminate.recv()).await;
    }
}
