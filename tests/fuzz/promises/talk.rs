//! Whatever clients of HyperBEAM, Provisioning and ResolveSpec say, line by line, every answer is one JSON object with a type, and what is wanted stays
//! within what a connection may have. Every message of ResolveSpec's is answered once. What is cast or posted is refused, or has a topic and the text that it came with.

use fanwire::clock::Now;
use fanwire::dialect::Answer;
use fanwire::dialect::Context;
use fanwire::dialect::Correspond;
use fanwire::dialect::HookTerms;
use fanwire::dialect::Refusal;
use fanwire::dialect::RefusalCode;
use fanwire::dialect::Request;
use fanwire::dialect::Said;
use fanwire::dialect::Step;
use fanwire::dialect::Talk;
use fanwire::dialect::Ticket;
use fanwire::dialect::View;
use fanwire::dialect::Views;
use fanwire::dialect::hyperbeam;
use fanwire::dialect::peat;
use fanwire::dialect::provisioning;
use fanwire::dialect::resolvespec;
use fanwire::limits::HYPERBEAM_TOPICS_MAX;
use fanwire::limits::PROVISIONING_TYPES_MAX;
use fanwire::limits::SUBSCRIPTION_TOPICS_MAX;
use fanwire::limits::SUBSCRIPTIONS_MAX;
use fanwire::tables::Column;
use fanwire::tables::ErrorCode;
use fanwire::tables::Schema;
use fanwire::tables::Table;
use fanwire::tables::TableError;
use fanwire::tables::Type;
use serde_json::Value;

/// Holds all conversations to it for one input.
pub(crate) fn hold(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for options in
        [hyperbeam::Options::default(), hyperbeam::Options { derived: true, regex: true }]
    {
        let mut talk = hyperbeam::Conversation::new(Vec::new(), options);
        let said = converse(&mut talk, text);
        for answer in &said {
            assert!(answer["timestamp"].is_u64(), "{answer}");
            let topics = answer["subscribed_topics"].as_array().map_or(0, Vec::len);
            assert!(topics <= HYPERBEAM_TOPICS_MAX);
        }
        assert_eq!(
            said.len(),
            text.lines().count() + 1,
            "a welcome, and an answer for each message"
        );
    }
    let endpoint = provisioning::Endpoint::Events;
    let none: [(&str, &str); 0] = [];
    let request = provisioning::Request::of_query(endpoint, none).expect("nothing is asked for");
    for answer in converse(&mut provisioning::Conversation::new(&request), text) {
        assert!(matches!(answer["type"].as_str(), Some("error" | "pong")), "{answer}");
    }
    rows(text, None);
    rows(text, Some("spec/c"));
    let said = converse(&mut peat::Conversation::new(peat::Request::default()), text);
    assert!(said.is_empty(), "peat-node never answers");
    if let Some(cast) = hyperbeam::cast(text, hyperbeam::Options { derived: true, regex: true }) {
        let view = View::default();
        if let Ok(topic) = view.topic_for(&cast.topic) {
            assert_eq!(view.name_of(&topic), cast.topic);
        }
    }
    match provisioning::posted(text) {
        Ok(events) => {
            assert!(!events.is_empty());
            for event in events {
                assert!(!event.event_type.is_empty() && text.contains(&event.text));
                let value: Value = serde_json::from_str(&event.text).unwrap_or_default();
                assert!(value.is_null() || value["event_type"] == event.event_type);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Each line that a client of ResolveSpec says is answered at once, or asks one thing and is answered when that is; on a WebSocket, or published by a client whose topics begin so.
fn rows(text: &str, base: Option<&str>) {
    let columns = vec![Column::key("id", Type::Int), Column::new("name", Type::Text)];
    let table = Table::new("public.users", columns).expect("it fits a topic");
    let tables = &Schema::new(vec![table]).expect("it is one");
    let (view, now) = (View::default(), Now { mono_ms: 1, wall_us: 1_700_000_000_000_000 });
    let (view, views, epoch) = (&view, &Views::default(), "e");
    let hooks = HookTerms::default();
    let context = Context { now, view, views, epoch, is_known: true, serial: 1, tables, hooks };
    let mut talk = resolvespec::Conversation::new(true);
    if let Some(base) = base {
        talk.hears_from(base);
    }
    for line in text.lines() {
        let mut steps = Vec::new();
        talk.hear(Said::Text(line), &context, &mut steps);
        let failed = TableError::new(ErrorCode::Busy, "later");
        let refused = [Err(Refusal::new(RefusalCode::Forbidden, "no"))];
        let answer = match &steps[..] {
            [Step::Ask { what: Request::Subscribe(_), .. }] => Some(Answer::Subscribed(&refused)),
            [Step::Ask { what: Request::Query(_) | Request::Write(_), .. }] => {
                Some(Answer::TableFailed(&failed))
            }
            _ => None,
        };
        if let (Some(answer), Some(asker)) = (answer, talk.asker()) {
            steps.clear();
            asker.answered(Ticket::Only, answer, &context, &mut steps);
        }
        let said = steps.last();
        let Some(Step::Say { text, .. }) = said else {
            panic!("{line} is not answered: {steps:?}")
        };
        let answer: Value = serde_json::from_slice(text).expect("an answer is JSON");
        let kind = answer["type"].as_str();
        assert!(matches!(kind, Some("response" | "pong")) && answer["id"].is_string(), "{answer}");
    }
}

/// What a client that says these lines is answered.
fn converse(talk: &mut dyn Talk, text: &str) -> Vec<Value> {
    let view = View::default();
    let now = Now { mono_ms: 1, wall_us: 1_700_000_000_000_000 };
    let tables = Schema::default();
    let (view, views, epoch, tables) = (&view, &Views::default(), "e", &tables);
    let hooks = HookTerms::default();
    let context = Context { now, view, views, epoch, is_known: true, serial: 1, tables, hooks };
    let mut steps = Vec::new();
    talk.open(&context, &mut steps);
    for line in text.lines() {
        talk.hear(Said::Text(line), &context, &mut steps);
    }
    let mut said = Vec::new();
    for step in steps {
        match step {
            Step::Say { text, .. } => {
                let answer: Value = serde_json::from_slice(&text).expect("an answer is JSON");
                assert!(answer["type"].is_string(), "{answer}");
                said.push(answer);
            }
            Step::Want(wishes) => {
                assert!(wishes.len() <= SUBSCRIPTIONS_MAX.max(PROVISIONING_TYPES_MAX));
                let mut ids: Vec<_> = wishes.iter().map(|wish| &wish.subscription.id).collect();
                ids.sort_unstable();
                ids.dedup();
                assert_eq!(ids.len(), wishes.len(), "each id once");
                for wish in &wishes {
                    let topics = wish.subscription.topics.len();
                    assert!((1..=SUBSCRIPTION_TOPICS_MAX).contains(&topics), "{wish:?}");
                }
            }
            Step::Ask { what: Request::Identify { token }, .. } => {
                assert!(text.contains('"') || token.is_empty());
            }
            Step::Ask {
                what:
                    Request::Publish(_)
                    | Request::Query(_)
                    | Request::Write(_)
                    | Request::Enter { .. }
                    | Request::Claim { .. }
                    | Request::Keep
                    | Request::Resume(_)
                    | Request::Admit(_)
                    | Request::Hook(_)
                    | Request::Subscribe(_),
                ..
            }
            | Step::Tell(_)
            | Step::Speak(_)
            | Step::Silence { .. }
            | Step::Will(_)
            | Step::Window { .. }
            | Step::Uncounted
            | Step::Acknowledged { .. }
            | Step::Subscribe(_)
            | Step::Update { .. }
            | Step::Unsubscribe { .. }
            | Step::AtEnd(_)
            | Step::Abort => panic!("none of these dialects does that: {step:?}"),
            // What was refused took work.
            Step::Pay { steps } => assert!(steps > 0),
            Step::Close { code, .. } => assert!((1000..5000).contains(&code)),
        }
    }
    said
}
