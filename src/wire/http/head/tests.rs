//! Heads: what each rule accepts and refuses, and that no split changes the answer.

use super::*;
use crate::wire::testing::Random;
use crate::wire::testing::splits;

fn parse(input: &[u8]) -> Result<Option<(Head, usize)>, HttpError> {
    // A head is parsed again from its start whenever more has come: the answer must stay the same, and no prefix may be refused
    // for anything but what the whole is refused for.
    let whole = parse_head(input);
    for end in 0..input.len() {
        match parse_head(&input[..end]) {
            Ok(None) => {}
            other => assert_eq!(other, whole, "{:?}", String::from_utf8_lossy(&input[..end])),
        }
    }
    whole
}

fn head(input: &str) -> Head {
    let (head, used) = parse(input.as_bytes()).unwrap().expect("complete");
    assert_eq!(used, input.len());
    head
}

/// A request with `fields`, each of which ends in CR LF.
fn with(fields: &str) -> Result<Head, HttpError> {
    let input = format!("POST /p HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    parse(input.as_bytes()).map(|found| found.expect("complete").0)
}

#[test]
fn a_request_is_taken_apart() {
    let head = head(
        "GET /v1/publish/a%2Fb/%C3%BC?x=1&y=a+b%26&flag&=v&& HTTP/1.1\r\nHost: example.org:80\r\n\
         Fanwire-Key:  k 1 \t\r\nAccept: a\r\nACCEPT: b\r\nEmpty:\r\n\r\n",
    );
    assert_eq!((head.method, head.version, head.keep_alive), (Method::Get, Version::Http11, true));
    assert_eq!((head.framing, head.expect_continue), (Framing::None, false));
    assert_eq!(head.target(), "/v1/publish/a%2Fb/%C3%BC?x=1&y=a+b%26&flag&=v&&");
    assert_eq!(head.path(), "/v1/publish/a%2Fb/%C3%BC");
    assert_eq!(head.segments().collect::<Vec<_>>(), ["v1", "publish", "a/b", "ü"]);
    assert_eq!(head.path_after("/v1/publish/").unwrap(), "a/b/ü");
    assert_eq!(head.path_after("/v2/"), None);
    let pairs: Vec<_> = head.query_pairs().collect();
    let expected = [("x", "1"), ("y", "a b&"), ("flag", ""), ("", "v")];
    assert_eq!(pairs, expected.map(|(name, value)| (name.into(), value.into())));
    assert_eq!(head.query_value("y").unwrap(), "a b&");
    assert_eq!(head.value(Name::FanwireKey), Some("k 1"));
    assert_eq!(head.headers("accept").collect::<Vec<_>>(), [b"a", b"b"]);
    assert_eq!(head.headers("empty").collect::<Vec<_>>(), [b""]);
    assert_eq!(head.value(Name::Origin), None);
    assert_eq!(head.fields().count(), 5);
}

#[test]
fn targets_of_each_form() {
    for (target, path, query) in [
        ("/", "/", ""),
        ("/?", "/", ""),
        ("/a//b?c?d", "/a//b", "c?d"),
        ("*", "*", ""),
        ("http://h", "/", ""),
        ("HTTP://h:1/a?b", "/a", "b"),
        ("ws://h?b=1", "/", "b=1"),
        ("/zürich", "/zürich", ""),
    ] {
        let head = head(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!((head.path(), head.query()), (path, query), "{target}");
    }
    assert_eq!(head("GET / HTTP/1.1\r\nHost:\r\n\r\n").segments().collect::<Vec<_>>(), [""]);
}

#[test]
fn what_follows_the_head_is_not_touched() {
    let input = b"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n\x81\x80abcd";
    let (_, used) = parse_head(input).unwrap().unwrap();
    assert_eq!(&input[used..], b"\x81\x80abcd");
}

#[test]
fn malformed_heads_are_refused() {
    for (input, error) in [
        (&b"GET\r\n\r\n"[..], HttpError::BadRequestLine),
        (b"GET / HTTP/1.1 \r\n\r\n", HttpError::BadRequestLine),
        (b"GET  / HTTP/1.1\r\n\r\n", HttpError::BadRequestLine),
        (b"G\x00T / HTTP/1.1\r\n\r\n", HttpError::BadRequestLine),
        (b"GET /\x00 HTTP/1.1\r\n\r\n", HttpError::BadRequestLine),
        (b"GET /\xff HTTP/1.1\r\n\r\n", HttpError::BadRequestLine),
        (b"GET a HTTP/1.1\r\nHost: h\r\n\r\n", HttpError::BadTarget),
        (b"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", HttpError::BadTarget),
        (b"GET http:///a HTTP/1.1\r\nHost: h\r\n\r\n", HttpError::BadTarget),
        (b"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", HttpError::BadTarget),
        (b"GET /%4 HTTP/1.1\r\nHost: h\r\n\r\n", HttpError::BadEscape { at: 1 }),
        (b"GET /%ff HTTP/1.1\r\nHost: h\r\n\r\n", HttpError::TargetNotUtf8),
        (b"GET / HTTQ/1.1\r\n\r\n", HttpError::BadVersion),
        (b"GET / HTTP/1.1x\r\n\r\n", HttpError::BadRequestLine),
        (b"GET / HTTP/1.1\r\n: v\r\nHost: h\r\n\r\n", HttpError::BadFieldName),
        (b"GET / HTTP/1.1\r\nHost: h\r\na b: v\r\n\r\n", HttpError::SpaceInFieldName),
        (b"GET / HTTP/1.1\r\nHost : h\r\n\r\n", HttpError::SpaceInFieldName),
        (b"GET / HTTP/1.1\r\nHost\t: h\r\n\r\n", HttpError::SpaceInFieldName),
        (b"GET / HTTP/1.1\r\nHost: h\r\n folded: v\r\n\r\n", HttpError::FoldedField),
        (b"GET / HTTP/1.1\r\n Host: h\r\n\r\n", HttpError::FoldedField),
        (b"GET / HTTP/1.1\r\nHost: h\r\nA: b\x00c\r\n\r\n", HttpError::BadFieldValue),
        (b"GET / HTTP/1.1\r\nHost: h\r\nA: b\x0bc\r\n\r\n", HttpError::BadFieldValue),
        (b"GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n", HttpError::BadFieldValue),
        (b"GET / HTTP/1.1\nHost: h\n\n", HttpError::BareLineFeed),
        (b"GET / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n", HttpError::BareLineFeed),
        (b"GET / HTTP/1.1\r\n\r\n", HttpError::HostMissing),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", HttpError::HostRepeated),
        (b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", HttpError::HostRepeated),
        (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", HttpError::HostInvalid),
        (b"GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", HttpError::HostInvalid),
    ] {
        let found = parse(input);
        assert_eq!(found, Err(error), "{:?}", String::from_utf8_lossy(input));
        assert_eq!(error.status(), 400);
    }
}

#[test]
fn only_versions_1_0_and_1_1_are_spoken() {
    for version in ["HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/3.7"] {
        let input = format!("GET / {version}\r\nHost: h\r\n\r\n");
        assert_eq!(parse_head(input.as_bytes()), Err(HttpError::UnsupportedVersion), "{version}");
    }
    assert_eq!(parse_head(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Err(HttpError::UnsupportedVersion));
    assert_eq!(HttpError::UnsupportedVersion.status(), 505);
}

#[test]
fn limits_are_exact() {
    let target = |bytes: usize| format!("GET /{} HTTP/1.1\r\n", "a".repeat(bytes - 14));
    let longest = target(REQUEST_LINE_BYTES_MAX) + "Host: h\r\n\r\n";
    assert!(parse(longest.as_bytes()).unwrap().is_some());
    let longer = target(REQUEST_LINE_BYTES_MAX + 1) + "Host: h\r\n\r\n";
    assert_eq!(parse_head(longer.as_bytes()), Err(HttpError::RequestLineTooLong));
    let endless = format!("GET /{}", "a".repeat(REQUEST_LINE_BYTES_MAX));
    assert_eq!(parse_head(endless.as_bytes()), Err(HttpError::RequestLineTooLong));
    assert_eq!(HttpError::RequestLineTooLong.status(), 414);

    let start = "GET / HTTP/1.1\r\nHost: h\r\nA: ";
    let filler = "b".repeat(HEAD_BYTES_MAX - start.len() - 4);
    assert!(parse_head(format!("{start}{filler}\r\n\r\n").as_bytes()).unwrap().is_some());
    let over = parse_head(format!("{start}{filler}b\r\n\r\n").as_bytes());
    assert_eq!(over, Err(HttpError::HeadTooLarge));
    assert_eq!(parse_head(&vec![b'\n'; HEAD_BYTES_MAX]), Err(HttpError::HeadTooLarge));

    let fields = |count| format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "a: b\r\n".repeat(count));
    assert!(parse_head(fields(HEAD_FIELDS_MAX - 1).as_bytes()).unwrap().is_some());
    assert_eq!(parse_head(fields(HEAD_FIELDS_MAX).as_bytes()), Err(HttpError::TooManyFields));
    assert_eq!(HttpError::TooManyFields.status(), 431);
}

#[test]
fn framing_is_never_guessed() {
    for (fields, framing) in [
        ("", Framing::None),
        ("Content-Length: 0\r\n", Framing::Length(0)),
        ("content-length: 00042\r\n", Framing::Length(42)),
        ("Content-Length: 99999999999999999999\r\n", Framing::Length(u64::MAX)),
        ("Transfer-Encoding: Chunked\r\n", Framing::Chunked),
        ("Transfer-Encoding: , chunked ,\r\n", Framing::Chunked),
    ] {
        assert_eq!(with(fields).unwrap().framing, framing, "{fields}");
    }
    for (fields, error) in [
        ("Content-Length: 5\r\nContent-Length: 5\r\n", HttpError::ContentLengthRepeated),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", HttpError::ContentLengthRepeated),
        ("Content-Length: 5, 5\r\n", HttpError::ContentLengthRepeated),
        ("Content-Length: +5\r\n", HttpError::BadContentLength),
        ("Content-Length: -5\r\n", HttpError::BadContentLength),
        ("Content-Length: 0x5\r\n", HttpError::BadContentLength),
        ("Content-Length: 5 5\r\n", HttpError::BadContentLength),
        ("Content-Length:\r\n", HttpError::BadContentLength),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", HttpError::LengthAndEncoding),
        ("Transfer-Encoding:\r\n", HttpError::BadTransferEncoding),
        ("Transfer-Encoding: chunked, chunked\r\n", HttpError::BadTransferEncoding),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            HttpError::BadTransferEncoding,
        ),
        ("Transfer-Encoding: gzip, chunked\r\n", HttpError::UnknownTransferEncoding),
        ("Transfer-Encoding: chunked, identity\r\n", HttpError::UnknownTransferEncoding),
        ("Transfer-Encoding: xchunked\r\n", HttpError::UnknownTransferEncoding),
        ("Transfer-Encoding: \"chunked\"\r\n", HttpError::UnknownTransferEncoding),
    ] {
        assert_eq!(with(fields), Err(error), "{fields}");
    }
    let old = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(parse(old), Err(HttpError::EncodingInOldVersion));
    assert_eq!(HttpError::UnknownTransferEncoding.status(), 501);
}

#[test]
fn keep_alive_follows_version_and_connection() {
    for (version, connection, expected) in [
        ("1.1", "", true),
        ("1.1", "Connection: Close\r\n", false),
        ("1.1", "Connection: x, close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.0", "Connection: keep-alive\r\nConnection: close\r\n", false),
    ] {
        let found = head(&format!("GET / HTTP/{version}\r\nHost: h\r\n{connection}\r\n"));
        assert_eq!(found.keep_alive, expected, "{version} {connection}");
    }
}

#[test]
fn only_one_expectation_is_known() {
    let expecting = with("Content-Length: 1\r\nExpect: 100-Continue\r\n").unwrap();
    assert!(expecting.expect_continue);
    assert!(!with("Expect: 100-continue\r\n").unwrap().expect_continue, "no body to wait for");
    assert_eq!(with("Expect: 200-ok\r\n"), Err(HttpError::UnknownExpectation));
    assert_eq!(HttpError::UnknownExpectation.status(), 417);
    assert!(!head("POST / HTTP/1.0\r\nExpect: x\r\nContent-Length: 1\r\n\r\n").expect_continue);
}

#[test]
fn any_bytes_get_an_answer_that_no_split_changes() {
    let seed = 0x6ead;
    let mut random = Random(seed);
    let model = b"POST /a%20b?c=d HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc";
    for round in 0..2_000 {
        let mut input = model.to_vec();
        for _ in 0..=random.below(3) {
            let at = random.below(input.len());
            match random.below(3) {
                0 => input[at] = random.byte(),
                1 => drop(input.remove(at)),
                _ => input.insert(at, b"\r\n \t:,%\x00\xff"[random.below(9)]),
            }
        }
        let whole = parse_head(&input);
        splits(&input, |parts| {
            let mut buffer = Vec::new();
            let mut found = Ok(None);
            for part in parts {
                buffer.extend_from_slice(part);
                found = parse_head(&buffer);
                if found != Ok(None) {
                    break;
                }
            }
            assert_eq!(
                found,
                whole,
                "seed {seed:#x}, round {round}: {:?}",
                String::from_utf8_lossy(&input)
            );
        });
    }
}
