//! Whatever is offered, what is answered is within what was offered.

use fanwire::wire::deflate::DeflateTerms;
use fanwire::wire::deflate::negotiate;

/// Holds the negotiation to it for one list of offers.
pub(crate) fn hold(input: &[u8]) {
    let Some(agreed) = negotiate(DeflateTerms::Any, std::iter::once(input)) else { return };
    assert!((9..=15).contains(&agreed.server_window_bits));
    let mut answer = Vec::new();
    agreed.put(&mut answer);
    let answer = String::from_utf8(answer).expect("the answer is ASCII");
    let named = answer.contains("server_max_window_bits");
    assert!(named || agreed.server_window_bits == 15);
    // The answer is itself an offer that means the same.
    assert_eq!(negotiate(DeflateTerms::Any, std::iter::once(answer.as_bytes())), Some(agreed));
    let asked = input.windows(26).any(|part| part == b"server_no_context_takeover");
    assert!(asked || !agreed.server_no_context_takeover);
}
