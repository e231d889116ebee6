//! The OpenAPI and the AsyncAPI document say what the tables of doors have, no more and no less, and what native transcripts say.
//!
//! The documents are written by hand; `docs/ROUTES.md`'s page is made from the tables, so this reads that.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use fanwire::shard::routes_page;
use serde_json::Value;

/// A row of the page of routes.
struct Row {
    section: String,
    /// On a protocol's own listener only.
    is_own: bool,
    paths: Vec<String>,
    method: String,
    kind: String,
}

fn rows() -> Vec<Row> {
    let mut section = String::new();
    let mut rows = Vec::new();
    for line in routes_page().lines() {
        if let Some(name) = line.strip_prefix("## ") {
            section = name.to_owned();
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let is_own = cells.get(1).is_some_and(|cell| cell.starts_with("on its own listener"));
        if !line.starts_with("| `/") && !is_own {
            continue;
        }
        let named = cells[1].split('`').filter(|text| text.starts_with('/'));
        let mut paths: Vec<String> = named.map(str::to_owned).collect();
        if paths.is_empty() {
            paths.push("any other".to_owned());
        }
        let method = cells[2].split(", ").next().unwrap().to_owned();
        rows.push(Row {
            section: section.clone(),
            is_own,
            paths,
            method,
            kind: cells[3].to_owned(),
        });
    }
    assert!(rows.len() > 30, "the page was not understood");
    rows
}

fn document(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/api").join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn words(value: &Value) -> BTreeSet<String> {
    let list = value.as_array().expect("a list");
    list.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// The paths of an item of the OpenAPI document: what stands for names of files is one path for each.
fn paths_of(path: &str, item: &Value) -> Vec<String> {
    let Some(before) = path.strip_suffix("{file}") else { return vec![path.to_owned()] };
    let files = words(&item["get"]["parameters"][0]["schema"]["enum"]);
    files.into_iter().map(|file| format!("{before}{file}")).collect()
}

#[test]
fn every_http_route_is_in_the_openapi_document_and_the_other_way() {
    let mut routed = BTreeSet::new();
    for row in rows().into_iter().filter(|row| row.kind != "a WebSocket") {
        for path in row.paths {
            routed.insert((row.method.clone(), path, row.is_own));
        }
    }
    let mut described = BTreeSet::new();
    for (path, item) in document("openapi.json")["paths"].as_object().unwrap() {
        for method in ["get", "post"].into_iter().filter(|method| item.get(method).is_some()) {
            let method = method.to_ascii_uppercase();
            for path in paths_of(path, item) {
                described.insert((method.clone(), path, false));
            }
            if let Some(own) = item["x-own-listener"].as_str() {
                described.insert((method, own.to_owned(), true));
            }
        }
    }
    let missing: Vec<_> = routed.difference(&described).collect();
    let invented: Vec<_> = described.difference(&routed).collect();
    assert!(missing.is_empty(), "not in docs/api/openapi.json: {missing:?}");
    assert!(invented.is_empty(), "docs/api/openapi.json has what is no route: {invented:?}");
}

#[test]
fn a_call_takes_the_types_that_the_openapi_document_says() {
    let openapi = document("openapi.json");
    for row in rows().into_iter().filter(|row| row.kind.contains("`application/")) {
        let types = row.kind.split('`').filter(|text| text.starts_with("application/"));
        let taken: BTreeSet<String> = types.map(str::to_owned).collect();
        for path in &row.paths {
            let mut body = &openapi["paths"][path]["post"]["requestBody"];
            if let Some(name) = body["$ref"].as_str() {
                body = &openapi["components"]["requestBodies"][name.rsplit('/').next().unwrap()];
            }
            let said = body["content"].as_object().unwrap_or_else(|| panic!("{path}: no body"));
            assert_eq!(said.keys().cloned().collect::<BTreeSet<_>>(), taken, "{path}");
        }
    }
}

#[test]
fn every_socket_and_stream_is_in_the_asyncapi_document_and_the_other_way() {
    let lasts = |kind: &str| kind == "a WebSocket" || kind == "an event stream";
    let mut routed = BTreeSet::new();
    for row in rows().into_iter().filter(|row| lasts(&row.kind)) {
        let section = if row.section == "The server itself" { "" } else { &row.section };
        for path in row.paths {
            routed.insert((section.to_owned(), row.kind.clone(), path));
        }
    }
    let asyncapi = document("asyncapi.json");
    let mut described = BTreeSet::new();
    for channel in asyncapi["channels"].as_object().unwrap().values() {
        let tag = channel["tags"][0]["name"].as_str().unwrap_or_default().to_owned();
        let server = channel["servers"][0]["$ref"].as_str().unwrap();
        let kind = match server {
            "#/servers/shared" => "a WebSocket",
            "#/servers/streams" => "an event stream",
            // Packets come without HTTP, by no door.
            _ => continue,
        };
        for path in [&channel["address"], &channel["x-own-listener"]] {
            let Some(path) = path.as_str() else { continue };
            described.insert((tag.clone(), kind.to_owned(), path.to_owned()));
        }
    }
    let missing: Vec<_> = routed.difference(&described).collect();
    let invented: Vec<_> = described.difference(&routed).collect();
    assert!(missing.is_empty(), "not in docs/api/asyncapi.json: {missing:?}");
    assert!(invented.is_empty(), "docs/api/asyncapi.json has what is no channel: {invented:?}");
}

/// The words that follow `"type":"` in lines that begin so, of all native transcripts.
fn said_types(begin: &str) -> BTreeSet<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/native");
    let mut types = BTreeSet::new();
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for line in text.lines().filter(|line| line.starts_with(begin)) {
            let word = line.split("\"type\":\"").nth(1).and_then(|rest| rest.split('"').next());
            types.extend(word.map(str::to_owned));
        }
    }
    types
}

#[test]
fn every_native_message_is_in_the_asyncapi_document_and_the_other_way() {
    let asyncapi = document("asyncapi.json");
    let named = |operation: &str| -> BTreeSet<String> {
        let messages = asyncapi["operations"][operation]["messages"].as_array().unwrap();
        let names = messages.iter().map(|message| message["$ref"].as_str().unwrap());
        names.map(|name| name.rsplit('/').next().unwrap().to_owned()).collect()
    };
    // Transcripts do not say the welcome: whoever runs them hears it before their first line.
    let mut told = said_types("< ");
    told.insert("welcome".to_owned());
    assert_eq!(named("tell"), told, "what the server says");
    let said = said_types("> ");
    let unsaid: Vec<_> = named("say").difference(&said).cloned().collect();
    assert!(unsaid.is_empty(), "nobody says {unsaid:?}");
    for name in named("say").iter().chain(&named("tell")) {
        let word = &asyncapi["components"]["messages"][name]["payload"]["properties"]["type"];
        assert_eq!(word["const"].as_str(), Some(name.as_str()), "{name}");
    }
}
