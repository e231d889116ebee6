//! A request over HTTP whose answer does not end: asked once, and read piece by piece.
//!
//! Invariants: every call is over within its time; nothing is read that nobody asked for, so that a far end that has more to say waits; an address is encrypted unless it is this machine's, no redirect is followed and no
//! proxy asked. What is answered instead of a stream is a fault, by its status.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;
use ureq::http::HeaderName;
use ureq::http::HeaderValue;
use ureq::http::Request;
use ureq::http::Response;
use ureq::http::Uri;

use super::connector::Batch;
use super::connector::Fault;
use super::connector::FaultKind;
use super::kind::Setting;
use super::kind::Takes;
use super::kind::Unfit;
use super::kind::Values;
use crate::clock::Clock;
use crate::outbound;
use crate::outbound::Wording;

pub(super) const WORDING: Wording = Wording {
    like: "https://feed.example.org/events",
    what: "events are fetched",
    whose: "the feed's",
};

/// The settings of everything that is asked over HTTP, beside its address.
pub(super) const TOKEN_FILE: Setting = Setting {
    name: "token_file",
    takes: Takes::Text { default: "" },
    doc: "The file with the token that is shown (`Authorization: Bearer`). Empty: none is.",
};
pub(super) const CA_FILE: Setting = Setting {
    name: "ca_file",
    takes: Takes::Text { default: "" },
    doc: "Certificates (PEM) of the authorities that vouch for the far end. Empty: those that the machine believes.",
};
pub(super) const HEADERS: Setting = Setting {
    name: "headers",
    takes: Takes::List,
    doc: "Further fields of the request, each `\"Name: value\"`.",
};

/// What is asked, and of whom.
pub(super) struct Asking {
    url: Uri,
    is_post: bool,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
    encryption: Option<Arc<ClientConfig>>,
    /// Milliseconds without a byte after which the connection counts as lost; 0: never.
    idle_ms: u64,
    clock: Clock,
}

/// A stream that is asked for, and the answer as far as there is one.
pub(super) struct Stream {
    asking: Asking,
    pull: Option<Pull>,
}

/// What takes the pieces of an answer: each is given to it once, and it puts what has come whole into the batch.
pub(super) trait Take {
    fn feed(&mut self, piece: &[u8]);

    /// Puts what has come whole into the batch, as far as it has room.
    fn hand_out(&mut self, batch: &mut Batch) -> Result<(), Fault>;
}

/// An answer that is being read.
struct Pull {
    runtime: Runtime,
    body: Incoming,
    heard_ms: u64,
}

/// A stream of bytes, encrypted or not.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<W: AsyncRead + AsyncWrite + Send + Unpin> Wire for W {}

fn unreachable(why: impl fmt::Display) -> Fault {
    Fault::new(FaultKind::Unreachable, why)
}

impl Asking {
    /// A request to the address that stands in the setting `url`, with a path behind it, as the other settings say.
    pub(super) fn new(values: &Values, path: &str, idle_s: u64) -> Result<Self, Unfit> {
        let url = format!("{}{path}", values.text("url"));
        let wrong = |error: &dyn fmt::Display| Unfit::new("url", error);
        let is_encrypted = outbound::check_address(&url, WORDING).map_err(|error| wrong(&error))?;
        let authorities = values.file("ca_file")?;
        let encryption = match is_encrypted {
            true => Some(
                outbound::encrypted_connections(authorities.as_deref(), WORDING)
                    .map_err(|error| Unfit::new("ca_file", error))?,
            ),
            false => None,
        };
        let mut headers = Vec::new();
        for line in values.list("headers") {
            let header = line.split_once(':').and_then(|(name, value)| {
                Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
            });
            headers.push(header.ok_or_else(|| {
                Unfit::new("headers", format!("`{line}` must be like `Name: value`"))
            })?);
        }
        if let Some(token) = values.secret("token_file")? {
            let value = HeaderValue::from_str(&format!("Bearer {token}"));
            let value = value.map_err(|_| Unfit::new("token_file", "no token can be like that"))?;
            headers.push((hyper::header::AUTHORIZATION, value));
        }
        let url: Uri = url.parse().map_err(|error| wrong(&error))?;
        let (body, clock) = (Bytes::new(), Clock::start());
        let idle_ms = idle_s.saturating_mul(1000);
        Ok(Self { url, is_post: false, headers, body, encryption, idle_ms, clock })
    }

    /// The same with a body.
    pub(super) fn posting(self, body: Bytes) -> Self {
        Self { is_post: true, body, ..self }
    }

    /// Asks, with further fields. What is answered must be of this type.
    fn ask(
        &self,
        further: &[(HeaderName, HeaderValue)],
        content_type: &str,
        within: Duration,
    ) -> Result<Pull, Fault> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(unreachable)?;
        let answered = runtime.block_on(within_time(within, self.connect(further)));
        let late = || Err(unreachable("there was no answer in time"));
        let answered = match answered.unwrap_or_else(late) {
            Ok(answered) => answered,
            Err(fault) => {
                // Looking up a name may take longer, and is not waited for.
                runtime.shutdown_background();
                return Err(fault);
            }
        };
        let found = answered.headers().get(hyper::header::CONTENT_TYPE);
        let found = found.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let heard_ms = self.clock.now().mono_ms;
        let status = answered.status().as_u16();
        if let Some(kind) = fault_of(status) {
            return Err(Fault::new(kind, format_args!("the answer was {status}")));
        }
        if !found.to_ascii_lowercase().starts_with(content_type) {
            let why = format!("the answer is `{found}`, and not `{content_type}`");
            return Err(Fault::new(FaultKind::Protocol, why));
        }
        Ok(Pull { runtime, body: answered.into_body(), heard_ms })
    }

    async fn connect(
        &self,
        further: &[(HeaderName, HeaderValue)],
    ) -> Result<Response<Incoming>, Fault> {
        let host = self.url.host().unwrap_or_default();
        let default = if self.encryption.is_some() { 443 } else { 80 };
        let port = self.url.port_u16().unwrap_or(default);
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((name, port)).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let wire: Box<dyn Wire> = match &self.encryption {
            None => Box::new(stream),
            Some(config) => {
                let name = ServerName::try_from(name.to_owned()).map_err(unreachable)?;
                let connector = TlsConnector::from(Arc::clone(config));
                Box::new(connector.connect(name, stream).await.map_err(unreachable)?)
            }
        };
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(wire)).await.map_err(unreachable)?;
        tokio::spawn(async move {
            // Whoever reads the body is told as well.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a far end has ended");
            }
        });
        let request = self.request(further)?;
        sender.send_request(request).await.map_err(unreachable)
    }

    fn request(
        &self,
        further: &[(HeaderName, HeaderValue)],
    ) -> Result<Request<Full<Bytes>>, Fault> {
        let target = self.url.path_and_query().map_or("/", |target| target.as_str());
        let authority = self.url.authority().map_or("", |authority| authority.as_str());
        let method = if self.is_post { "POST" } else { "GET" };
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(hyper::header::HOST, authority)
            .header(hyper::header::USER_AGENT, concat!("fanwire/", env!("CARGO_PKG_VERSION")));
        for (name, value) in self.headers.iter().chain(further) {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(self.body.clone()));
        request.map_err(|error| Fault::new(FaultKind::Wrong, error))
    }
}

/// What is wrong by a status; `None`: nothing is.
const fn fault_of(status: u16) -> Option<FaultKind> {
    match status {
        200 => None,
        // An event source that is answered so is not to come back.
        204 => Some(FaultKind::Ended),
        401 | 403 | 407 => Some(FaultKind::Denied),
        408 | 425 | 429 | 500.. => Some(FaultKind::Unreachable),
        _ => Some(FaultKind::Wrong),
    }
}

impl Stream {
    /// What will be asked for.
    pub(super) const fn new(asking: Asking) -> Self {
        Self { asking, pull: None }
    }

    /// Asks anew, with further fields. What is answered must be of this type.
    pub(super) fn connect(
        &mut self,
        further: &[(HeaderName, HeaderValue)],
        content_type: &str,
        within: Duration,
    ) -> Result<(), Fault> {
        self.pull = None;
        self.pull = Some(self.asking.ask(further, content_type, within)?);
        Ok(())
    }

    /// Reads until there is a message, or for so long, and then what is there already, as far as the batch has room.
    pub(super) fn fetch(
        &mut self,
        take: &mut impl Take,
        batch: &mut Batch,
        within: Duration,
    ) -> Result<(), Fault> {
        loop {
            take.hand_out(batch)?;
            if !batch.has_room() {
                return Ok(());
            }
            let Some(pull) = &mut self.pull else {
                return Err(Fault::new(FaultKind::Lost, "it is not connected"));
            };
            let wait = if batch.messages().is_empty() { within } else { Duration::ZERO };
            match pull.next(&self.asking, wait)? {
                Some(piece) => take.feed(&piece),
                None => return Ok(()),
            }
        }
    }

    pub(super) fn close(&mut self) {
        self.pull = None;
    }
}

impl Pull {
    /// The next piece of the answer, within so long; `None`: none has come.
    fn next(&mut self, asking: &Asking, within: Duration) -> Result<Option<Bytes>, Fault> {
        let lost = |why: &dyn fmt::Display| Fault::new(FaultKind::Lost, why);
        let body = &mut self.body;
        let frame = self.runtime.block_on(within_time(within, body.frame()));
        let now_ms = asking.clock.now().mono_ms;
        match frame {
            Some(Some(Ok(frame))) => {
                self.heard_ms = now_ms;
                Ok(frame.into_data().ok().filter(|bytes| !bytes.is_empty()))
            }
            Some(Some(Err(error))) => Err(lost(&error)),
            Some(None) => Err(lost(&"the far end has ended its answer")),
            None if asking.idle_ms > 0
                && now_ms.saturating_sub(self.heard_ms) >= asking.idle_ms =>
            {
                Err(lost(&format_args!("nothing has come for {} ms", asking.idle_ms)))
            }
            None => Ok(None),
        }
    }
}

async fn within_time<T>(within: Duration, what: impl Future<Output = T>) -> Option<T> {
    // What is there already is taken even if there is no time.
    tokio::time::timeout(within, what).await.ok()
}

/// That a connection was lost, as the system says it.
impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::new(FaultKind::Lost, error)
    }
}
