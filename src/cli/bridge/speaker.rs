//! Who speaks to the server for one client of the broker: a connection of its own, on which its requests are said one after the other.
//!
//! Invariants: a request is acknowledged to the broker once the server has acknowledged it, or once its client was told that it is not let in; an answer is
//! acknowledged to the server once it is handed to the broker.

use std::sync::Arc;

use flume::Receiver;
use rumqttc::AsyncClient;
use rumqttc::Packet;
use rumqttc::Publish;
use rumqttc::QoS;
use rumqttc::SubscribeFilter;
use serde_json::Value;

use super::Behind;
use super::link;
use super::link::Heard;
use crate::cli::limits::BRIDGE_PENDING_MAX;
use crate::cli::limits::BRIDGE_TRIES_MAX;
use crate::client::wait::Either;
use crate::client::wait::either;
use crate::clock::Clock;

/// One client of the broker.
pub(super) struct ClientSpeaker {
    broker: AsyncClient,
    behind: Arc<Behind>,
    client: String,
    /// The client's topics are subscribed to.
    is_ready: bool,
    /// What the server has not acknowledged.
    said: Option<Publish>,
    /// How often the connection was lost since the server last took something.
    lost: u32,
}

impl ClientSpeaker {
    pub(super) fn new(broker: &AsyncClient, behind: &Arc<Behind>, client: &str) -> Self {
        Self {
            broker: broker.clone(),
            behind: Arc::clone(behind),
            client: client.to_owned(),
            is_ready: false,
            said: None,
            lost: 0,
        }
    }

    /// Says what it asks until nobody hands it anything any more, or it is not let in.
    pub(super) async fn speak(mut self, requests: Receiver<Publish>) {
        let options = self.behind.options(&self.client);
        let (server, events) = AsyncClient::new(options, BRIDGE_PENDING_MAX);
        let (heard, hears) = flume::bounded(BRIDGE_PENDING_MAX);
        let name = format!("{}, for {}", self.behind.server, self.client);
        tokio::spawn(link::keep(events, name, heard));
        loop {
            let next = if self.is_ready && self.said.is_none() {
                either(requests.recv_async(), hears.recv_async()).await
            } else {
                Either::Second(hears.recv_async().await)
            };
            match next {
                Either::First(Ok(request)) => {
                    self.say(&server, &request).await;
                    self.said = Some(request);
                }
                Either::Second(Ok(Heard::Packet(packet))) => self.hear(&server, packet).await,
                Either::Second(Ok(Heard::Lost)) => {
                    self.is_ready = false;
                    self.lost += 1;
                    if self.lost >= BRIDGE_TRIES_MAX
                        && (self.said.is_some() || !requests.is_empty())
                    {
                        let waiting: Vec<Publish> =
                            self.said.take().into_iter().chain(requests.drain()).collect();
                        return self.refuse(waiting).await;
                    }
                }
                Either::First(Err(_)) | Either::Second(Err(_)) => break,
            }
        }
        drop(server.disconnect().await);
    }

    async fn hear(&mut self, server: &AsyncClient, packet: Packet) {
        match packet {
            Packet::ConnAck(_) => {
                let base = self.behind.base(&self.client);
                let own = ["response", "notify/+"]
                    .map(|topic| SubscribeFilter::new(format!("{base}/{topic}"), QoS::AtLeastOnce));
                drop(server.subscribe_many(own).await);
            }
            Packet::SubAck(_) => {
                self.is_ready = true;
                // It was said on a connection that is lost.
                if let Some(said) = self.said.take() {
                    self.say(server, &said).await;
                    self.said = Some(said);
                }
            }
            Packet::PubAck(_) => {
                self.lost = 0;
                if let Some(said) = self.said.take() {
                    drop(self.broker.ack(&said).await);
                }
            }
            Packet::Publish(told) => {
                let Publish { topic, payload, .. } = &told;
                let handed =
                    self.broker.publish(topic.as_str(), QoS::AtLeastOnce, false, payload.to_vec());
                if handed.await.is_ok() {
                    drop(server.ack(&told).await);
                }
            }
            _ => {}
        }
    }

    async fn say(&self, server: &AsyncClient, request: &Publish) {
        let topic = format!("{}/request", self.behind.base(&self.client));
        drop(server.publish(topic, QoS::AtLeastOnce, false, request.payload.to_vec()).await);
    }

    /// The server does not let it in, or does not take what it says.
    async fn refuse(&self, waiting: Vec<Publish>) {
        let topic = format!("{}/response", self.behind.base(&self.client));
        for request in waiting {
            //= resolvespec#3B
            //# connect hook failure → error response code `auth_error`, client unregistered
            let why = ("auth_error", "the server does not take this request");
            let answer = answer_for(&request.payload, why);
            drop(self.broker.publish(topic.as_str(), QoS::AtLeastOnce, false, answer).await);
            drop(self.broker.ack(&request).await);
        }
    }
}

/// What a request that does not reach the server is answered with.
pub(super) fn answer_for(request: &[u8], (code, message): (&str, &str)) -> Vec<u8> {
    let id = serde_json::from_slice::<Value>(request).ok();
    let id = id.as_ref().and_then(|request| request["id"].as_str()).unwrap_or_default();
    let now_us = i64::try_from(Clock::start().now().wall_us).unwrap_or_default();
    let now = jiff::Timestamp::from_microsecond(now_us).unwrap_or_default().to_string();
    let answer = serde_json::json!({"id": id, "type": "response", "success": false, "error": {"code": code, "message": message}, "timestamp": now});
    answer.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_answered_by_its_id() {
        for (request, id) in [(r#"{"id":"7"}"#, "7"), ("nonsense", ""), (r#"{"id":7}"#, "")] {
            let answer: Value =
                serde_json::from_slice(&answer_for(request.as_bytes(), ("a", "b"))).unwrap();
            assert_eq!(answer["id"], id);
            assert_eq!(
                (&answer["error"]["code"], &answer["success"]),
                (&"a".into(), &false.into())
            );
        }
    }
}
