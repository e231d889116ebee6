//! A head is found, awaited or refused alike however its bytes arrive, and what it gives out lies within it.

use fanwire::wire::http::parse_head;

/// Holds the parser to it for one input.
pub(crate) fn hold(input: &[u8]) {
    let whole = parse_head(input);
    if let Ok(Some((head, used))) = &whole {
        assert!(*used <= input.len());
        assert!(head.path().starts_with('/') || head.path() == "*");
        assert_eq!(parse_head(&input[..*used]).as_ref(), Ok(&Some((head.clone(), *used))));
        for (name, value) in head.fields() {
            assert!(head.headers(name).any(|given| given == value));
        }
        assert!(head.segments().count() + head.query_pairs().count() <= *used);
    }
    // Every prefix would be quadratic: those that end where parsers stumble, and a few more.
    let stride = input.len() / 64 + 1;
    for end in (0..input.len())
        .filter(|end| end % stride == 0 || b"\r\n :".contains(&input[*end]))
        .take(256)
    {
        match parse_head(&input[..end]) {
            Ok(None) => {}
            other => assert_eq!(other, whole, "prefix of {end}"),
        }
    }
}
