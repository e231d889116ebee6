//! Requests to the authority, as the library for ACME makes them, over this server's own way of asking (`outbound`).
//!
//! Invariants: a request takes so long and an answer has so many bytes at most; nothing is asked once the server stops. It waits in the thread that asks, which does nothing else.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use http_body_util::Full;
use instant_acme::BodyWrapper;
use instant_acme::BytesResponse;
use instant_acme::Error;
use instant_acme::HttpClient;
use ureq::Agent;
use ureq::http::Request;
use ureq::http::Response;

use super::WORDING;
use crate::limits::ACME_ANSWER_BYTES_MAX;
use crate::limits::ACME_REQUEST_S_MAX;
use crate::outbound;
use crate::outbound::AddressError;

/// What of it outlives a request.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// Nothing is asked any more.
    pub(super) is_stopping: AtomicBool,
    /// After how many seconds the authority wants to be asked again, as it said when it last refused a request; 0: it did not.
    pub(super) retry_after_s: AtomicU64,
}

/// Asks one authority.
#[derive(Clone, Debug)]
pub(super) struct Client {
    agent: Agent,
    wire: Arc<Wire>,
}

impl Client {
    /// Asks an authority at this address, if these (PEM) vouch for it, or those whom the machine believes.
    pub(super) fn new(
        directory: &str,
        authorities: Option<&[u8]>,
        wire: &Arc<Wire>,
    ) -> Result<Self, AddressError> {
        let is_encrypted = outbound::check_address(directory, WORDING)?;
        let mut builder = outbound::requests(is_encrypted)
            .timeout_global(Some(Duration::from_secs(ACME_REQUEST_S_MAX)));
        if is_encrypted {
            builder = builder.tls_config(outbound::encryption(authorities, WORDING)?);
        }
        Ok(Self { agent: builder.build().new_agent(), wire: Arc::clone(wire) })
    }

    async fn ask(self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        if self.wire.is_stopping.load(Ordering::Relaxed) {
            return Err(Error::Str("the server stops"));
        }
        let (parts, body) = request.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(never) => match never {},
        };
        let answer = match body.is_empty() {
            // What is only asked for has no body, not an empty one.
            true => self.agent.run(Request::from_parts(parts, ())),
            false => self.agent.run(Request::from_parts(parts, body.to_vec())),
        };
        let answer = answer.map_err(|error| Error::Other(Box::new(error)))?;
        let (parts, mut body) = answer.into_parts();
        let refuses = matches!(parts.status.as_u16(), 429 | 503);
        let after_s = parts.headers.get("retry-after").filter(|_| refuses);
        let after_s = after_s.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        if let Some(after_s) = after_s {
            self.wire.retry_after_s.store(after_s, Ordering::Relaxed);
        }
        let limit = u64::try_from(ACME_ANSWER_BYTES_MAX).unwrap_or(u64::MAX);
        let body = body.with_config().limit(limit).read_to_vec();
        let body = body.map_err(|error| Error::Other(Box::new(error)))?;
        Ok(BytesResponse::from(Response::from_parts(parts, Full::new(Bytes::from(body)))))
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        Box::pin(self.clone().ask(request))
    }
}
