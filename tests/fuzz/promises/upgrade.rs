//! A request becomes a WebSocket or is told why not, and either reply is a whole HTTP head.

use fanwire::wire::deflate::DeflateTerms;
use fanwire::wire::http::Answering;
use fanwire::wire::http::HttpDate;
use fanwire::wire::http::parse_head;
use fanwire::wire::upgrade::Terms;
use fanwire::wire::upgrade::Upgrade;

/// Holds the handshake to it for one request.
pub(crate) fn hold(input: &[u8]) {
    let Ok(Some((head, _))) = parse_head(input) else { return };
    let mut reply = Vec::new();
    match Upgrade::check(&head, &Terms { protocols: &["fanwire.v1"], deflate: DeflateTerms::Any }) {
        Ok(upgrade) => {
            upgrade.write_reply(&mut reply);
            assert!(reply.starts_with(b"HTTP/1.1 101 ") && reply.ends_with(b"\r\n\r\n"));
            assert_eq!(head.headers("sec-websocket-key").count(), 1);
            assert_eq!(head.headers("host").count(), 1);
        }
        Err(error) => {
            error.write_reply(&mut reply, &Answering::nobody(HttpDate::default()));
            assert!(reply.starts_with(format!("HTTP/1.1 {} ", error.status()).as_bytes()));
        }
    }
}
