//! Hooks: where each is asked, what its answer changes, and that neither a hook nor its silence opens what it guards.

use std::sync::Arc;

use fanwire::auth::Anonymous;
use fanwire::auth::AnonymousAccess;
use fanwire::dialect::Hook;
use fanwire::dialect::hook::Answered;
use fanwire::dialect::hook::Call;
use fanwire::dialect::hook::Chain;
use fanwire::dialect::hook::Failure;
use fanwire::dialect::hook::Identity;
use fanwire::dialect::hook::Json;
use fanwire::dialect::hook::Verdict;
use fanwire::shard::Access;
use fanwire::shard::Settings;
use serde_json::Value;
use serde_json::json;

use crate::scene;
use crate::scene::Client;
use crate::support::hooks;
use crate::support::tables;
use crate::support::world::World;
use crate::support::world::party::Manner;
use crate::support::world::roomy;

pub(crate) const SHARDS: u16 = 2;

fn json(value: &Value) -> Json {
    Json::from(value)
}

fn filters(value: &Value) -> Verdict {
    Verdict::default().with_filters(json(value))
}

fn red() -> Value {
    json!([{"column": "team", "operator": "eq", "value": "red"}])
}

/// A world whose hooks answer so.
pub(crate) fn world_of(chain: Chain, manner: Manner, change: impl FnOnce(&mut Settings)) -> World {
    let settings = tables::with_tables(roomy(), &tables::schema(scene::TABLES), SHARDS);
    let mut settings = hooks::with_hooks(settings, &chain, SHARDS + 1);
    change(&mut settings);
    let mut world = World::new(SHARDS, &settings);
    tables::join(&mut world, &settings);
    world.join(hooks::answerer(chain, manner, |_| 0));
    world
}

pub(crate) fn world(chain: Chain) -> World {
    world_of(chain, Manner::default(), |_| {})
}

pub(crate) fn open(world: &mut World, shard: usize) -> Client {
    Client::open(world, shard, "", 1 << 22)
}

pub(crate) fn create(client: &mut Client, world: &mut World, data: &Value) -> Value {
    client.request(world, &format!(r#""operation":"create","entity":"users","data":{data}"#))
}

pub(crate) fn read(client: &mut Client, world: &mut World, options: &str) -> Value {
    client.request(world, &format!(r#""operation":"read","entity":"users","options":{options}"#))
}

pub(crate) fn subscribe(client: &mut Client, world: &mut World, options: &str) -> Value {
    let text = format!(
        r#"{{"id":"s","type":"subscription","operation":"subscribe","entity":"users","options":{options}}}"#
    );
    client.ask(world, &text).remove(0)
}

/// What was asked, in order.
type Log = flume::Receiver<(&'static str, Value)>;

/// Writes down every call, and says yes.
fn scribe(hooks: &[Hook]) -> (Chain, Log) {
    let (writes, log) = flume::bounded(1000);
    let chain = hooks.iter().fold(Chain::default(), |chain, hook| {
        let (writes, name) = (writes.clone(), hook.name());
        chain.on(*hook, move |call| {
            let call = serde_json::from_slice(&call.to_json()).unwrap();
            writes.try_send((name, call)).unwrap();
            Ok(Verdict::default())
        })
    });
    (chain, log)
}

fn take(log: &Log) -> Vec<(&'static str, Value)> {
    log.try_iter().collect()
}

fn names(log: &Log) -> Vec<&'static str> {
    take(log).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn each_of_the_seventeen_is_asked_in_its_place() {
    let (chain, log) = scribe(&Hook::ALL);
    let mut world = world(chain);
    let mut client = Client::open(&mut world, 0, "?token=shown", 1 << 20);
    let connected = take(&log);
    let asked: Vec<_> = connected.iter().map(|(name, _)| *name).collect();
    assert_eq!(asked, ["before_connect", "after_connect"]);
    assert_eq!(connected[0].1["credentials"]["token"], "shown");
    assert!(connected[1].1.get("credentials").is_none(), "they are for before_connect alone");
    let made = create(&mut client, &mut world, &json!({"name": "Ada", "team": "red"}));
    assert_eq!(made["success"], true);
    let calls = take(&log);
    let asked: Vec<_> = calls.iter().map(|(name, _)| *name).collect();
    assert_eq!(asked, ["before_handle", "before_create", "after_create"]);
    let [_, (_, before), (_, after)] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!(before["data"], json!({"name": "Ada", "team": "red"}));
    let about = ["id", "operation", "schema", "entity", "table", "record_id"];
    let said = about.map(|member| before[member].as_str().unwrap());
    assert_eq!(said, ["r", "create", "", "users", "public.users", ""]);
    assert_eq!((&before["result"], &before["address"]), (&Value::Null, &json!("127.0.0.1")));
    assert_eq!(before["message"]["operation"], "create");
    assert_eq!(after["result"], made["data"]);
    for (operation, members) in [
        ("read", r#""options":{"limit":1}"#),
        ("update", r#""record_id":"1","data":{"age":7}"#),
        ("delete", r#""record_id":"1""#),
    ] {
        client.request(
            &mut world,
            &format!(r#""operation":"{operation}","entity":"users",{members}"#),
        );
        let expected = [format!("before_{operation}"), format!("after_{operation}")];
        assert_eq!(names(&log)[1..], expected, "{operation}");
    }
    client.request(&mut world, r#""operation":"meta","entity":"users""#);
    assert_eq!(names(&log), ["before_handle"]);
    let id = subscribe(&mut client, &mut world, "{}")["data"]["subscription_id"].clone();
    assert_eq!(names(&log), ["before_handle", "before_subscribe", "after_subscribe"]);
    let text = format!(
        r#"{{"id":"u","type":"subscription","operation":"unsubscribe","subscription_id":{id}}}"#
    );
    assert_eq!(client.ask(&mut world, &text)[0]["data"]["unsubscribed"], true);
    let calls = take(&log);
    assert_eq!(calls[1].0, "before_unsubscribe");
    assert_eq!(calls[1].1["subscription_id"], id);
    assert_eq!(calls[2].0, "after_unsubscribe");
    assert_eq!(client.ask(&mut world, r#"{"type":"ping"}"#)[0]["type"], "pong");
    assert!(take(&log).is_empty(), "a ping is no request");
    world.vanish(client.wire);
    world.settle();
    assert_eq!(names(&log), ["before_disconnect", "after_disconnect"]);
}

#[test]
fn a_hook_that_aborts_stops_what_it_stands_before() {
    let abort = |_: &Call| -> Answered { Ok(Verdict::abort("not you")) };
    for (hook, code, message) in [
        (Hook::BeforeHandle, "unauthorized", "not you"),
        (Hook::BeforeCreate, "hook_error", "operation aborted by hook: not you"),
        (Hook::AfterCreate, "hook_error", "operation aborted by hook: not you"),
    ] {
        let mut world = world(Chain::default().on(hook, abort));
        let mut client = open(&mut world, 0);
        let made = create(&mut client, &mut world, &json!({"name": "Ada"}));
        assert_eq!(made["error"], json!({"code": code, "message": message}), "{}", hook.name());
        if hook != Hook::BeforeHandle {
            let rows = read(&mut client, &mut world, "{}");
            let count = u64::from(hook == Hook::AfterCreate);
            assert_eq!(rows["metadata"]["count"], count, "{}: {rows}", hook.name());
        }
    }
    for hook in [Hook::BeforeSubscribe, Hook::BeforeUnsubscribe] {
        let mut world = world(Chain::default().on(hook, abort));
        let mut client = open(&mut world, 0);
        let told = subscribe(&mut client, &mut world, "{}");
        assert_eq!(told["success"], hook != Hook::BeforeSubscribe);
        let id = &told["data"]["subscription_id"];
        let text = format!(
            r#"{{"id":"u","type":"subscription","operation":"unsubscribe","subscription_id":{id}}}"#
        );
        assert_eq!(client.ask(&mut world, &text)[0]["success"], false);
        create(&mut client, &mut world, &json!({"name": "Ada"}));
    }
}

#[test]
fn errors_behind_a_subscription_and_a_connection_change_nothing() {
    let hooks = [Hook::AfterConnect, Hook::AfterSubscribe, Hook::AfterUnsubscribe];
    let chain = hooks
        .into_iter()
        .fold(Chain::default(), |chain, hook| chain.on(hook, |_| Ok(Verdict::abort("too late"))));
    let mut world = world(chain);
    let mut client = open(&mut world, 0);
    let told = subscribe(&mut client, &mut world, "{}");
    assert_eq!(told["success"], true);
    let id = &told["data"]["subscription_id"];
    let text = format!(
        r#"{{"id":"u","type":"subscription","operation":"unsubscribe","subscription_id":{id}}}"#
    );
    assert_eq!(client.ask(&mut world, &text)[0]["success"], true);
}

#[test]
fn a_client_that_is_not_let_in_is_cut_off_without_a_word() {
    for answer in [Ok(Verdict::abort("no")), Err(Failure::TooSlow), Err(Failure::Unreachable)] {
        let chain = Chain::default().on(Hook::BeforeConnect, move |_| answer.clone());
        // Nor is it by the operator's word, where nobody knows who it is.
        let is_known = [true, false];
        for known in is_known {
            let mut world = world_of(clone_of(&chain), Manner::default(), |settings| {
                if !known {
                    settings.hooks.terms.fail_open = [Hook::BeforeConnect].into_iter().collect();
                    settings.access = nobody_unknown();
                }
            });
            let mut client = open(&mut world, 0);
            assert!(!world.is_open(client.wire));
            assert!(client.told(&mut world).is_empty());
        }
    }
}

/// Nobody comes in without being known.
fn nobody_unknown() -> Arc<Access> {
    let anonymous = Anonymous { access: AnonymousAccess::Nowhere, ..Anonymous::default() };
    Arc::new(Access { anonymous, ..Access::default() })
}

/// A chain that asks another.
fn clone_of(chain: &Chain) -> Chain {
    use fanwire::dialect::hook::Hooks;
    let answer = chain.answer(&Call::new(Hook::BeforeConnect), std::time::Duration::MAX);
    Chain::default().on(Hook::BeforeConnect, move |_| answer.clone())
}

#[test]
fn a_hook_says_who_a_client_is_where_no_token_does() {
    let chain = Chain::default()
        .on(Hook::BeforeConnect, |call| {
            let token = call.credentials.as_ref().and_then(|shown| shown.token.as_deref());
            if token != Some("of-ada") {
                return Ok(Verdict::abort("authentication required"));
            }
            let identity = Identity {
                user: Some("ada".into()),
                roles: vec!["reader".into()],
                subscribe: None,
                publish: Some(Vec::new()),
            };
            let metadata = Some(json(&json!({"tenant": "red"})));
            Ok(Verdict { identity, metadata, ..Verdict::default() })
        })
        .on(Hook::BeforeRead, |call| {
            assert_eq!(call.caller.user.as_deref(), Some("ada"));
            assert_eq!(*call.caller.roles, [Box::from("reader")]);
            assert_eq!(call.metadata.as_str(), r#"{"tenant":"red"}"#);
            Ok(Verdict::default())
        });
    let mut world = world_of(chain, Manner::default(), |settings| {
        // Nobody but the hook could let it in.
        settings.access = nobody_unknown();
    });
    let mut ada = Client::open(&mut world, 1, "?token=of-ada", 1 << 20);
    assert_eq!(read(&mut ada, &mut world, "{}")["success"], true);
    let made = create(&mut ada, &mut world, &json!({"name": "Ada"}));
    assert_eq!(made["error"]["code"], "create_error", "{made}");
    let other = Client::open(&mut world, 1, "?token=of-bob", 1 << 20);
    assert!(!world.is_open(other.wire));
}

#[test]
fn what_fails_is_no_yes_unless_the_operator_says_so() {
    for hook in [Hook::BeforeHandle, Hook::BeforeRead, Hook::AfterRead] {
        for is_open in [false, true] {
            let chain = Chain::default().on(hook, |_| Err(Failure::TooSlow));
            let mut world = world_of(chain, Manner::default(), |settings| {
                let open = is_open.then_some(hook);
                settings.hooks.terms.fail_open = open.into_iter().collect();
            });
            let mut client = open(&mut world, 0);
            let told = read(&mut client, &mut world, "{}");
            assert_eq!(told["success"], is_open, "{}", hook.name());
            if !is_open {
                let message =
                    format!("the hook {} failed: it was not answered in time", hook.name());
                assert_eq!(told["error"]["message"], message);
            }
        }
    }
    // Words that are not understood are no yes, either.
    for verdict in [
        filters(&json!([{"column": "team", "operator": "is", "value": "red"}])),
        filters(&json!({"people": []})),
        filters(&json!("team = red")),
        Verdict { options: Some(json(&json!({"limit": "5"}))), ..Verdict::default() },
        Verdict::default().with_mask(json(&json!(["id"]))),
    ] {
        let chain = Chain::default().on(Hook::BeforeRead, move |_| Ok(verdict.clone()));
        let mut world = world(chain);
        let mut client = open(&mut world, 0);
        let told = read(&mut client, &mut world, "{}");
        let message = "the hook before_read failed: its answer is not understood";
        assert_eq!(told["error"]["message"], message, "{told}");
    }
}

#[test]
fn options_and_data_are_as_the_last_hook_says() {
    let chain = Chain::default()
        .on(Hook::BeforeCreate, |call| {
            let mut data = call.data.value();
            data["team"] = json!("red");
            Ok(Verdict { data: Some(json(&data)), ..Verdict::default() })
        })
        .on(Hook::BeforeRead, |call| {
            assert_eq!(call.options.value(), json!({"limit": 5}));
            let options = json!({"limit": 1, "columns": ["id"], "filters": red()});
            Ok(Verdict { options: Some(json(&options)), ..Verdict::default() })
        });
    let mut world = world(chain);
    let mut client = open(&mut world, 0);
    for team in ["red", "blue"] {
        let made = create(&mut client, &mut world, &json!({"name": team, "team": team}));
        assert_eq!(made["data"]["team"], "red");
    }
    let told = read(&mut client, &mut world, r#"{"limit":5}"#);
    assert_eq!((&told["data"], &told["metadata"]["total"]), (&json!([{"id": 1}]), &json!(2)));
}

//= resolvespec#3A.7
//# Two leaks: a notification carries the raw
//# record, **not** the Result an after-hook replaced (column masking does not reach subscribers), and a subscription
//# stores the message's Options, so filters a before_subscribe hook adds to a *new* Options object are lost
#[test]
fn filters_that_a_hook_adds_to_new_options_hold_of_a_subscription() {
    for is_unfiltered in [false, true] {
        let chain = Chain::default().on(Hook::BeforeSubscribe, |_| {
            let options = json!({"filters": red()});
            Ok(Verdict { options: Some(json(&options)), ..Verdict::default() })
        });
        let mut world = world_of(chain, Manner::default(), |settings| {
            if is_unfiltered {
                scene::set(settings, "legacy_unfiltered", "on");
            }
        });
        let (mut writer, mut hearer) = (open(&mut world, 0), open(&mut world, 1));
        assert_eq!(subscribe(&mut hearer, &mut world, "{}")["success"], true);
        create(&mut writer, &mut world, &json!({"name": "b", "team": "blue"}));
        create(&mut writer, &mut world, &json!({"name": "r", "team": "red"}));
        for id in ["1", "2"] {
            let members = format!(r#""operation":"delete","entity":"users","record_id":"{id}""#);
            writer.request(&mut world, &members);
        }
        let told = hearer.told(&mut world);
        let heard: Vec<_> = told.iter().map(|told| &told["data"]["id"]).collect();
        assert_eq!(heard, [&json!(2), &json!("2")], "of the other row not even that it is gone");
    }
}

#[test]
fn what_is_masked_reaches_nobody_by_any_way() {
    let chain = Chain::default().on(Hook::BeforeConnect, |call| {
        let token = call.credentials.as_ref().and_then(|shown| shown.token.as_deref());
        Ok(match token {
            Some("root") => Verdict::default(),
            _ => Verdict::default().with_mask(json(&json!({"users": ["age"]}))),
        })
    });
    let mut world = world(chain);
    let mut root = Client::open(&mut world, 0, "?token=root", 1 << 20);
    let mut masked = open(&mut world, 1);
    assert_eq!(subscribe(&mut masked, &mut world, "{}")["success"], true);
    let made = create(&mut root, &mut world, &json!({"name": "Ada", "age": 36}));
    assert_eq!(made["data"]["age"], 36);
    let heard = masked.told(&mut world);
    assert_eq!(heard[0]["data"], json!({"id": 1, "name": "Ada", "team": null, "row_number": null}));
    assert_eq!(read(&mut masked, &mut world, "{}")["data"][0].get("age"), None);
    let posts = r#""operation":"create","entity":"posts","data":{"user_id":1,"title":"t"}"#;
    root.request(&mut world, posts);
    let members =
        r#""operation":"read","entity":"posts","options":{"preload":[{"relation":"user"}]}"#;
    let told = masked.request(&mut world, members);
    assert_eq!(told["data"][0]["user"].get("age"), None, "{told}");
    for options in [
        r#"{"columns":["age"]}"#,
        r#"{"sort":[{"column":"age"}]}"#,
        r#"{"filters":[{"column":"age","operator":"gt","value":30}]}"#,
        r#"{"fetch_row_number":"1","sort":[{"column":"age"}]}"#,
    ] {
        let told = read(&mut masked, &mut world, options);
        assert_eq!(told["error"]["code"], "read_error", "{options}: {told}");
    }
    let filtered = r#"{"filters":[{"column":"age","operator":"gt","value":30}]}"#;
    let told = subscribe(&mut masked, &mut world, filtered);
    assert_eq!(told["error"]["code"], "invalid_subscription");
    let update =
        r#""operation":"update","entity":"users","record_id":"1","data":{"age":1,"name":"A"}"#;
    assert_eq!(masked.request(&mut world, update)["data"].get("age"), None);
    let meta = masked.request(&mut world, r#""operation":"meta","entity":"users""#);
    assert_eq!(meta["data"]["columns"], json!(["id", "name", "team", "row_number"]));
    assert_eq!(read(&mut root, &mut world, "{}")["data"][0]["age"], 36, "nor is it written");
}

#[test]
fn results_are_replaced_where_that_is_set_and_somebody_says_what_subscribers_hear() {
    let replace = |call: &Call| -> Answered {
        let mut rows = call.result.value();
        for row in rows.as_array_mut().into_iter().flatten() {
            row["name"] = json!("***");
        }
        Ok(Verdict { result: Some(json(&rows)), ..Verdict::default() })
    };
    let mut world = world(Chain::default().on(Hook::AfterRead, replace));
    let mut client = open(&mut world, 0);
    let told = read(&mut client, &mut world, "{}");
    let message = "the hook after_read failed: its answer is not understood";
    assert_eq!(told["error"]["message"], message, "it is not set");
    for says_masks in [false, true] {
        let mut chain = Chain::default().on(Hook::AfterRead, replace);
        if says_masks {
            chain = chain.on(Hook::BeforeSubscribe, |_| {
                Ok(Verdict::default().with_mask(json(&json!(["name"]))))
            });
        }
        let mut world = world_of(chain, Manner::default(), |settings| {
            settings.hooks.terms.replaces_results = true;
        });
        let mut client = open(&mut world, 0);
        create(&mut client, &mut world, &json!({"name": "Ada"}));
        assert_eq!(read(&mut client, &mut world, "{}")["data"][0]["name"], "***");
        let told = subscribe(&mut client, &mut world, "{}");
        assert_eq!(told["success"], says_masks, "{told}");
        if says_masks {
            create(&mut client, &mut world, &json!({"name": "Bob"}));
            let heard = client.told(&mut world);
            assert!(heard.iter().all(|told| told["data"].get("name").is_none()), "{heard:?}");
        } else {
            assert_eq!(told["error"]["code"], "hook_error");
        }
    }
}

//= resolvespec#3B
//# The username/password must reach `before_connect`.
#[test]
fn over_mqtt_a_client_connects_with_its_first_request_and_shows_its_name_and_password() {
    let chain = Chain::default()
        .on(Hook::BeforeConnect, |call| {
            let shown = call.credentials.clone().unwrap();
            assert_eq!(shown.user.as_deref(), Some("x"));
            Ok(match shown.password.as_deref() {
                Some("right") => filters(&json!({"users": red()})),
                _ => Verdict::abort("authentication required"),
            })
        })
        .on(Hook::AfterConnect, |call| {
            assert!(call.credentials.is_none());
            Ok(Verdict::default())
        });
    let mut world = world(chain);
    let mut wrong = Client::publishing(&mut world, 0, ("v4", 1), "wrong", 1 << 20);
    for _ in 0..2 {
        let told = read(&mut wrong, &mut world, "{}");
        let error = json!({"code": "auth_error", "message": "operation aborted by hook: authentication required"});
        assert_eq!(told["error"], error, "it is asked again with each request");
    }
    let mut right = Client::publishing(&mut world, 1, ("v5", 0), "right", 1 << 20);
    let made = create(&mut right, &mut world, &json!({"name": "Ada", "team": "red"}));
    assert_eq!(made["success"], true, "{made}");
    let refused = create(&mut right, &mut world, &json!({"name": "Bob", "team": "blue"}));
    assert_eq!(refused["success"], false);
    assert_eq!(read(&mut right, &mut world, "{}")["metadata"]["total"], 1);
    assert_eq!(read(&mut wrong, &mut world, "{}")["error"]["code"], "auth_error");
}
