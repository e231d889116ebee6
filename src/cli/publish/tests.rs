//! The publisher against a server that does as it is told.

use clap::Parser;

use crate::cli::publish::Ended;
use crate::cli::publish::PublishArgs;
use crate::cli::publish::PublishError;
use crate::cli::publish::Publisher;
use crate::cli::publish::totals::Totals;
use crate::cli::testing::Reaction;
use crate::cli::testing::Request;
use crate::cli::testing::scripted;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    publish: PublishArgs,
}

/// Publishes `records` with `switches` to a server that follows `script`.
fn published(
    records: &str,
    switches: &[&str],
    script: Vec<Reaction>,
) -> (Result<Ended, PublishError>, Totals, Vec<Request>) {
    let (url, server) = scripted(script);
    let name = format!(
        "fanwire-publish-{}-{}.ndjson",
        std::process::id(),
        url.rsplit(':').next().unwrap()
    );
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, records).unwrap();
    let mut line = vec!["publish", "--url", &url, path.to_str().unwrap()];
    line.extend(switches);
    let arguments = Line::parse_from(line).publish;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (outcome, totals) = runtime.block_on(async {
        let mut publisher = Publisher::new(arguments).unwrap();
        let outcome = publisher.run().await;
        publisher.finish();
        (outcome, publisher.totals)
    });
    std::fs::remove_file(path).unwrap();
    (outcome, totals, server.join().unwrap())
}

const OK: &str = "200 OK";

#[test]
fn everything_goes_in_one_request_where_it_fits() {
    let script = vec![Reaction::Answer(OK, r#"{"accepted":2,"offset":2}"#)];
    let (outcome, totals, requests) =
        published("{\"a\":1}\n\n{\"a\":2}\n", &["--topic=t/a b", "--key=a", "--max"], script);
    assert_eq!(outcome.unwrap(), Ended::Whole);
    assert_eq!(requests[0].line, "POST /v1/publish/t/a%20b?key_field=a HTTP/1.1");
    assert!(
        requests[0]
            .head
            .to_ascii_lowercase()
            .contains("\r\ncontent-type: application/x-ndjson\r\n"),
        "{}",
        requests[0].head
    );
    assert_eq!(requests[0].body, "{\"a\":1}\n{\"a\":2}\n");
    assert_eq!((totals.accepted, totals.bytes, totals.rejected), (2, 16, 0));
}

#[test]
fn what_a_full_server_refused_is_sent_again_and_nothing_else() {
    let full = r#"{"error":{"code":"full","message":"inbox"},"accepted":1,"rejected":1,"line":3,"errors":[{"line":2,"code":"bad_json","message":"at byte 0"}]}"#;
    let script = vec![
        Reaction::Answer("429 Too Many Requests\r\nRetry-After: 0", full),
        Reaction::Answer(OK, r#"{"accepted":2,"offset":3}"#),
    ];
    let (outcome, totals, requests) =
        published("{\"a\":1}\nx\n{\"a\":3}\n{\"a\":4}\n", &["--topic=t", "--max"], script);
    assert_eq!(outcome.unwrap(), Ended::Whole);
    assert_eq!(requests[1].body, "{\"a\":3}\n{\"a\":4}\n");
    assert_eq!((totals.accepted, totals.rejected, totals.full, totals.repeated), (3, 1, 1, 0));
    assert_eq!(totals.listed[0].to_string(), "line 2: at byte 0 (bad_json)");
}

#[test]
fn an_unanswered_request_is_sent_again_and_counted() {
    let script = vec![Reaction::Vanish, Reaction::Answer(OK, r#"{"accepted":2,"offset":4}"#)];
    let (outcome, totals, requests) = published("{}\n{}\n", &["--topic=t", "--max"], script);
    assert_eq!(outcome.unwrap(), Ended::Whole);
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].body, requests[1].body);
    assert_eq!((totals.accepted, totals.repeated, totals.reconnects), (2, 2, 1));
}

#[test]
fn a_refusal_ends_it() {
    let script = vec![Reaction::Answer(
        "403 Forbidden",
        r#"{"error":{"code":"forbidden","message":"not yours"}}"#,
    )];
    let (outcome, totals, _) = published("{}\n", &["--topic=t", "--max"], script);
    assert_eq!(
        outcome.unwrap_err().to_string(),
        "the server refused with 403 forbidden: not yours"
    );
    assert_eq!(totals.accepted, 0);
}

#[test]
fn a_pace_groups_what_is_due_together() {
    let records = "{\"timestamp\":1000}\n{\"timestamp\":1000}\n{\"timestamp\":1050}\n";
    let script =
        vec![Reaction::Answer(OK, r#"{"accepted":2}"#), Reaction::Answer(OK, r#"{"accepted":1}"#)];
    let (outcome, totals, requests) = published(records, &["--topic=t"], script);
    assert_eq!(outcome.unwrap(), Ended::Whole);
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].body, "{\"timestamp\":1050}\n");
    assert!(totals.accepted == 3 && totals.elapsed.as_millis() >= 50);
}

#[test]
fn a_recording_without_times_needs_another_pace() {
    let (outcome, ..) = published("{}\n", &["--topic=t"], Vec::new());
    assert_eq!(
        outcome.unwrap_err().to_string(),
        "--time timestamp: line 1, the first, names no time in that member; name another, or use --rate N or --max"
    );
}

#[test]
fn a_server_that_was_never_there_is_an_error_at_once() {
    // Port 9 of the loopback, discard: nobody listens there.
    let arguments =
        Line::parse_from(["publish", "--url", "127.0.0.1:9", "--topic=t", "--max", "/dev/null"])
            .publish;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(async {
        let mut publisher = Publisher::new(arguments).unwrap();
        publisher.batch.push(b"{}", 1);
        publisher.send().await
    });
    assert!(matches!(outcome, Err(PublishError::Away(_))), "{outcome:?}");
}
