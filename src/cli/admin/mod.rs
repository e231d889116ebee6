//! `fanwire admin`: what an operator asks a server that runs, and tells it to do.
//!
//! Rows go to standard output as JSON, one a line, so that other tools can read them; `top` draws for people. The secret is read from a file, and is never an
//! argument, which other users of a machine can read. The exit code is 0 if the server did it, 1 if it refused or is not there.

mod top;

use std::fmt;
use std::io;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;
use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::http::HttpClient;
use crate::cli::http::HttpError;
use crate::cli::say;
use crate::cli::trust::TrustArgs;
use crate::client::endpoint::Endpoint;

/// What `fanwire admin` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct AdminArgs {
    /// The server.
    #[arg(long, global = true, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = Endpoint::parse)]
    url: Endpoint,
    /// The file that holds the admin secret: the one that `auth.admin_secret_file` names.
    #[arg(long, global = true, value_name = "FILE", default_value = "admin.secret")]
    secret_file: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    /// Connections: who, from where, what is spoken, what they subscribe to, and what they are owed.
    Connections {
        /// At most so many; without it, all.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// The connections that are owed the most.
    Slowest {
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// Topics, with their newest offsets.
    Topics {
        /// At most so many; without it, all.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Close a connection.
    Disconnect {
        /// As `connections` names it.
        connection: String,
        /// What its client is told.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Revoke tokens: one by its name, a user's, or all that were issued until a moment.
    #[group(required = true, multiple = true)]
    Revoke {
        #[arg(long, value_name = "NAME", conflicts_with_all = ["user", "issued_until"])]
        jti: Option<String>,
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Seconds since 1970; of a user without it: until now.
        #[arg(long, value_name = "SECONDS")]
        issued_until: Option<u64>,
    },
    /// Publish an event, whatever tokens may.
    Publish {
        topic: String,
        /// One JSON object.
        payload: String,
        #[arg(long)]
        key: Option<String>,
        /// upsert, delete or event.
        #[arg(long)]
        op: Option<String>,
    },
    /// Why an event was or was not delivered on a connection: of a topic by its offset, or any that you write.
    Explain {
        /// As `connections` names it.
        connection: String,
        topic: String,
        /// The event's offset in its topic; it must still be in memory.
        #[arg(long, value_name = "N", required_unless_present = "payload")]
        offset: Option<u64>,
        /// Instead of one that happened: an event with this payload.
        #[arg(long, value_name = "JSON", conflicts_with = "offset")]
        payload: Option<String>,
        #[arg(long, requires = "payload")]
        key: Option<String>,
    },
    /// Stop the server as SIGTERM does: clients are told when to come back.
    Drain,
    /// Read the configuration anew, as SIGHUP does, and say what came of it.
    Reload,
    /// Start the server's program anew and hand its listeners over, so that nobody is refused; then stop it.
    Upgrade,
    /// Change what is logged until the next reload: a level, and levels of modules.
    Log {
        /// Like info,conn=debug.
        level: String,
    },
    /// Show rates, lags and the slowest connections, every second, until it is interrupted.
    Top {
        /// Show it once and end.
        #[arg(long)]
        once: bool,
    },
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum AdminError {
    Secret(PathBuf, io::Error),
    Way(io::Error),
    Payload(serde_json::Error),
    Http(HttpError),
    Refused { status: u16, message: String },
    NotJson,
    Output(io::Error),
}

impl fmt::Display for AdminError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(path, error) => {
                write!(f, "--secret-file {}: {error}", path.display())
            }
            Self::Way(error) => error.fmt(f),
            Self::Payload(error) => write!(f, "the payload is no JSON: {error}"),
            Self::Http(error) => write!(f, "the server: {error}"),
            Self::Refused { status, message } => {
                write!(f, "the server refused with {status}: {message}")
            }
            Self::NotJson => write!(f, "the server's answer is no JSON: is this a fanwire server?"),
            Self::Output(error) => write!(f, "cannot write: {error}"),
        }
    }
}

impl std::error::Error for AdminError {}

/// A server, and what opens it.
pub(crate) struct Desk {
    client: HttpClient,
    endpoint: Endpoint,
    secret: Zeroizing<String>,
}

impl Desk {
    /// What there is at a path of the server.
    async fn ask(&mut self, path: &str, body: Option<&Value>) -> Result<String, AdminError> {
        let body = body.map(|body| body.to_string().into_bytes());
        let target = self.endpoint.target(path);
        let answer = self.client.ask_as(&self.secret, &target, body.as_deref()).await;
        let answer = answer.map_err(AdminError::Http)?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        if !(200..300).contains(&answer.status) {
            let json: Option<Value> = serde_json::from_str(&text).ok();
            let message =
                json.and_then(|json| json["error"]["message"].as_str().map(str::to_owned));
            let message = message.unwrap_or_else(|| "without a reason".to_owned());
            return Err(AdminError::Refused { status: answer.status, message });
        }
        Ok(text)
    }

    async fn ask_json(&mut self, path: &str, body: Option<&Value>) -> Result<Value, AdminError> {
        let text = self.ask(path, body).await?;
        serde_json::from_str(&text).map_err(|_| AdminError::NotJson)
    }

    /// Prints the rows of a list, page by page.
    async fn print_all(&mut self, name: &str, limit: Option<usize>) -> Result<(), AdminError> {
        let mut left = limit.unwrap_or(usize::MAX);
        let mut after: Option<String> = None;
        while left > 0 {
            let rows = left.min(crate::limits::ADMIN_ROWS_MAX);
            let mut path = format!("/v1/admin/{name}?limit={rows}");
            if let Some(after) = &after {
                path.push_str("&after=");
                escape_into(&mut path, after);
            }
            let page = self.ask_json(&path, None).await?;
            let list = page[name].as_array().ok_or(AdminError::NotJson)?;
            print(list)?;
            left = left.saturating_sub(list.len());
            match page["after"].as_str() {
                Some(next) => after = Some(next.to_owned()),
                None => break,
            }
        }
        Ok(())
    }
}

/// A value of a query, escaped where it must be.
fn escape_into(path: &mut String, value: &str) {
    for byte in value.bytes() {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                path.push(char::from(byte));
            }
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
}

fn print(rows: &[Value]) -> Result<(), AdminError> {
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    io::stdout().lock().write_all(text.as_bytes()).map_err(AdminError::Output)
}

/// Runs a command.
pub(crate) async fn run(arguments: AdminArgs) -> ExitCode {
    match carry_out(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("fanwire: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn carry_out(arguments: AdminArgs) -> Result<(), AdminError> {
    let AdminArgs { url, secret_file, trust, command } = arguments;
    let read = std::fs::read_to_string(&secret_file).map(Zeroizing::new);
    let secret = read.map_err(|error| AdminError::Secret(secret_file, error))?;
    let secret = Zeroizing::new(secret.trim().to_owned());
    let way = trust.way(url.clone()).map_err(AdminError::Way)?;
    let mut desk = Desk { client: HttpClient::new(way), endpoint: url, secret };
    let (path, body) = match command {
        Command::Connections { limit } => return desk.print_all("connections", limit).await,
        Command::Topics { limit } => return desk.print_all("topics", limit).await,
        Command::Slowest { limit } => {
            let path = format!("/v1/admin/slowest?limit={limit}");
            let answer = desk.ask_json(&path, None).await?;
            return print(answer["connections"].as_array().ok_or(AdminError::NotJson)?);
        }
        Command::Top { once } => return top::top(&mut desk, once).await,
        Command::Disconnect { connection, reason } => {
            ("disconnect", json!({ "connection": connection, "reason": reason }))
        }
        Command::Revoke { jti, user, issued_until } => {
            let members = [
                ("jti", jti.map(Value::from)),
                ("user", user.map(Value::from)),
                ("issued_until_s", issued_until.map(Value::from)),
            ];
            let said =
                members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
            ("revoke", Value::Object(said.collect()))
        }
        Command::Publish { topic, payload, key, op } => {
            ("publish", event(&topic, &payload, key, op)?)
        }
        Command::Explain { connection, topic, offset, payload, key } => {
            let body = match payload {
                Some(payload) => {
                    let event = event(&topic, &payload, key, None)?;
                    json!({ "connection": connection, "event": event })
                }
                None => json!({ "connection": connection, "topic": topic, "offset": offset }),
            };
            ("explain", body)
        }
        Command::Drain => ("drain", json!({})),
        Command::Reload => ("reload", json!({})),
        Command::Upgrade => ("upgrade", json!({})),
        Command::Log { level } => ("log", json!({ "level": level })),
    };
    let answer = desk.ask_json(&format!("/v1/admin/{path}"), Some(&body)).await?;
    print(&[answer])
}

fn event(
    topic: &str,
    payload: &str,
    key: Option<String>,
    op: Option<String>,
) -> Result<Value, AdminError> {
    let payload: Value = serde_json::from_str(payload).map_err(AdminError::Payload)?;
    let mut event = json!({ "topic": topic, "payload": payload });
    if let Some(key) = key {
        event["key"] = key.into();
    }
    if let Some(op) = op {
        event["op"] = op.into();
    }
    Ok(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_queries_are_escaped() {
        let mut path = String::new();
        escape_into(&mut path, "a/b c&d=ü");
        assert_eq!(path, "a/b%20c%26d%3D%C3%BC");
    }
}
