//! `fanwire client`: a client for programs that have none of their own, by lines of JSON. Also the adapter by which the crate's client is held to the
//! conformance script.
//!
//! Invariants: each line that is written is one thing that was heard, whole; orders are taken in their order, and an order that cannot be read ends the
//! process with its number. `docs/CLIENTS.md` has every line. Never decides anything: it only hands on.

use std::collections::HashMap;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

use crate::cli::limits::ORDER_BYTES_MAX;
use crate::cli::limits::ORDERS_PENDING_MAX;
use crate::cli::say;
use crate::cli::trust::TrustArgs;
use crate::client::Client;
use crate::client::ClientError;
use crate::client::Control;
use crate::client::Options;
use crate::client::Position;
use crate::client::Publish;
use crate::client::Since;
use crate::client::State;
use crate::client::Subscription;
use crate::client::Told;
use crate::client::Wish;
use crate::client::wait::Either;
use crate::client::wait::either;

/// What `fanwire client` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct ClientArgs {
    #[command(flatten)]
    trust: TrustArgs,
}

/// One order.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Order {
    Open {
        url: String,
        #[serde(default)]
        token: bool,
        silence_ms: Option<u64>,
        steady_ms: Option<u64>,
    },
    Subscribe {
        id: String,
        options: Map<String, Value>,
    },
    Update {
        id: String,
        changes: Map<String, Value>,
    },
    Unsubscribe {
        id: String,
    },
    Publish {
        r#ref: Value,
        topic: String,
        key: Option<String>,
        op: Option<String>,
    },
    Position {
        id: String,
    },
    Token {
        token: Option<String>,
    },
    Close,
}

/// Of a publish, the payload as it was written.
#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

/// An event, as it is told.
#[derive(Serialize)]
struct EventLine<'a> {
    topic: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    key: &'a str,
    op: &'a str,
    offset: u64,
    time_us: u64,
    payload: &'a RawValue,
}

/// Writes a line. Who does not read is told nothing, and the end of its orders is the end.
fn tell(line: &impl Serialize) {
    let mut text = serde_json::to_vec(line)
        .unwrap_or_else(|error| unreachable!("strings and numbers are JSON: {error}"));
    text.push(b'\n');
    let mut out = io::stdout().lock();
    drop(out.write_all(&text).and_then(|()| out.flush()));
}

fn tell_error(heard: &str, of: (&str, &Value), error: &ClientError) {
    let mut line = json!({"heard": heard, "code": error.code, "message": error.message});
    if let Some(field) = &error.field {
        line["field"] = Value::from(&**field);
    }
    if !of.0.is_empty() {
        line[of.0] = of.1.clone();
    }
    tell(&line);
}

fn tell_state(state: &State) {
    let because = |name: &str, lost: &crate::client::Lost| json!({"heard": "state", "state": name, "cause": lost.cause.as_str(), "code": lost.code, "reason": lost.reason});
    tell(&match state {
        State::Connecting => json!({"heard": "state", "state": "connecting"}),
        State::Open { epoch } => json!({"heard": "state", "state": "open", "epoch": epoch}),
        State::Waiting { lost, wait } => {
            let mut line = because("waiting", lost);
            line["wait_ms"] = (wait.as_secs_f64() * 1000.0).into();
            line
        }
        State::Closed { lost } => because("closed", lost),
    });
}

/// Takes orders until the last. 0: it was told to close, or has no more orders; 1: an order cannot be read.
pub(crate) async fn run(arguments: ClientArgs) -> ExitCode {
    let lines = match orders() {
        Ok(lines) => lines,
        Err(error) => {
            say(&format!("fanwire client: cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let mut desk = Desk::new(arguments.trust);
    let mut number = 0;
    while let Ok(line) = lines.recv_async().await {
        number += 1;
        match desk.carry_out(&line).await {
            Ok(true) => {}
            Ok(false) => return ExitCode::SUCCESS,
            Err(problem) => {
                say(&format!("fanwire client: order {number}: {problem}"));
                return ExitCode::FAILURE;
            }
        }
    }
    desk.close().await;
    ExitCode::SUCCESS
}

/// Reads standard input in a thread of its own, line by line.
fn orders() -> io::Result<flume::Receiver<Vec<u8>>> {
    let (sender, lines) = flume::bounded(ORDERS_PENDING_MAX);
    let read = move || {
        let mut input = BufReader::new(io::stdin());
        loop {
            let mut line = Vec::new();
            let most = ORDER_BYTES_MAX as u64;
            let read = input.by_ref().take(most).read_until(b'\n', &mut line);
            if !matches!(read, Ok(1..)) || sender.send(line).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("orders".to_owned()).spawn(read)?;
    Ok(lines)
}

/// A subscription, as orders reach it.
struct Reader {
    control: Control,
    /// Questions for the position, which whoever reads knows.
    positions: flume::Sender<()>,
}

/// The client, and what it was asked.
struct Desk {
    trust: TrustArgs,
    client: Option<Client>,
    readers: HashMap<String, Reader>,
    tokens: (flume::Sender<Option<String>>, flume::Receiver<Option<String>>),
}

impl Desk {
    fn new(trust: TrustArgs) -> Self {
        let tokens = flume::bounded(ORDERS_PENDING_MAX);
        Self { trust, client: None, readers: HashMap::new(), tokens }
    }

    /// Does one thing; false if it was the last.
    async fn carry_out(&mut self, line: &[u8]) -> Result<bool, String> {
        match serde_json::from_slice(line).map_err(|error| error.to_string())? {
            Order::Open { url, token, silence_ms, steady_ms } => {
                let mut options = Options::new(&url).map_err(|error| error.to_string())?;
                options.silence = silence_ms.map_or(options.silence, Duration::from_millis);
                options.steady = steady_ms.map_or(options.steady, Duration::from_millis);
                self.open(options, token);
            }
            Order::Subscribe { id, options } => self.subscribe(id, options).await?,
            Order::Update { id, changes } => {
                let control = self.reader(&id)?.control.clone();
                tokio::spawn(async move {
                    match control.update(changes).await {
                        Ok(()) => tell(&json!({"heard": "updated", "id": id})),
                        Err(error) => tell_error("failed", ("id", &id.into()), &error),
                    }
                });
            }
            Order::Unsubscribe { id } => {
                let control = self.reader(&id)?.control.clone();
                // Whoever reads it tells that it has ended.
                tokio::spawn(async move { control.unsubscribe().await.ok() });
            }
            Order::Publish { r#ref, topic, key, op } => {
                let Payload { payload } =
                    serde_json::from_slice(line).map_err(|error| error.to_string())?;
                let mut publish = Publish::to(topic);
                publish = key.into_iter().fold(publish, Publish::key);
                publish = op.into_iter().fold(publish, Publish::op);
                if let Some(payload) = payload {
                    publish = publish.payload(payload).map_err(|error| error.to_string())?;
                }
                let client = self.client()?.clone();
                tokio::spawn(async move {
                    match client.publish(publish).await {
                        Ok(answer) => tell(&json!({"heard": "published", "ref": r#ref, "answer": {
                            "topic": answer.topic, "epoch": answer.epoch, "offset": answer.offset, "time_us": answer.time_us,
                        }})),
                        Err(error) => tell_error("failed", ("ref", &r#ref), &error),
                    }
                });
            }
            Order::Position { id } => {
                let asked = self.reader(&id)?.positions.send_async(()).await;
                asked.map_err(|_| format!("the subscription {id:?} has ended"))?;
            }
            Order::Token { token } => {
                self.tokens
                    .0
                    .try_send(token)
                    .map_err(|_| "too many tokens wait already".to_owned())?;
            }
            Order::Close => {
                self.close().await;
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn open(&mut self, mut options: Options, has_tokens: bool) {
        let trust = self.trust.trust(&options.endpoint);
        options = options.trust(trust).on_state(tell_state);
        options = options.on_error(|error| tell_error("error", ("", &Value::Null), error));
        if has_tokens {
            let tokens = self.tokens.1.clone();
            options = options.fetch_token(move || {
                tell(&json!({"heard": "token_wanted"}));
                let tokens = tokens.clone();
                async move {
                    let token = tokens.recv_async().await.ok().flatten();
                    token.ok_or_else(|| "there is none to be had".to_owned())
                }
            });
        }
        self.client = Some(Client::connect(options));
    }

    fn client(&self) -> Result<&Client, String> {
        self.client.as_ref().ok_or_else(|| "open comes first".to_owned())
    }

    fn reader(&self, id: &str) -> Result<&Reader, String> {
        self.readers.get(id).ok_or_else(|| format!("there is no subscription {id:?}"))
    }

    async fn subscribe(
        &mut self,
        id: String,
        mut options: Map<String, Value>,
    ) -> Result<(), String> {
        let since = match options.remove("since") {
            None => Since::Live,
            Some(Value::String(text)) => Since::parse(&text).map_err(|error| error.to_string())?,
            Some(since) => serde_json::from_value(since).map_err(|error| error.to_string())?,
        };
        let wish = Wish::default().id(id.clone()).since(since);
        let wish = options.into_iter().fold(wish, |wish, (name, value)| wish.option(&name, value));
        match self.client()?.subscribe(wish).await {
            Ok(subscription) => {
                let (positions, asked) = flume::bounded(ORDERS_PENDING_MAX);
                self.readers.insert(id, Reader { control: subscription.control(), positions });
                tokio::spawn(read(subscription, asked));
            }
            Err(error) => tell_error("ended", ("id", &id.into()), &error),
        }
        Ok(())
    }

    async fn close(&mut self) {
        if let Some(client) = &self.client {
            client.close().await;
        }
    }
}

/// Tells what a subscription is told, until its end, and where it stands when it is asked.
async fn read(mut subscription: Subscription, asked: flume::Receiver<()>) {
    let id = subscription.id().to_owned();
    if subscription.ready().await.is_ok() {
        tell(&json!({"heard": "subscribed", "id": id}));
    }
    loop {
        match either(subscription.next(), asked.recv_async()).await {
            Either::First(Some(Ok(told))) => tell_told(&id, &told),
            Either::First(Some(Err(error))) => {
                return tell_error("ended", ("id", &id.into()), &error);
            }
            Either::First(None) => {
                return tell(&json!({"heard": "ended", "id": id, "code": "unsubscribed"}));
            }
            Either::Second(_) => tell_position(&id, subscription.position()),
        }
    }
}

fn tell_position(id: &str, position: Option<&Position>) {
    tell(&json!({"heard": "position", "id": id, "position": position}));
}

fn tell_told(id: &str, told: &Told) {
    #[derive(Serialize)]
    struct Line<'a> {
        heard: &'a str,
        id: &'a str,
        event: EventLine<'a>,
    }
    match told {
        Told::Event(event) => {
            let crate::client::Event { topic, key, op, offset, time_us, payload } = event;
            let (offset, time_us) = (*offset, *time_us);
            let event = EventLine { topic, key, op, offset, time_us, payload };
            tell(&Line { heard: "event", id, event });
        }
        Told::Gap(gap) => tell(&json!({"heard": "gap", "id": id, "gap": {
            "topic": gap.topic, "from": gap.from, "to": gap.to, "reason": gap.reason,
        }})),
        Told::Skipped(skipped) => {
            tell(&json!({"heard": "skipped", "id": id, "count": skipped.count}));
        }
        Told::Live(live) => tell(&json!({
            "heard": "live", "id": id, "recovered": live.is_recovered(), "replayed": live.replayed,
        })),
    }
}
