//! The routes of `docs/ROUTES.md`: the page is what the tables have, and each row is true of a server, whatever method it is asked with.
//!
//! `UPDATE_ROUTES=1 cargo test --test dialects routes` writes the page.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use fanwire::shard::routes_page;

use crate::support::http::Http;
use crate::support::link::Core;
use crate::support::link::Host;

/// A route as the page has it.
struct Route {
    /// With something in the place of what stands in braces.
    path: String,
    methods: Vec<String>,
    is_socket: bool,
    is_stream: bool,
    /// Of a call: the media types that its body may be of.
    types: Vec<String>,
}

fn page_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/ROUTES.md")
}

fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    for line in routes_page().lines().filter(|line| line.starts_with("| `/")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let methods: Vec<String> = cells[2].split(", ").map(str::to_owned).collect();
        for path in cells[1].split('`').filter(|text| text.starts_with('/')) {
            routes.push(Route {
                path: path.replace("{topic}", "t").replace("{type}", "redoc"),
                methods: methods.clone(),
                is_socket: cells[3] == "a WebSocket",
                is_stream: cells[3] == "an event stream",
                types: types_of(cells[3]),
            });
        }
    }
    assert!(routes.len() > 30, "the page was not understood");
    routes
}

/// The media types in a cell.
fn types_of(cell: &str) -> Vec<String> {
    let quoted = cell.split('`').filter(|text| text.starts_with("application/"));
    quoted.map(str::to_owned).collect()
}

/// What `Allow` must say at each path.
fn allowed() -> BTreeMap<String, Vec<String>> {
    let mut allowed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for route in routes() {
        let methods = allowed.entry(route.path).or_default();
        methods.extend(route.methods);
    }
    for methods in allowed.values_mut() {
        methods.push("OPTIONS".to_owned());
        methods.sort_unstable();
        methods.dedup();
    }
    allowed
}

/// An answer: its status, its fields, and its body as long as it says.
#[derive(Debug)]
struct Answer {
    status: u16,
    fields: BTreeMap<String, String>,
    body: String,
}

fn answer(http: &mut Http) -> Answer {
    let status = http.line().expect("an answer");
    let status = status.split(' ').nth(1).unwrap().parse().unwrap();
    let mut fields = BTreeMap::new();
    while let Some(line) = http.line().filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap();
        let before = fields.insert(name.to_ascii_lowercase(), value.to_owned());
        assert!(before.is_none() || name == "connection", "{name} twice");
    }
    Answer { status, fields, body: String::new() }
}

fn with_body(http: &mut Http) -> Answer {
    let mut answer = answer(http);
    let length = answer.fields.get("content-length").map_or(0, |length| length.parse().unwrap());
    while answer.body.len() < length {
        answer.body += &http.line().unwrap();
        if answer.body.len() < length {
            answer.body.push('\n');
        }
    }
    answer
}

fn ask(host: &mut Core, method: &str, path: &str, fields: &str) -> (Http, Answer) {
    let mut http = Http::new(host.connect());
    http.send(format!("{method} {path} HTTP/1.1\r\nHost: test\r\n{fields}\r\n"));
    let answer = answer(&mut http);
    (http, answer)
}

#[test]
fn the_page_is_what_the_tables_have() {
    let page = routes_page();
    if std::env::var_os("UPDATE_ROUTES").is_some() {
        fs::write(page_path(), &page).unwrap();
    }
    let written = fs::read_to_string(page_path()).unwrap();
    assert!(
        written == page,
        "docs/ROUTES.md: run UPDATE_ROUTES=1 cargo test --test dialects routes"
    );
}

#[test]
fn allow_is_true_at_every_path() {
    let mut host = Core::new(&[("echo".to_owned(), "true".to_owned())]);
    for (path, allowed) in allowed() {
        for method in
            ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"]
        {
            let (_, answer) = ask(&mut host, method, &path, "Content-Length: 0\r\n");
            let is_taken = answer.status != 405;
            assert_eq!(is_taken, allowed.iter().any(|one| one == method), "{method} {path}");
            if matches!(answer.status, 405) || method == "OPTIONS" {
                let mut allow: Vec<&str> = answer.fields["allow"].split(", ").collect();
                allow.sort_unstable();
                assert_eq!(allow, allowed, "{method} {path}");
            }
            assert!(!matches!(answer.status, 404 | 501), "{method} {path}: {answer:?}");
        }
        let (_, answer) = ask(&mut host, "BREW", &path, "");
        assert_eq!(answer.status, 501, "{path}");
        let (_, answer) = ask(&mut host, "GET", &format!("{path}%00"), "");
        assert_eq!(answer.status, 400, "{path}");
    }
    for path in ["/nowhere", "*", "/v1", "/v1/ws/", "/V1/WS", "/v1/publish", "/metrics/x"] {
        for method in ["GET", "HEAD", "POST", "OPTIONS", "DELETE"] {
            let (_, answer) = ask(&mut host, method, path, "");
            assert_eq!(answer.status, 404, "{method} {path}");
        }
    }
}

#[test]
fn a_socket_that_is_not_upgraded_is_426_alike() {
    let mut host = Core::new(&[("echo".to_owned(), "true".to_owned())]);
    let routes = routes();
    let pages: Vec<&str> =
        routes.iter().filter(|route| !route.is_socket).map(|route| route.path.as_str()).collect();
    let mut seen = Vec::new();
    for route in routes.iter().filter(|route| route.is_socket) {
        if pages.contains(&route.path.as_str()) {
            continue;
        }
        for query in ["", "?topic=a", "?token=x", "?events=a", "?x"] {
            let (mut http, answer) = ask(&mut host, "GET", &format!("{}{query}", route.path), "");
            assert_eq!(answer.status, 426, "{}{query}", route.path);
            assert_eq!(answer.fields["upgrade"], "websocket");
            seen.push((answer.fields, http.line()));
        }
    }
    assert!(seen.len() > 30);
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[test]
fn head_has_the_head_of_get_and_no_body_and_what_is_pipelined_behind_it_is_heard() {
    let mut host = Core::new(&[("echo".to_owned(), "true".to_owned())]);
    let mut paths: Vec<(String, bool)> =
        routes().into_iter().map(|route| (route.path, route.is_stream)).collect();
    paths.extend([
        ("/nowhere".to_owned(), false),
        ("/v1/sse?topic=a".to_owned(), true),
        ("/v1/sse?topic=**/a".to_owned(), false),
    ]);
    for (path, is_stream) in paths {
        let mut http = Http::new(host.connect());
        http.send(format!(
            "HEAD {path} HTTP/1.1\r\nHost: test\r\n\r\nOPTIONS /healthz HTTP/1.1\r\nHost: test\r\n\r\n"
        ));
        let head = answer(&mut http);
        let next = answer(&mut http);
        assert_eq!((next.status, next.fields.contains_key("allow")), (204, true), "{path}");
        let mut http = Http::new(host.connect());
        http.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        if head.status == 405 {
            continue;
        }
        if is_stream && head.status == 200 {
            let get = answer(&mut http);
            assert_eq!(head.fields["content-type"], get.fields["content-type"]);
            assert_eq!(get.status, 200, "{path}");
            continue;
        }
        let get = with_body(&mut http);
        assert_eq!((get.status, &get.fields), (head.status, &head.fields), "{path}");
        assert_eq!(get.body.len().to_string(), get.fields["content-length"], "{path}");
    }
}

#[test]
fn a_body_of_another_type_or_an_encoded_one_is_415_alike_wherever_types_are_named() {
    let secret = "0123456789abcdef0123456789abcdef";
    let file = std::env::temp_dir().join(format!("fanwire-routes-{}", std::process::id()));
    fs::write(&file, secret).unwrap();
    let file_of = ("auth.admin_secret_file".to_owned(), file.to_str().unwrap().to_owned());
    let mut host = Core::new(&[file_of]);
    let mut ask = |path: &str, fields: &str| {
        let fields = format!("Authorization: Bearer {secret}\r\nContent-Length: 2\r\n{fields}");
        let mut http = Http::new(host.connect());
        http.send(format!("POST {path} HTTP/1.1\r\nHost: test\r\n{fields}\r\n{{}}"));
        with_body(&mut http)
    };
    let calls = || routes().into_iter().filter(|route| route.methods == ["POST"]);
    let named: Vec<Route> = calls().filter(|route| !route.types.is_empty()).collect();
    assert_eq!(
        (calls().count(), named.len()),
        (13, 11),
        "of a cast and a secret anything is looked at"
    );
    for Route { path, types, .. } in named {
        for said in ["application/json", "application/x-ndjson", "text/plain", "image/png", ""] {
            let answer = ask(&path, &format!("Content-Type: {said}\r\n"));
            let is_json = said.is_empty() && types[0] == "application/json";
            let is_taken = types.iter().any(|one| one == said) || is_json;
            assert_eq!(answer.status != 415, is_taken, "{path} {said}: {answer:?}");
            if !is_taken {
                assert_eq!(answer.fields["accept-post"], types.join(", "), "{path} {said}");
                let said = if said.is_empty() { "this one says nothing" } else { said };
                assert!(answer.body.contains(said), "{path}: {answer:?}");
            }
        }
        let fields = format!("Content-Type: {}\r\nContent-Encoding: gzip\r\n", types[0]);
        let answer = ask(&path, &fields);
        assert_eq!(
            (answer.status, &*answer.fields["accept-encoding"]),
            (415, "identity"),
            "{path}"
        );
    }
    fs::remove_file(file).unwrap();
}

const PAGE: &str = "Origin: https://app.example.com\r\n";

#[test]
fn a_page_of_an_allowed_origin_may_read_every_answer_and_another_none() {
    let origins = ("auth.origins".to_owned(), "https://app.example.com".to_owned());
    let mut host = Core::new(&[origins, ("echo".to_owned(), "true".to_owned())]);
    let of = |answer: &Answer| answer.fields.get("access-control-allow-origin").cloned();
    for (path, allowed) in allowed() {
        for method in ["GET", "HEAD", "POST", "DELETE", "BREW", "OPTIONS"] {
            let (_, answer) = ask(&mut host, method, &path, PAGE);
            assert_eq!(of(&answer).as_deref(), Some("https://app.example.com"), "{method} {path}");
            assert!(answer.fields["access-control-expose-headers"].contains("Retry-After"));
            let (_, answer) = ask(&mut host, method, &path, "Origin: https://evil.net\r\n");
            assert_eq!(of(&answer), None, "{method} {path}");
            let (_, answer) = ask(&mut host, method, &path, "");
            assert_eq!(of(&answer), None, "{method} {path}");
        }
        for method in ["GET", "POST"] {
            let wish = format!("Access-Control-Request-Method: {method}\r\n");
            let (_, answer) = ask(&mut host, "OPTIONS", &path, &format!("{PAGE}{wish}"));
            assert_eq!(answer.status, 204, "{path}");
            let may_send = answer.fields.get("access-control-allow-methods");
            let is_there = allowed.iter().any(|one| one == method);
            assert_eq!(may_send.is_some(), is_there, "{method} {path}");
            if is_there {
                let fields = answer.fields["access-control-allow-headers"].to_ascii_lowercase();
                for field in ["authorization", "content-type", "fanwire-key", "last-event-id"] {
                    assert!(fields.split(", ").any(|one| one == field), "{field}");
                }
                assert!(answer.fields.contains_key("access-control-max-age"));
            }
            let other = format!("Origin: null\r\n{wish}");
            let (_, answer) = ask(&mut host, "OPTIONS", &path, &other);
            assert_eq!((answer.status, of(&answer)), (403, None), "{path}");
        }
    }
}

#[test]
fn a_page_may_publish_and_cast_and_is_told_what_was_wrong() {
    let origins = ("auth.origins".to_owned(), "https://app.example.com".to_owned());
    let mut host = Core::new(&[origins]);
    for (target, body, status) in [
        ("/v1/publish/a", "{}", 200),
        ("/v1/publish/a", "{", 400),
        ("/v1/publish/a", "", 400),
        ("/~websocket@1.0/cast", r#"{"topic":"a"}"#, 200),
        ("/pv/events", r#"{"event_type":"Custom","data":{}}"#, 200),
        ("/pv/events", "{", 400),
        ("/peat.sidecar.v1.PeatSidecar/Subscribe", "{", 415),
    ] {
        let length = format!("Content-Length: {}\r\n", body.len());
        let mut http = Http::new(host.connect());
        http.send(format!("POST {target} HTTP/1.1\r\nHost: test\r\n{PAGE}{length}\r\n{body}"));
        let answer = answer(&mut http);
        assert_eq!(answer.status, status, "{target} {body}");
        let origin = &answer.fields["access-control-allow-origin"];
        assert_eq!(origin, "https://app.example.com", "{target} {body}");
    }
    // A chunk that is none comes after the head was taken: the page is still known.
    let mut http = Http::new(host.connect());
    http.send(format!(
        "POST /v1/publish/a HTTP/1.1\r\nHost: test\r\n{PAGE}Transfer-Encoding: chunked\r\n\r\nzz\r\n"
    ));
    let answer = answer(&mut http);
    assert_eq!(answer.status, 400);
    assert_eq!(answer.fields["access-control-allow-origin"], "https://app.example.com");
}
