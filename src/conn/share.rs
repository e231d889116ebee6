//! Copies of a core's listening sockets, for a process that is to listen on them as well.
//!
//! Invariants: a core gives copies and keeps its own; it never waits for whoever asks. Sockets travel as messages between processes do (`SCM_RIGHTS`), because a core
//! may have a table of descriptors of its own.

use std::io;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;

use flume::Receiver;
use rustix::net::SendAncillaryBuffer;
use rustix::net::SendAncillaryMessage;
use rustix::net::SendFlags;
use rustix::net::sendmsg;

use super::listener::Listener;
use crate::shard::Port;

/// What stands in the message behind the last socket.
pub const SHARED_LAST: &[u8] = b".";

/// Where a core is asked for copies, and where it gives them: the end of a pair of sockets that keeps messages apart.
#[derive(Debug)]
pub struct Share {
    pub asked: Receiver<()>,
    pub wire: OwnedFd,
}

impl Share {
    /// Gives copies, if somebody has asked.
    pub(super) fn answer<'a>(&self, listeners: impl Iterator<Item = (Port, &'a Listener)>) {
        if self.asked.try_recv().is_err() {
            return;
        }
        let given = listeners.map(|(port, listener)| self.give(port, listener));
        let given: io::Result<()> = given.collect();
        if let Err(error) =
            given.and_then(|()| self.say(SHARED_LAST, &mut SendAncillaryBuffer::default()))
        {
            tracing::error!(%error, "cannot hand listeners over");
        }
    }

    fn give(&self, port: Port, listener: &Listener) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let sockets = [listener.as_fd()];
        let fits = ancillary.push(SendAncillaryMessage::ScmRights(&sockets));
        debug_assert!(fits, "there is room for one");
        self.say(port.name().as_bytes(), &mut ancillary)
    }

    fn say(&self, text: &[u8], ancillary: &mut SendAncillaryBuffer<'_, '_, '_>) -> io::Result<()> {
        sendmsg(
            &self.wire,
            &[IoSlice::new(text)],
            ancillary,
            SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
        )?;
        Ok(())
    }
}
