//! The page at which a person says the secret that all clients share, and is given the cookie that lets a WebSocket in.

use crate::dialect::Context;
use crate::dialect::Next;
use crate::dialect::Respond;
use crate::dialect::Response;
use crate::dialect::Secret;
use crate::wire::http::Head;
use crate::wire::http::percent::form_decoded;

/// The name of the cookie.
const COOKIE: &str = "rtgh_secret";

//= rtbdp#4.1
//# accepted if the token is a **substring of the Cookie header or of the request
//# target** (so `ws://h:8887/?k=<token>` works).
/// Whether a request shows the secret's token.
pub(super) fn is_shown(secret: &Secret, head: &Head) -> bool {
    let token = secret.token.as_bytes();
    let holds = |text: &[u8]| text.windows(token.len()).any(|part| is_same(part, token));
    head.headers("cookie").any(holds) || holds(head.target().as_bytes())
}

/// Compares in a time that does not depend on where two texts differ.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

/// A call to the page.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) secret: Option<std::sync::Arc<Secret>>,
    /// Whether it says a secret, or looks at the page.
    pub(super) is_said: bool,
    /// Where it came from.
    pub(super) url: Box<str>,
}

impl Login {
    /// Where it goes on: a path of this host, and of no other.
    fn location(&self) -> String {
        let is_path = self.url.starts_with('/')
            && !self.url.starts_with("//")
            && self.url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if is_path { self.url.to_string() } else { "/".to_owned() }
    }
}

impl Respond for Login {
    //= rtbdp#4.1
    //# `POST /login` (form body exactly `secret=<password>` after URL-decoding) → 303, `Location` = `?url=` value or `/`,
    //# `Set-Cookie: rtgh_secret=<token>; HTTPOnly; SameSite=Lax`. Wrong → 401 login page with `wrong password`.
    fn respond(self: Box<Self>, body: &[u8], _context: &Context<'_>) -> Next {
        let Some(secret) = &self.secret else {
            return Next::Reply(see_other(self.location(), None));
        };
        if !self.is_said {
            return Next::Reply(page(200, ""));
        }
        let said = std::str::from_utf8(body).unwrap_or_default();
        let said = form_decoded(said);
        let said = said.strip_prefix("secret=");
        let is_right =
            said.is_some_and(|said| is_same(said.as_bytes(), secret.password.as_bytes()));
        if !is_right {
            return Next::Reply(page(401, "wrong password"));
        }
        let cookie = format!("{COOKIE}={}; HTTPOnly; SameSite=Lax", secret.token);
        Next::Reply(see_other(self.location(), Some(cookie)))
    }
}

fn see_other(location: String, cookie: Option<String>) -> Response {
    let mut headers = vec![("location", location)];
    headers.extend(cookie.map(|cookie| ("set-cookie", cookie)));
    let body = bytes::Bytes::new();
    Response { status: 303, content_type: "text/plain; charset=utf-8", headers, body }
}

fn page(status: u16, wrong: &str) -> Response {
    let body = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Login</title>\n<form method=\"post\"><p>{wrong}</p>\
         <label>Password <input type=\"password\" name=\"secret\" autofocus></label> <button>Log in</button></form></html>\n"
    );
    let headers = Vec::new();
    Response { status, content_type: "text/html; charset=utf-8", headers, body: body.into() }
}
