//! A server whose hooks are Rust functions: `cargo run --example hooks`, then `docs/examples/resolvespec/client.mjs`.
//!
//! Clients see and change rows of their team only, which stands in their token (`?token=red`), and whoever changes a row is written down.

#![expect(clippy::print_stderr, reason = "a program says what it does")]

use std::path::Path;
use std::sync::Arc;

use fanwire::config::Config;
use fanwire::dialect::Hook;
use fanwire::dialect::hook::Call;
use fanwire::dialect::hook::Chain;
use fanwire::dialect::hook::Identity;
use fanwire::dialect::hook::Json;
use fanwire::dialect::hook::Verdict;
use fanwire::server::Server;
use serde_json::json;

const CONFIG: &str = include_str!("resolvespec.toml");

/// Lets in whoever shows a token, and says what it sees for as long as it is connected.
fn before_connect(call: &Call) -> Verdict {
    let shown = call.credentials.as_ref().and_then(|shown| shown.token.as_deref());
    let Some(team) = shown.filter(|team| ["red", "blue"].contains(team)) else {
        return Verdict::abort("authentication required");
    };
    let own = json!([{"column": "team", "operator": "eq", "value": team}]);
    Verdict {
        identity: Identity { user: Some(team.into()), ..Identity::default() },
        metadata: Some(Json::from(&json!({"team": team}))),
        ..Verdict::default()
    }
    // Posts have no team: all of them are shown.
    .with_filters(Json::from(&json!({"public.users": own, "public.posts": []})))
}

/// A new user is of its writer's team, whatever the writer says.
fn before_create(call: &Call) -> Verdict {
    if call.subject.table != "public.users" {
        return Verdict::default();
    }
    let mut data = call.data.value();
    data["team"] = call.metadata.value()["team"].clone();
    Verdict { data: Some(Json::from(&data)), ..Verdict::default() }
}

fn main() {
    let hooks = Chain::default()
        .on(Hook::BeforeConnect, |call| Ok(before_connect(call)))
        .on(Hook::BeforeCreate, |call| Ok(before_create(call)))
        .on(Hook::AfterUpdate, |call| {
            eprintln!(
                "{:?} changed {}: {}",
                call.caller.user,
                call.subject.record_id,
                call.data.as_str()
            );
            Ok(Verdict::default())
        });
    let config =
        Config::parse(CONFIG, Path::new("resolvespec.toml")).expect("the example can be read");
    let running = Server::start_with_hooks(&config, Arc::new(hooks)).expect("the port is free");
    eprintln!("ResolveSpec at ws://{}/rs/ws?token=red", running.address());
    let _cut_off = running.join();
}
