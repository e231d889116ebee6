//! The subscriber against a server that does as it is told.

use std::fs::OpenOptions;
use std::path::PathBuf;

use clap::Parser;

use crate::cli::subscribe::SubscribeArgs;
use crate::cli::subscribe::SubscribeError;
use crate::cli::subscribe::Subscriber;
use crate::cli::testing::Step;
use crate::cli::testing::talking;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    subscribe: SubscribeArgs,
}

/// One run of the client, appending to `out`.
fn run(out: &PathBuf, url: &str, switches: &[&str]) -> Result<(), SubscribeError> {
    let mut line = vec!["subscribe", "--url", url];
    line.extend(switches);
    let arguments = Line::parse_from(line).subscribe;
    let out = OpenOptions::new().create(true).append(true).open(out).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { Subscriber::with_output(arguments, out)?.run().await })
}

struct Subscribed {
    outcome: Result<(), SubscribeError>,
    printed: Vec<String>,
    heard: Vec<String>,
}

fn subscribed(switches: &[&str], scripts: Vec<Vec<Step>>) -> Subscribed {
    let (url, server) = talking(scripts);
    let port = url.rsplit(':').next().and_then(|rest| rest.split('/').next()).unwrap();
    let out = std::env::temp_dir().join(format!("fanwire-subscribe-{}-{port}", std::process::id()));
    let outcome = run(&out, &url, switches);
    let printed = std::fs::read_to_string(&out).unwrap().lines().map(str::to_owned).collect();
    std::fs::remove_file(out).unwrap();
    Subscribed { outcome, printed, heard: server.join().unwrap() }
}

const WELCOME: Step =
    Step::Say(r#"{"type":"welcome","protocol":"fanwire.v1","server":"fanwire/0.1.0","epoch":"a"}"#);
const WELCOME_B: Step =
    Step::Say(r#"{"type":"welcome","protocol":"fanwire.v1","server":"fanwire/0.1.0","epoch":"b"}"#);
const SUBSCRIBED: Step = Step::Say(r#"{"type":"subscribed","id":1}"#);
const LIVE: Step =
    Step::Say(r#"{"type":"live","id":1,"epoch":"a","offsets":{"t":0},"time_us":5,"replayed":0}"#);
const FIRST: Step = Step::Say(
    r#"{"type":"event","subs":[1],"topic":"t","op":"event","offset":1,"time_us":6,"payload":{}}"#,
);
const SECOND: Step = Step::Say(
    r#"{"type":"event","subs":[1],"topic":"t","op":"event","offset":2,"time_us":7,"payload":{}}"#,
);
const FIRST_LINE: &str =
    r#"{"type":"event","topic":"t","op":"event","offset":1,"time_us":6,"payload":{}}"#;
const SECOND_LINE: &str =
    r#"{"type":"event","topic":"t","op":"event","offset":2,"time_us":7,"payload":{}}"#;

#[test]
fn every_switch_becomes_a_member() {
    let switches = [
        "--topic=t",
        "--topic=a/**",
        "--filter=x < 1",
        "--since=last",
        "--batch=100,20",
        "--max-rate=0.5",
        "--fields=a,b.c",
        "--slow=latest_per_key",
        "--leave",
        "--count=1",
    ];
    let script = vec![WELCOME, Step::Hear, SUBSCRIBED, FIRST];
    let subscribed = subscribed(&switches, vec![script]);
    subscribed.outcome.unwrap();
    let wish = r#"{"type":"subscribe","id":1,"topics":["t","a/**"],"filter":"x < 1","since":"last","batch":{"max_events":100,"max_delay_ms":20},"max_rate":{"per":"key","hz":0.5},"fields":["a","b.c"],"slow":"latest_per_key","leave":true}"#;
    assert_eq!(subscribed.heard, [wish]);
    assert_eq!(subscribed.printed, [FIRST_LINE]);
}

#[test]
fn without_switches_everything_is_asked_for_live() {
    let subscribed =
        subscribed(&["--count=1"], vec![vec![WELCOME, Step::Hear, SUBSCRIBED, LIVE, FIRST]]);
    assert_eq!(subscribed.heard, [r#"{"type":"subscribe","id":1,"topics":["**"]}"#]);
}

#[test]
fn a_filter_in_the_other_notation_is_sent_as_an_object() {
    let switches = ["--filter", r#"{"eq":["a",1]}"#, "--count=1"];
    let subscribed = subscribed(&switches, vec![vec![WELCOME, Step::Hear, FIRST]]);
    assert_eq!(
        subscribed.heard,
        [r#"{"type":"subscribe","id":1,"topics":["**"],"filter":{"eq":["a",1]}}"#]
    );
}

#[test]
fn a_lost_connection_is_resumed_where_it_was() {
    let scripts = vec![
        vec![WELCOME, Step::Hear, SUBSCRIBED, LIVE, FIRST],
        vec![WELCOME, Step::Hear, SUBSCRIBED, Step::Close(1001)],
        vec![WELCOME, Step::Hear, SUBSCRIBED, SECOND],
    ];
    let subscribed = subscribed(&["--topic=t", "--count=2"], scripts);
    subscribed.outcome.unwrap();
    assert_eq!(subscribed.printed, [FIRST_LINE, SECOND_LINE]);
    let resumed = r#"{"type":"subscribe","id":1,"topics":["t"],"since":{"epoch":"a","offsets":{"t":1},"time_us":5}}"#;
    assert_eq!(
        subscribed.heard,
        [r#"{"type":"subscribe","id":1,"topics":["t"]}"#, resumed, resumed]
    );
}

#[test]
fn who_is_told_when_to_come_back_comes_then() {
    let clock = crate::clock::Clock::start();
    let scripts = vec![
        vec![
            WELCOME,
            Step::Hear,
            SUBSCRIBED,
            LIVE,
            FIRST,
            // Later than anything that it would have waited by itself.
            Step::Say(r#"{"type":"reconnect","after_ms":1500}"#),
            Step::Close(1001),
        ],
        vec![WELCOME, Step::Hear, SUBSCRIBED, SECOND],
    ];
    let subscribed = subscribed(&["--topic=t", "--count=2"], scripts);
    subscribed.outcome.unwrap();
    assert_eq!(subscribed.printed, [FIRST_LINE, SECOND_LINE]);
    assert!(clock.now().mono_ms >= 1500, "it came too early");
}

#[test]
fn a_restarted_server_says_what_is_missing_once() {
    const GAP: Step =
        Step::Say(r#"{"type":"gap","subs":[1],"topic":"t","from":1,"to":1,"reason":"epoch"}"#);
    let scripts = vec![
        vec![WELCOME, Step::Hear, SUBSCRIBED, LIVE, FIRST],
        vec![WELCOME_B, Step::Hear, SUBSCRIBED, GAP],
        vec![WELCOME_B, Step::Hear, SUBSCRIBED, GAP, SECOND],
    ];
    let subscribed = subscribed(&["--topic=t", "--count=2"], scripts);
    subscribed.outcome.unwrap();
    let gap = r#"{"type":"gap","topic":"t","from":1,"to":1,"reason":"epoch"}"#;
    assert_eq!(subscribed.printed, [FIRST_LINE, gap, SECOND_LINE]);
}

#[test]
fn a_second_run_goes_on_from_the_file() {
    let file =
        std::env::temp_dir().join(format!("fanwire-subscribe-{}-position", std::process::id()));
    let switches =
        ["--since=earliest", "--topic=t", "--count=1", "--position-file", file.to_str().unwrap()];
    let first = subscribed(&switches, vec![vec![WELCOME, Step::Hear, SUBSCRIBED, FIRST, SECOND]]);
    let second = subscribed(&switches, vec![vec![WELCOME, Step::Hear, SUBSCRIBED, SECOND]]);
    std::fs::remove_file(file).unwrap();
    assert_eq!(
        (first.printed, second.printed),
        (vec![FIRST_LINE.to_owned()], vec![SECOND_LINE.to_owned()])
    );
    let resumed = r#"{"type":"subscribe","id":1,"topics":["t"],"since":{"epoch":"a","offsets":{"t":1},"time_us":0}}"#;
    assert_eq!(second.heard, [resumed]);
}

#[test]
fn what_cannot_pass_ends_it() {
    let error = r#"{"type":"error","code":"bad_filter","field":"filter","message":"unexpected `<` at byte 2","id":1}"#;
    let objected = subscribed(&["--filter=x <"], vec![vec![WELCOME, Step::Hear, Step::Say(error)]]);
    let told = "the server answered: filter: unexpected `<` at byte 2 (bad_filter)";
    assert_eq!(objected.outcome.unwrap_err().to_string(), told);
    let closed = subscribed(&[], vec![vec![Step::Close(4001)]]);
    assert_eq!(
        closed.outcome.unwrap_err().to_string(),
        "the server closed the connection with 4001"
    );
    let garbled = subscribed(&[], vec![vec![Step::Say("what?")]]);
    assert!(
        garbled
            .outcome
            .unwrap_err()
            .to_string()
            .starts_with("a message is not of the protocol fanwire.v1: ")
    );
}

/// A position that the first connection reached, and what each of them asked for.
#[test]
fn the_past_is_asked_for_at_a_pace_until_it_has_been_told() {
    let switches = ["--topic=t", "--since=earliest", "--speed=60", "--max-gap=500", "--count=3"];
    let third = Step::Say(
        r#"{"type":"event","subs":[1],"topic":"t","op":"event","offset":3,"time_us":8,"payload":{}}"#,
    );
    let scripts = vec![
        vec![WELCOME, Step::Hear, SUBSCRIBED, FIRST],
        vec![WELCOME, Step::Hear, SUBSCRIBED, SECOND, LIVE],
        vec![WELCOME, Step::Hear, SUBSCRIBED, third],
    ];
    let subscribed = subscribed(&switches, scripts);
    subscribed.outcome.unwrap();
    let [first, second, third] = &subscribed.heard[..] else { panic!("{:?}", subscribed.heard) };
    assert!(first.contains(r#""since":"earliest","speed":60.0,"max_gap_ms":500"#), "{first}");
    assert!(
        second.contains(r#""speed":60.0"#) && second.contains(r#""offsets":{"t":1}"#),
        "{second}"
    );
    assert!(!third.contains("speed") && third.contains(r#""offsets":{"t":2}"#), "{third}");
}

#[test]
fn a_pace_needs_a_place_to_begin_at() {
    for switches in [&["--speed=2"][..], &["--speed=2", "--since=last"]] {
        let error = subscribed(switches, vec![]).outcome.unwrap_err().to_string();
        assert!(error.contains("--speed needs --since"), "{error}");
    }
    for wrong in ["0", "-1", "NaN", "1e308", "0.001", "fast"] {
        let line = ["subscribe", &format!("--speed={wrong}")];
        let error = Line::try_parse_from(line).err().expect("it is refused").to_string();
        assert!(error.contains("write 0.01 to 10000"), "{error}");
    }
}
