//! What whoever answers a hook is told.
//!
//! Invariants: what clients have said stands in it as they wrote it; credentials stand in no log. Its JSON is what `docs/HOOKS.md` says.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::Hook;
use crate::dialect::json;

/// A text that is JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(Box<str>);

impl Default for Json {
    fn default() -> Self {
        Self("null".into())
    }
}

impl Json {
    /// The text, if it is JSON.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        serde_json::from_str::<&RawValue>(text).ok().map(Self::of)
    }

    /// A part of a JSON text.
    #[must_use]
    pub fn of(raw: &RawValue) -> Self {
        Self(raw.get().into())
    }

    /// The JSON's text, as it was said.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the value is an object.
    #[must_use]
    pub fn is_object(&self) -> bool {
        self.0.starts_with('{')
    }

    /// The JSON's value. Numbers become doubles where they do not fit 64 bits.
    #[must_use]
    pub fn value(&self) -> serde_json::Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl From<&serde_json::Value> for Json {
    fn from(value: &serde_json::Value) -> Self {
        Self(value.to_string().into())
    }
}

/// What a request is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// As the client said it; empty: it said none.
    pub schema: String,
    pub entity: String,
    /// The table's name, if there is such a table; else empty.
    pub table: String,
    /// Empty: of no row in particular.
    pub record_id: String,
    /// Of what is subscribed or unsubscribed, once it is known.
    pub subscription_id: String,
}

/// Who is on the connection, as far as the server knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// What operators call the connection.
    pub connection: String,
    pub address: Option<IpAddr>,
    /// Whose token it is, or whom a hook has named; `None`: anyone.
    pub user: Option<Arc<str>>,
    pub roles: Vec<Box<str>>,
}

/// What a client has shown of who it is, for `before_connect` alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The header field `Authorization`.
    pub authorization: Option<Box<str>>,
    /// The parameter `token` of the URL.
    pub token: Option<Box<str>>,
    /// Where clients show a name and a password, as in MQTT.
    pub user: Option<Box<str>>,
    pub password: Option<Box<str>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// One call of a hook.
#[derive(Clone, Debug)]
pub struct Call {
    pub hook: Hook,
    pub caller: Caller,
    /// What hooks have noted of this connection.
    pub metadata: Json,
    /// The request's own id.
    pub id: String,
    pub operation: String,
    pub subject: Subject,
    /// All that the client said; null where it has said nothing.
    pub message: Json,
    /// As the client said them, or as a hook before has changed them.
    pub options: Json,
    pub data: Json,
    /// What the client is about to be answered, for hooks that run behind.
    pub result: Json,
    pub credentials: Option<Box<Credentials>>,
}

impl Call {
    /// A call about nothing yet.
    #[must_use]
    pub fn new(hook: Hook) -> Self {
        Self {
            hook,
            caller: Caller::default(),
            metadata: Json("{}".into()),
            id: String::new(),
            operation: String::new(),
            subject: Subject::default(),
            message: Json::default(),
            options: Json::default(),
            data: Json::default(),
            result: Json::default(),
            credentials: None,
        }
    }

    /// Bytes that it keeps alive, about.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let texts = [&self.metadata, &self.message, &self.options, &self.data, &self.result];
        let Subject { schema, entity, table, record_id, subscription_id } = &self.subject;
        let words = [&self.id, &self.operation, schema, entity, table, record_id, subscription_id];
        size_of::<Self>()
            + texts.iter().map(|text| text.0.len()).sum::<usize>()
            + words.iter().map(|word| word.len()).sum::<usize>()
            + self.credentials.as_ref().map_or(0, |shown| shown.weight_bytes())
    }

    /// The call as JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.weight_bytes() + 256);
        out.push(b'{');
        put(&mut out, "hook", self.hook.name());
        put(&mut out, "connection", &self.caller.connection);
        let address = self.caller.address.map(|address| address.to_string());
        put_or_null(&mut out, "address", address.as_deref());
        put_or_null(&mut out, "user", self.caller.user.as_deref());
        name(&mut out, "roles");
        json::strings(self.caller.roles.iter().map(|role| &**role), &mut out);
        put(&mut out, "id", &self.id);
        put(&mut out, "operation", &self.operation);
        let Subject { schema, entity, table, record_id, subscription_id } = &self.subject;
        put(&mut out, "schema", schema);
        put(&mut out, "entity", entity);
        put(&mut out, "table", table);
        put(&mut out, "record_id", record_id);
        put(&mut out, "subscription_id", subscription_id);
        for (member, text) in [
            ("metadata", &self.metadata),
            ("message", &self.message),
            ("options", &self.options),
            ("data", &self.data),
            ("result", &self.result),
        ] {
            name(&mut out, member);
            out.extend_from_slice(text.0.as_bytes());
        }
        if let Some(shown) = &self.credentials {
            name(&mut out, "credentials");
            shown.put_json(&mut out);
        }
        out.push(b'}');
        out
    }
}

impl Credentials {
    fn members(&self) -> [(&'static str, Option<&str>); 4] {
        [
            ("authorization", self.authorization.as_deref()),
            ("token", self.token.as_deref()),
            ("user", self.user.as_deref()),
            ("password", self.password.as_deref()),
        ]
    }

    pub(in crate::dialect) fn weight_bytes(&self) -> usize {
        size_of::<Self>()
            + self.members().iter().map(|(_, text)| text.map_or(0, str::len)).sum::<usize>()
    }

    fn put_json(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (member, text) in self.members() {
            put_or_null(out, member, text);
        }
        out.push(b'}');
    }
}

fn name(out: &mut Vec<u8>, name: &str) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    json::string(name, out);
    out.push(b':');
}

fn put(out: &mut Vec<u8>, member: &str, text: &str) {
    name(out, member);
    json::string(text, out);
}

fn put_or_null(out: &mut Vec<u8>, member: &str, text: Option<&str>) {
    match text {
        Some(text) => put(out, member, text),
        None => {
            name(out, member);
            out.extend_from_slice(b"null");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_one_object_with_every_member() {
        let mut call = Call::new(Hook::BeforeConnect);
        call.caller.user = Some("a\"da".into());
        call.data = Json::new(r#"{"n": 9007199254740993}"#).unwrap();
        call.credentials =
            Some(Box::new(Credentials { token: Some("t".into()), ..Credentials::default() }));
        let text = String::from_utf8(call.to_json()).unwrap();
        assert_eq!(
            text,
            r#"{"hook":"before_connect","connection":"","address":null,"user":"a\"da","roles":[],"id":"","operation":"","schema":"","entity":"","table":"","record_id":"","subscription_id":"","metadata":{},"message":null,"options":null,"data":{"n": 9007199254740993},"result":null,"credentials":{"authorization":null,"token":"t","user":null,"password":null}}"#
        );
        assert!(call.weight_bytes() > text.len() / 2);
    }

    #[test]
    fn credentials_are_not_shown_to_whoever_looks() {
        let shown = Credentials {
            authorization: Some("Bearer secret".into()),
            password: Some("secret".into()),
            token: Some("secret".into()),
            user: Some("ada".into()),
        };
        let text = format!("{shown:?}");
        assert!(text.contains("ada") && !text.contains("secret"), "{text}");
    }
}
