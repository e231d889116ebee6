//! What a proxy says is read the same however it is cut, within bounds; and of what header fields say, nothing panics and nothing is made up.

use fanwire::limits::HEAD_FIELDS_MAX;
use fanwire::limits::PROXY_HEADER_BYTES_MAX;
use fanwire::wire::http::ForwardedBy;
use fanwire::wire::http::Hop;
use fanwire::wire::proxy::parse_proxy_header;

/// Holds the readers of what proxies say to it for one input.
pub(crate) fn hold(input: &[u8]) {
    hold_header(input);
    let lines = || input.split(|byte| *byte == b'\n');
    for by in [ForwardedBy::XForwardedFor, ForwardedBy::Forwarded] {
        let hops: Vec<Hop> = by.hops(lines()).collect();
        let commas = input.iter().filter(|byte| **byte == b',').count();
        assert!(hops.len() <= commas + HEAD_FIELDS_MAX.min(lines().count()));
        for hop in &hops {
            let Hop::Address(address) = hop else { continue };
            assert_eq!(*address, address.to_canonical());
        }
    }
}

fn hold_header(input: &[u8]) {
    let whole = parse_proxy_header(input);
    for end in 0..input.len().min(PROXY_HEADER_BYTES_MAX) {
        match parse_proxy_header(&input[..end]) {
            // What was seen of it stays so, whatever comes behind.
            Ok(None) => assert!(end < PROXY_HEADER_BYTES_MAX),
            decided => assert_eq!(decided, whole, "{end}"),
        }
    }
    if let Ok(Some(header)) = whole {
        assert!(header.length <= input.len().min(PROXY_HEADER_BYTES_MAX));
        assert_eq!(parse_proxy_header(&input[..header.length]), whole);
        assert_eq!(parse_proxy_header(&input[..header.length - 1]), Ok(None));
    }
}
