//! The redirecting listener: every request is answered with the same URL by `https`, but for that of an authority that looks whether a name is ours (RFC 8555 section 8.3).
//!
//! Invariants: whatever is asked there is not carried out; the answer names the host that was asked for and no other. Never looks at who asks.

use super::super::Shard;
use super::super::doors::path_of;
use super::super::input::AdminRequest;
use super::super::input::ConnId;
use super::awaiting::AnswerAwaited;
use super::http::Http;
use super::http::State;
use crate::clock::Now;
use crate::wire::http::Head;
use crate::wire::http::Method;
use crate::wire::http::Name;
use crate::wire::http::Reply;

/// The beginning of the path at which an authority looks.
pub const CHALLENGE_PATH: &str = "/.well-known/acme-challenge/";

/// The port that `https` means without a word.
const HTTPS_PORT: u16 = 443;

impl Shard {
    /// Answers a request with the URL by `https`.
    //= rfc9110#15.4.9
    //# The 308 (Permanent Redirect) status code indicates that the target
    //# resource has been assigned a new permanent URI and any future
    //# references to this resource ought to use one of the enclosed URIs.
    pub(super) fn redirect(&mut self, id: ConnId, http: &mut Http, head: &Head, now: Now) {
        let listeners = &self.settings.access.listeners;
        let is_read = matches!(head.method, Method::Get | Method::Head);
        let path = path_of(head);
        if is_read && listeners.is_checked() && path.starts_with(CHALLENGE_PATH) {
            let request =
                AdminRequest { path: path.into_owned(), if_none_match: None, body: Vec::new() };
            if let Some(conn) = self.conns.conn_ref(id) {
                self.intake.tickets.ask_outside(conn, request);
                http.set_state(State::Awaiting(Box::new(AnswerAwaited::Outside)));
            }
            return;
        }
        let port = listeners.https_port();
        match location(head, port) {
            Some(location) => self.reply(id, http, now, |out, answering| {
                Reply::begin(out, 308, answering).header("location", &location).empty();
            }),
            None => {
                let message = "this port only says where the same is to be had by https, and the request names no host or no path";
                self.refuse(id, http, 400, ("bad_request", message), now);
            }
        }
    }
}

/// The URL to which a request is redirected; `None`: the request has no host, or no path.
fn location(head: &Head, port: u16) -> Option<String> {
    let path = head.path();
    if !path.starts_with('/') {
        return None;
    }
    //= rfc9112#3.2.2
    //# When an origin server receives a request with an absolute-form of
    //# request-target, the origin server MUST ignore the received Host
    //# header field (if any) and instead use the host information of the
    //# request-target.
    let authority = match head.target().split_once("://") {
        Some((_, rest)) if !head.target().starts_with('/') => rest.split(['/', '?']).next()?,
        _ => head.value(Name::Host)?,
    };
    let host_bytes = match authority.rfind(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let host = authority.get(..host_bytes).filter(|host| !host.is_empty())?;
    let port = if port == HTTPS_PORT { String::new() } else { format!(":{port}") };
    let query = head.query();
    let mark = if query.is_empty() { "" } else { "?" };
    Some(format!("https://{host}{port}{path}{mark}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::parse_head;

    fn to(request: &str, port: u16) -> Option<String> {
        let (head, _) = parse_head(request.as_bytes()).unwrap().unwrap();
        location(&head, port)
    }

    #[test]
    fn the_same_host_path_and_query_are_named() {
        let get = |target: &str, host: &str| {
            to(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"), 443).unwrap()
        };
        assert_eq!(get("/", "example.org"), "https://example.org/");
        assert_eq!(get("/a%2Fb?x=1&y", "example.org:8080"), "https://example.org/a%2Fb?x=1&y");
        assert_eq!(get("//evil.example/x", "h"), "https://h//evil.example/x");
        assert_eq!(get("/?u=http://evil.example", "h"), "https://h/?u=http://evil.example");
        assert_eq!(get("/", "[2001:db8::1]:80"), "https://[2001:db8::1]/");
        // The authority of the target counts, not the field `Host`.
        assert_eq!(get("http://one.example:81/a", "two.example"), "https://one.example/a");
        assert_eq!(get("http://one.example?a", "two.example"), "https://one.example/?a");
        let other = to("GET /a HTTP/1.1\r\nHost: h:80\r\n\r\n", 8443);
        assert_eq!(other.as_deref(), Some("https://h:8443/a"));
    }

    #[test]
    fn what_names_no_host_or_path_is_sent_nowhere() {
        assert_eq!(to("GET / HTTP/1.0\r\n\r\n", 443), None);
        assert_eq!(to("GET / HTTP/1.1\r\nHost:\r\n\r\n", 443), None);
        assert_eq!(to("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 443), None);
    }
}
