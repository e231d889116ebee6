//! One connection of the bridge's, kept: what it hears is handed on, and what is lost is connected anew, each time later.
//!
//! Never decides what becomes of what is heard.

use flume::Sender;
use rumqttc::ConnectionError;
use rumqttc::Event;
use rumqttc::EventLoop;
use rumqttc::Packet;
use tokio::time::sleep;

use crate::cli::say;
use crate::client::wait::Backoff;
use crate::client::wait::entropy;

/// What a connection has to say.
#[derive(Debug)]
pub(super) enum Heard {
    Packet(Packet),
    /// The connection is lost, or was not made.
    Lost,
}

/// Keeps a connection for as long as somebody hears it; `name`: what it leads to.
pub(super) async fn keep(mut events: EventLoop, name: String, heard: Sender<Heard>) {
    let mut backoff = Backoff::new(entropy());
    let mut was_said = false;
    while !heard.is_disconnected() {
        let heard_now = match events.poll().await {
            Ok(Event::Incoming(packet)) => {
                if let Packet::ConnAck(_) = packet {
                    backoff.reset();
                    was_said = false;
                }
                Heard::Packet(packet)
            }
            Ok(Event::Outgoing(_)) => continue,
            // Nobody says anything any more.
            Err(ConnectionError::RequestsDone) => return,
            Err(error) => {
                if !std::mem::replace(&mut was_said, true) {
                    say(&format!("fanwire bridge: {name}: {error}; trying again"));
                }
                sleep(backoff.wait()).await;
                Heard::Lost
            }
        };
        if heard.send_async(heard_now).await.is_err() {
            return;
        }
    }
}
