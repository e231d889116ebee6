//! TLS for connections of the MQTT client: it connects to a socket of this process, and what it says there goes on encrypted.
//!
//! Invariants: nobody but this user reaches the socket; a connection to it is one to the far end, and each ends with the other. Never looks at what is said.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use tokio::io::AsyncWriteExt;
use tokio::io::copy;
use tokio::io::split;
use tokio::net::UnixListener;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::cli::say;
use crate::client::connect::Way;
use crate::client::limits::CONNECT_WAIT_MAX;
use crate::client::wait::Either;
use crate::client::wait::either;
use crate::client::wait::entropy;

/// Only its owner may look into it.
const OWN_FOLDER: u32 = 0o700;

/// The near end of connections that go on encrypted.
#[derive(Debug)]
pub(super) struct Tunnel {
    folder: PathBuf,
    socket: String,
}

/// The far end.
#[derive(Debug)]
struct Far {
    way: Way,
    name: String,
    /// Somebody was told that the far end is not reached, and it was not reached since.
    was_said: AtomicBool,
}

impl Tunnel {
    /// Opens one in a folder of its own. Must be called inside a runtime.
    ///
    /// # Errors
    /// If the folder, or the socket in it, cannot be made.
    pub(super) fn open(name: String, way: Way) -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("fanwire-bridge-{:016x}", entropy()));
        DirBuilder::new().mode(OWN_FOLDER).create(&folder)?;
        let socket = folder.join("socket");
        let opened = Self { socket: socket.to_string_lossy().into_owned(), folder };
        let listener = UnixListener::bind(socket)?;
        let far = Far { way, name, was_said: AtomicBool::new(false) };
        tokio::spawn(carry(listener, Arc::new(far)));
        Ok(opened)
    }

    /// The path of the socket.
    pub(super) fn socket(&self) -> &str {
        &self.socket
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

async fn carry(listener: UnixListener, far: Arc<Far>) {
    while let Ok((near, _)) = listener.accept().await {
        tokio::spawn(pass_on(near, Arc::clone(&far)));
    }
}

/// Carries one connection until one of its ends is gone.
async fn pass_on(near: UnixStream, far: Arc<Far>) {
    let there = match far.way.connect().await {
        Ok(there) => there,
        Err(error) => {
            if !far.was_said.swap(true, Ordering::Relaxed) {
                say(&format!("fanwire bridge: {}: {error}", far.name));
            }
            return;
        }
    };
    far.was_said.store(false, Ordering::Relaxed);
    let (mut near_says, mut near_hears) = split(near);
    let (mut far_says, mut far_hears) = split(there);
    let said = copy(&mut near_says, &mut far_hears);
    let heard = copy(&mut far_says, &mut near_hears);
    if let Either::First(_) = either(said, heard).await {
        // The far end is told that nothing follows, if it listens.
        drop(timeout(CONNECT_WAIT_MAX, far_hears.shutdown()).await);
    }
}
