//! One fetch of a key set.
//!
//! Invariants: the address is the operator's; encrypted, unless it is this machine's; no redirect is followed and no proxy is
//! asked. Bounded in time and bytes. The tag of an answer that was of no use is not kept.

use std::fmt;
use std::time::Duration;

use ureq::Agent;
use ureq::http::HeaderMap;

use crate::auth::Jwks;
use crate::auth::JwksError;
use crate::auth::JwksOrigin;
use crate::auth::parse_jwks;
use crate::limits::JWKS_BYTES_MAX;
use crate::limits::JWKS_FETCH_S_MAX;
use crate::outbound;
use crate::outbound::AddressError;
use crate::outbound::Wording;

/// How the issuer's address is spoken of where it is wrong.
const WORDING: Wording = Wording {
    like: "https://issuer.example.com/jwks.json",
    what: "keys are fetched",
    whose: "the issuer's",
};

/// Why a fetch brought nothing.
#[derive(Debug)]
pub(super) enum FetchError {
    TookTooLong,
    /// No connection, no encryption, or not HTTP.
    Broken(Box<ureq::Error>),
    /// Neither 200 nor 304. Redirects are among these.
    Status {
        code: u16,
    },
    TooLarge,
    NotKeys(JwksError),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TookTooLong => write!(f, "it took longer than {JWKS_FETCH_S_MAX} s"),
            Self::Broken(error) => write!(f, "{error}"),
            Self::Status { code } => write!(f, "the answer was {code}"),
            Self::TooLarge => write!(f, "the answer has more than {JWKS_BYTES_MAX} bytes"),
            Self::NotKeys(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for FetchError {}

impl From<ureq::Error> for FetchError {
    fn from(error: ureq::Error) -> Self {
        match error {
            ureq::Error::Timeout(_) => Self::TookTooLong,
            ureq::Error::BodyExceedsLimit(_) => Self::TooLarge,
            other => Self::Broken(Box::new(other)),
        }
    }
}

/// What a fetch brought.
#[derive(Debug)]
pub(super) struct Fetched {
    /// Absent: they are as they were.
    pub(super) keys: Option<Jwks>,
    /// How long the answer says it is good for.
    pub(super) fresh_s: Option<u64>,
}

/// Fetches one address.
#[derive(Debug)]
pub(super) struct Fetcher {
    agent: Agent,
    pub(super) url: String,
    etag: Option<String>,
}

impl Fetcher {
    pub(super) fn new(url: &str) -> Result<Self, AddressError> {
        let encrypted = outbound::check_address(url, WORDING)?;
        let mut builder = outbound::requests(encrypted)
            .timeout_global(Some(Duration::from_secs(JWKS_FETCH_S_MAX)));
        if encrypted {
            builder = builder.tls_config(outbound::encryption(None, WORDING)?);
        }
        Ok(Self { agent: builder.build().new_agent(), url: url.to_owned(), etag: None })
    }

    pub(super) fn fetch(&mut self) -> Result<Fetched, FetchError> {
        let mut request = self
            .agent
            .get(&self.url)
            .header("accept", "application/jwk-set+json, application/json");
        if let Some(etag) = &self.etag {
            request = request.header("if-none-match", etag);
        }
        let mut response = request.call()?;
        let fresh_s = fresh_s(response.headers());
        match response.status().as_u16() {
            200 => {}
            304 if self.etag.is_some() => return Ok(Fetched { keys: None, fresh_s }),
            code => return Err(FetchError::Status { code }),
        }
        let limit = u64::try_from(JWKS_BYTES_MAX).unwrap_or(u64::MAX);
        let text = response.body_mut().with_config().limit(limit).read_to_vec()?;
        let keys = parse_jwks(&text, JwksOrigin::Url).map_err(FetchError::NotKeys)?;
        // Only now: the tag of an answer that was of no use must not stand for one that was.
        self.etag =
            response.headers().get("etag").and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        Ok(Fetched { keys: Some(keys), fresh_s })
    }
}

/// How long an answer with these headers is good for; `None`: they do not say.
fn fresh_s(headers: &HeaderMap) -> Option<u64> {
    let mut max_age_s = None;
    for line in headers.get_all("cache-control") {
        for directive in line.to_str().ok()?.split(',') {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" | "no-cache" => return Some(0),
                "max-age" => max_age_s = value.trim().trim_matches('"').parse::<u64>().ok(),
                _ => {}
            }
        }
    }
    //= rfc9111#5.1
    //# The "Age" response header field conveys the sender's estimate of the
    //# time since the response was generated or successfully validated at
    //# the origin server.
    let age_s = headers
        .get("age")
        .and_then(|age| age.to_str().ok()?.trim().parse::<u64>().ok())
        .unwrap_or(0);
    max_age_s.map(|max_age_s| max_age_s.saturating_sub(age_s))
}

/// An issuer for the tests of this folder.
#[cfg(test)]
pub(super) mod issuer {
    use std::io::BufRead;
    use std::io::BufReader;
    use std::io::Write;
    use std::net::TcpListener;
    use std::thread;
    use std::thread::JoinHandle;

    pub(in super::super) const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    /// Answers one request after another, each with the next of `answers`, and hands back the requests'
    /// heads.
    pub(in super::super) fn issuer(answers: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let serve = move || {
            let mut heads = Vec::new();
            for answer in answers {
                let (mut socket, _) = listener.accept().unwrap();
                let lines = BufReader::new(&socket).lines().map_while(Result::ok);
                heads
                    .push(lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n"));
                // The client may have hung up on an answer that is too large.
                drop(socket.write_all(answer.as_bytes()));
            }
            heads
        };
        (url, thread::Builder::new().spawn(serve).unwrap())
    }

    pub(in super::super) fn answer(status: &str, headers: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            body.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::issuer::KEYS;
    use super::issuer::answer;
    use super::issuer::issuer;
    use super::*;

    #[test]
    fn keys_are_fetched_once_and_then_asked_after() {
        let first = answer(
            "200 OK",
            "ETag: \"v1\"\r\nCache-Control: public, max-age=600\r\nAge: 100\r\n",
            KEYS,
        );
        let (url, server) = issuer(vec![first, answer("304 Not Modified", "", "")]);
        let mut fetcher = Fetcher::new(&url).unwrap();
        let fetched = fetcher.fetch().unwrap();
        assert_eq!(fetched.keys.unwrap().keys[0].id(), Some("a"));
        assert_eq!(fetched.fresh_s, Some(500));
        let again = fetcher.fetch().unwrap();
        assert!(again.keys.is_none() && again.fresh_s.is_none());
        let heads = server.join().unwrap();
        assert!(heads[0].starts_with("GET /jwks.json HTTP/1.1"));
        assert!(!heads[0].to_ascii_lowercase().contains("if-none-match"));
        assert!(heads[1].to_ascii_lowercase().contains("if-none-match: \"v1\""), "{}", heads[1]);
    }

    #[test]
    fn an_answer_of_no_use_is_an_error_and_takes_nothing_away() {
        let large = format!("{{\"keys\":[{}]}}", " ".repeat(JWKS_BYTES_MAX));
        let (url, server) = issuer(vec![
            answer("200 OK", "ETag: \"bad\"\r\n", "<html>"),
            answer("302 Found", "Location: http://127.0.0.1:1/\r\n", ""),
            answer("500 Internal Server Error", "", ""),
            answer("200 OK", "", &large),
            answer("304 Not Modified", "", ""),
        ]);
        let mut fetcher = Fetcher::new(&url).unwrap();
        assert!(matches!(fetcher.fetch(), Err(FetchError::NotKeys(_))));
        let refused = fetcher.fetch().unwrap_err();
        assert_eq!(refused.to_string(), "the answer was 302");
        assert!(matches!(fetcher.fetch(), Err(FetchError::Status { code: 500 })));
        let refused = fetcher.fetch().unwrap_err().to_string();
        assert_eq!(refused, format!("the answer has more than {JWKS_BYTES_MAX} bytes"));
        let late = FetchError::TookTooLong.to_string();
        assert_eq!(late, format!("it took longer than {JWKS_FETCH_S_MAX} s"));
        assert!(
            matches!(fetcher.fetch(), Err(FetchError::Status { code: 304 })),
            "nothing was asked after"
        );
        let heads = server.join().unwrap();
        assert!(heads.iter().all(|head| !head.to_ascii_lowercase().contains("if-none-match")));
        assert!(matches!(fetcher.fetch(), Err(FetchError::Broken(_))), "the issuer is gone");
    }

    #[test]
    fn encryption_is_real() {
        // What answers is not TLS: with encryption on, that must fail and not fall back.
        let (url, server) = issuer(vec![answer("200 OK", "", KEYS)]);
        let address = url.replacen("http://", "https://", 1);
        let mut fetcher = Fetcher::new(&address).unwrap();
        assert!(matches!(fetcher.fetch(), Err(FetchError::Broken(_))));
        drop(server.join());
    }

    #[test]
    fn cache_headers_are_read_as_they_are_written() {
        let fresh = |lines: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(*name, value.parse().unwrap());
            }
            fresh_s(&headers)
        };
        assert_eq!(fresh(&[]), None);
        assert_eq!(
            fresh(&[("cache-control", "public, Max-Age=\"60\", must-revalidate")]),
            Some(60)
        );
        assert_eq!(
            fresh(&[("cache-control", "max-age=60"), ("cache-control", "no-cache")]),
            Some(0)
        );
        assert_eq!(fresh(&[("cache-control", "max-age=60"), ("age", "61")]), Some(0));
        assert_eq!(fresh(&[("cache-control", "max-age=soon")]), None);
    }
}
