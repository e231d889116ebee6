//! Fan-out as one writes it with axum: a task for each connection, a tokio broadcast channel for each topic.
//!
//! `/t/{topic}` listens; on `/publish` each text message is `topic payload`. The text is shared, not copied: the best that
//! the idiom does. A subscriber that lags behind its channel is closed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::extract::Path;
use axum::extract::State;
use axum::extract::WebSocketUpgrade;
use axum::extract::ws::Message;
use axum::extract::ws::Utf8Bytes;
use axum::extract::ws::WebSocket;
use axum::response::Response;
use axum::routing::any;
use tokio::net::TcpListener;
use tokio::sync::broadcast;

/// Events that a channel keeps for those who lag.
const CHANNEL_EVENTS: usize = 1024;

#[derive(Clone, Default)]
struct Topics(Arc<Mutex<HashMap<String, broadcast::Sender<Utf8Bytes>>>>);

impl Topics {
    fn channel(&self, topic: &str) -> broadcast::Sender<Utf8Bytes> {
        let mut topics = self.0.lock().expect("no holder of the lock panics");
        topics.entry(topic.to_owned()).or_insert_with(|| broadcast::channel(CHANNEL_EVENTS).0).clone()
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port: u16 = std::env::args().nth(1).and_then(|it| it.parse().ok()).expect("the only argument is a port");
    let app = Router::new()
        .route("/t/{topic}", any(subscribe))
        .route("/publish", any(publish))
        .with_state(Topics::default());
    axum::serve(TcpListener::bind(("127.0.0.1", port)).await?, app).await
}

async fn subscribe(upgrade: WebSocketUpgrade, Path(topic): Path<String>, State(topics): State<Topics>) -> Response {
    upgrade.on_upgrade(move |socket| listen(socket, topics.channel(&topic).subscribe()))
}

async fn listen(mut socket: WebSocket, mut events: broadcast::Receiver<Utf8Bytes>) {
    if socket.send(Message::text("joined")).await.is_err() {
        return;
    }
    loop {
        tokio::select! {
            event = events.recv() => {
                let Ok(event) = event else { return };
                if socket.send(Message::Text(event)).await.is_err() {
                    return;
                }
            }
            said = socket.recv() => {
                if !matches!(said, Some(Ok(_))) {
                    return;
                }
            }
        }
    }
}

async fn publish(upgrade: WebSocketUpgrade, State(topics): State<Topics>) -> Response {
    upgrade.on_upgrade(move |mut socket| async move {
        while let Some(Ok(message)) = socket.recv().await {
            if let Message::Text(text) = message
                && let Some((topic, payload)) = text.split_once(' ')
            {
                // Nobody listening is no error.
                let _ = topics.channel(topic).send(payload.into());
            }
        }
    })
}
