//! `fanwire bridge`: clients of another MQTT broker ask our server for rows, and are answered there.
//!
//! It is a client of both: of the broker it takes requests (`spec/CLIENT/request`), and for each of its clients it has a connection to the server of its own,
//! so that what one is told no other is. Invariants: a request is acknowledged to the broker once the server has taken it, and an answer to the server once it is
//! on its way to the broker; what is lost is connected anew, each time later. Never looks at what is said.

mod address;
mod link;
mod speaker;
mod tunnel;

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;

use flume::Receiver;
use flume::Sender;
use rumqttc::AsyncClient;
use rumqttc::MqttOptions;
use rumqttc::Packet;
use rumqttc::Publish;
use rumqttc::QoS;

use crate::cli::bridge::address::MqttAddress;
use crate::cli::bridge::address::Reach;
use crate::cli::bridge::link::Heard;
use crate::cli::bridge::speaker::ClientSpeaker;
use crate::cli::bridge::speaker::answer_for;
use crate::cli::limits::BRIDGE_CLIENTS_MAX;
use crate::cli::limits::BRIDGE_PENDING_MAX;
use crate::cli::say;
use crate::cli::trust::TrustArgs;
use crate::cli::wait::Stop;
use crate::client::wait::Either;
use crate::client::wait::either;

/// What `fanwire bridge` can be told.
#[derive(Debug, clap::Args)]
pub struct BridgeArgs {
    /// The other broker: HOST:PORT, or mqtts://HOST:PORT where it is encrypted
    #[arg(long, value_name = "HOST:PORT")]
    broker: MqttAddress,
    /// The server's MQTT listener (`mqtt.listen`), written in the same way
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:1883")]
    server: MqttAddress,
    /// What requests are published under (`resolvespec.published_under`)
    #[arg(long, value_name = "TOPIC", default_value = "spec")]
    under: String,
    /// What it calls itself at the broker, where its session waits for it while it is away
    #[arg(long, value_name = "ID", default_value = "fanwire-bridge")]
    client_id: String,
    /// The user name that it shows the broker
    #[arg(long, value_name = "NAME", default_value = "")]
    user: String,
    /// The file with the password that it shows the broker
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The file with the token that it shows the server: what it grants, every client of the broker may
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Of the broker and of the server, where they are encrypted
    #[command(flatten)]
    trust: TrustArgs,
}

/// How the server is reached for a client of the broker.
#[derive(Debug)]
struct Behind {
    server: Reach,
    under: String,
    client_id: String,
    token: String,
}

impl Behind {
    fn options(&self, client: &str) -> MqttOptions {
        let mut options = self.server.options(&format!("{}.{client}", self.client_id));
        options.set_clean_session(true);
        if !self.token.is_empty() {
            options.set_credentials("", self.token.as_str());
        }
        options
    }

    /// What a client's topics begin with.
    fn base(&self, client: &str) -> String {
        format!("{}/{client}", self.under)
    }
}

/// Carries requests and answers until somebody ends it.
pub(crate) async fn run(arguments: BridgeArgs) -> ExitCode {
    let secrets = (secret(arguments.password_file.as_ref()), secret(arguments.token_file.as_ref()));
    let (password, token) = match secrets {
        (Ok(password), Ok(token)) => (password, token),
        (Err(why), _) | (_, Err(why)) => {
            say(&format!("fanwire bridge: {why}"));
            return ExitCode::from(2);
        }
    };
    if arguments.broker == arguments.server {
        say("fanwire bridge: the broker is the server itself, which needs no bridge");
        return ExitCode::from(2);
    }
    let Ok(mut stop) = Stop::listen() else {
        say("fanwire bridge: signals cannot be heard");
        return ExitCode::FAILURE;
    };
    let BridgeArgs { broker, server, under, client_id, user, trust, .. } = arguments;
    let reached = (Reach::new(broker, &trust), Reach::new(server, &trust));
    let (broker, server) = match reached {
        (Ok(broker), Ok(server)) => (broker, server),
        (Err(why), _) | (_, Err(why)) => {
            say(&format!("fanwire bridge: {why}"));
            return ExitCode::from(2);
        }
    };
    let mut options = broker.options(&client_id);
    // Requests wait there while it is away.
    options.set_clean_session(false);
    if !user.is_empty() || !password.is_empty() {
        options.set_credentials(user.as_str(), password);
    }
    let name = format!("the broker {broker}");
    let (client, events) = AsyncClient::new(options, BRIDGE_PENDING_MAX);
    let (heard, hears) = flume::bounded(BRIDGE_PENDING_MAX);
    tokio::spawn(link::keep(events, name, heard));
    let bridge = Bridge {
        broker: client,
        behind: std::sync::Arc::new(Behind { server, under, client_id, token }),
        clients: HashMap::new(),
        turn: 0,
    };
    match either(stop.asked(), bridge.carry(hears)).await {
        Either::First(()) => ExitCode::SUCCESS,
        Either::Second(()) => ExitCode::FAILURE,
    }
}

/// What a file holds, without white space around it.
fn secret(path: Option<&PathBuf>) -> Result<String, String> {
    let Some(path) = path else { return Ok(String::new()) };
    let text = std::fs::read_to_string(path);
    text.map(|text| text.trim().to_owned()).map_err(|error| format!("{}: {error}", path.display()))
}

/// What is between a broker and the server.
struct Bridge {
    broker: AsyncClient,
    behind: std::sync::Arc<Behind>,
    /// The clients of the broker that have asked something.
    clients: HashMap<String, Known>,
    turn: u64,
}

/// One of them: where its requests go, and when the last one went there.
struct Known {
    requests: Sender<Publish>,
    turn: u64,
}

impl Bridge {
    async fn carry(mut self, hears: Receiver<Heard>) {
        while let Ok(heard) = hears.recv_async().await {
            match heard {
                Heard::Packet(Packet::ConnAck(_)) => {
                    let requests = format!("{}/+/request", self.behind.under);
                    drop(self.broker.subscribe(requests, QoS::AtLeastOnce).await);
                }
                Heard::Packet(Packet::SubAck(_)) => say("fanwire bridge: requests are heard"),
                Heard::Packet(Packet::Publish(request)) => self.request(request).await,
                Heard::Packet(_) | Heard::Lost => {}
            }
        }
    }

    /// A client of the broker asks something: it is handed to who speaks for it.
    async fn request(&mut self, request: Publish) {
        let levels = request.topic.rsplit('/').nth(1).map(str::to_owned);
        let Some(client) = levels else { return };
        self.turn += 1;
        let turn = self.turn;
        let is_gone =
            self.clients.get(&client).is_some_and(|known| known.requests.is_disconnected());
        if is_gone || !self.clients.contains_key(&client) {
            self.make_room();
            let (requests, asked) = flume::bounded(BRIDGE_PENDING_MAX);
            let speaker = ClientSpeaker::new(&self.broker, &self.behind, &client);
            tokio::spawn(speaker.speak(asked));
            self.clients.insert(client.clone(), Known { requests, turn });
        }
        let Some(known) = self.clients.get_mut(&client) else { return };
        known.turn = turn;
        if let Err(refused) = known.requests.try_send(request) {
            let request = refused.into_inner();
            let why = ("overloaded", "too many requests of this client wait to be answered");
            let topic = format!("{}/response", self.behind.base(&client));
            let answer = answer_for(&request.payload, why);
            drop(self.broker.publish(topic, QoS::AtLeastOnce, false, answer).await);
            drop(self.broker.ack(&request).await);
        }
    }

    /// Whoever has asked nothing for the longest is spoken for no longer, if there are as many as there may be.
    fn make_room(&mut self) {
        if self.clients.len() < BRIDGE_CLIENTS_MAX {
            return;
        }
        let oldest = self.clients.iter().min_by_key(|(_, known)| known.turn);
        if let Some(oldest) = oldest.map(|(client, _)| client.clone()) {
            self.clients.remove(&oldest);
        }
    }
}
