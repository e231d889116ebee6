//! The forms in which the native protocol tells events, taken apart into the long one: written from `docs/dialects/native.md` alone.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::json;

/// By subscription, as its id stands in JSON, the topics that its events name by number.
pub type Agreed = BTreeMap<String, Vec<String>>;

/// The events of a message, each with the members of the long form; `None`: the message is about something else.
pub fn events(message: &Value, agreed: &mut Agreed) -> Option<Vec<Value>> {
    if message.is_array() {
        return Some(vec![unfolded(message, agreed)]);
    }
    match message["type"].as_str().unwrap_or_default() {
        "event" => Some(vec![message.clone()]),
        "batch" => {
            let events = message["events"].as_array().expect("a batch has events");
            assert!(!events.is_empty(), "a batch has at least one event");
            let long = |event: &Value| match event.is_array() {
                true => unfolded(event, agreed),
                false => event.clone(),
            };
            Some(events.iter().map(long).collect())
        }
        "columns" => Some(rows(message)),
        "subscribed" => {
            let id = message["id"].to_string();
            // Who counts what the server holds wants clients of the long form to hold nothing.
            match message["topics"].as_array() {
                Some(topics) => {
                    let names = topics.iter().map(|topic| topic.as_str().unwrap().to_owned());
                    agreed.insert(id, names.collect());
                }
                None => drop(agreed.remove(&id)),
            }
            None
        }
        _ => None,
    }
}

/// An event in the compact form.
fn unfolded(event: &Value, agreed: &Agreed) -> Value {
    let places = event.as_array().unwrap();
    let besides = places[0].as_object();
    let places = if besides.is_some() { &places[1..] } else { places };
    let [subs, topic, key, offset, time_us, payload] = places else { panic!("{event}") };
    let subs = if subs.is_array() { subs.clone() } else { json!([subs]) };
    let topic = match topic.as_u64() {
        Some(number) => json!(agreed[&subs[0].to_string()][usize::try_from(number).unwrap()]),
        None => topic.clone(),
    };
    let mut long = json!({"subs": subs, "topic": topic, "offset": offset, "time_us": time_us, "payload": payload});
    for (name, value) in besides.into_iter().flatten() {
        long[name] = value.clone();
    }
    let (op, key) = match key {
        Value::String(_) => (json!("upsert"), Some(key)),
        Value::Array(both) => (both[0].clone(), both.get(1)),
        other => {
            assert_eq!(*other, json!(0), "{event}");
            (json!("event"), None)
        }
    };
    long["op"] = op;
    if let Some(key) = key {
        long["key"] = key.clone();
    }
    long
}

/// The events of a message in columns.
fn rows(message: &Value) -> Vec<Value> {
    let count = usize::try_from(message["count"].as_u64().unwrap()).unwrap();
    let bare: Vec<u64> =
        serde_json::from_value(message.get("bare").cloned().unwrap_or_else(|| json!([]))).unwrap();
    let (mut offset, mut time_us, mut filled) = (0_i64, 0_i64, 0);
    let mut rows = Vec::new();
    for at in 0..count {
        let of = |name: &str| match &message[name] {
            Value::Array(all) => {
                assert_eq!(all.len(), count, "{name} in {message}");
                all[at].clone()
            }
            alone => alone.clone(),
        };
        offset += of("offset").as_i64().unwrap();
        time_us += of("time_us").as_i64().unwrap();
        let mut topic = of("topic");
        if let Some(place) = topic.as_u64() {
            topic = message["topics"][usize::try_from(place).unwrap()].clone();
        }
        let mut payload = json!({});
        if !bare.contains(&(at as u64)) {
            for (name, values) in message["payload"].as_object().into_iter().flatten() {
                let values = values.as_array().unwrap();
                assert_eq!(values.len(), count - bare.len(), "{name} in {message}");
                payload[name] = values[filled].clone();
            }
            filled += 1;
        }
        for (name, value) in of("rest").as_object().into_iter().flatten() {
            payload[name] = value.clone();
        }
        let mut long = json!({"topic": topic, "op": of("op"), "offset": offset, "time_us": time_us, "payload": payload});
        for name in ["subs", "key", "traceparent"] {
            let value = if name == "subs" { message["subs"].clone() } else { of(name) };
            if !value.is_null() && value != json!("") {
                long[name] = value;
            }
        }
        rows.push(long);
    }
    rows
}
