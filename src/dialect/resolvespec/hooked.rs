//! A request on its way through the hooks that stand before it, and what hooks know of a connection.
//!
//! Invariants: hooks before a request are asked one after the other, each on what those before it have changed; the request is carried out once all have said yes. What a hook has
//! narrowed stays narrowed.

use super::confined::Confined;
use super::confined::Seen;
use super::message::Message;
use super::message::NotParsed;
use super::message::Options;
use super::query;
use super::topics;
use crate::dialect::Hook;
use crate::dialect::HookTerms;
use crate::dialect::hook::Answered;
use crate::dialect::hook::Call;
use crate::dialect::hook::Credentials;
use crate::dialect::hook::Failure;
use crate::dialect::hook::Json;
use crate::dialect::hook::Subject;
use crate::dialect::hook::Verdict;
use crate::dialect::json;

/// What hooks have said of a connection, and what they have still to be told.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// `None`: nothing.
    pub(super) metadata: Option<Json>,
    /// What holds of all that its client asks.
    pub(super) confined: Confined,
    /// What its client has shown of who it is, until it is in.
    pub(super) shown: Option<Box<Credentials>>,
}

impl Noted {
    /// Bytes that it holds.
    pub(super) fn held_bytes(&self) -> usize {
        let metadata = self.metadata.as_ref().map_or(0, |json| json.as_str().len());
        let shown = self.shown.as_ref().map_or(0, |shown| shown.weight_bytes());
        size_of::<Self>() + metadata + shown + self.confined.held_bytes()
    }
}

/// A request, and what hooks have made of it so far.
#[derive(Debug)]
pub(super) struct Underway {
    text: Box<str>,
    /// Whether it was published.
    is_published: bool,
    /// The hook that was asked last.
    pub(super) asked: Option<Hook>,
    options: Option<Json>,
    data: Option<Json>,
    /// What holds of this request alone.
    pub(super) confined: Confined,
}

/// The hooks before a request and behind it; `None`: there are none but `before_handle`.
fn around(message: &Message<'_>) -> Option<(Hook, Hook)> {
    Some(match (&*message.kind, &*message.operation) {
        ("request", "read") => (Hook::BeforeRead, Hook::AfterRead),
        ("request", "create") => (Hook::BeforeCreate, Hook::AfterCreate),
        ("request", "update") => (Hook::BeforeUpdate, Hook::AfterUpdate),
        ("request", "delete") => (Hook::BeforeDelete, Hook::AfterDelete),
        ("subscription", "subscribe") => (Hook::BeforeSubscribe, Hook::AfterSubscribe),
        ("subscription", "unsubscribe") => (Hook::BeforeUnsubscribe, Hook::AfterUnsubscribe),
        _ => return None,
    })
}

/// The hook that is asked once a request is done.
pub(super) fn hook_behind(message: &Message<'_>, terms: HookTerms) -> Option<Hook> {
    around(message).map(|(_, behind)| behind).filter(|hook| terms.asked.contains(*hook))
}

impl Underway {
    pub(super) fn new(text: &str, is_published: bool) -> Self {
        Self {
            text: text.into(),
            is_published,
            asked: None,
            options: None,
            data: None,
            confined: Confined::default(),
        }
    }

    /// Bytes that it holds.
    pub(super) fn held_bytes(&self) -> usize {
        let said = [&self.options, &self.data].into_iter().flatten();
        let said: usize = said.map(|json| json.as_str().len()).sum();
        size_of::<Self>() + self.text.len() + said + self.confined.held_bytes()
    }

    /// The request as hooks have left it.
    pub(super) fn message(&self) -> Result<Message<'_>, NotParsed> {
        let mut message = Message::read(&self.text)?;
        if let Some(options) = &self.options {
            message.options = Options::read(options.as_str())?;
        }
        if let Some(data) = &self.data {
            message.data = serde_json::from_str(data.as_str()).ok();
        }
        if self.is_published {
            topics::adapt(&mut message);
        }
        Ok(message)
    }

    /// Whether a hook has said what is asked: then its conditions hold whatever the request is.
    pub(super) const fn is_held(&self) -> bool {
        self.options.is_some()
    }

    /// Whether a hook has said what is written.
    pub(super) const fn has_data(&self) -> bool {
        self.data.is_some()
    }

    /// The hook that is asked next.
    pub(super) fn next(&self, message: &Message<'_>, terms: HookTerms) -> Option<Hook> {
        let before = around(message).map(|(before, _)| before);
        let all = [Some(Hook::BeforeHandle), before];
        let mut all = all.into_iter().flatten().filter(|hook| terms.asked.contains(*hook));
        match self.asked {
            None => all.next(),
            Some(last) => {
                all.by_ref().find(|hook| *hook == last);
                all.next()
            }
        }
    }

    /// A call about this request; `confined`: what holds of it by now.
    pub(super) fn call(
        &self,
        hook: Hook,
        message: &Message<'_>,
        (confined, seen): (&Confined, Seen<'_>),
    ) -> Call {
        let found = query::find(seen.0, seen.1, (&message.schema, &message.entity));
        let masked = found.and_then(|(id, table)| {
            let masked = confined.of(seen.0, id).ok()?.masked;
            Some(masked.into_iter().map(|column| &*table.column(column).name).collect::<Vec<_>>())
        });
        let options = self.options.clone().or_else(|| message.options_text.map(Json::of));
        let data = match (&self.data, message.data) {
            (Some(data), _) => data.clone(),
            (None, Some(data)) => without(Json::of(data), &masked.unwrap_or_default()),
            (None, None) => Json::default(),
        };
        Call {
            id: message.id.clone(),
            operation: message.operation.clone(),
            subject: Subject {
                schema: message.schema.clone(),
                entity: message.entity.clone(),
                table: found
                    .map(|(_, table)| seen.1.table_name(table).into_owned())
                    .unwrap_or_default(),
                record_id: message.record_id.clone(),
                subscription_id: message.subscription_id.clone(),
            },
            message: Json::new(&self.text).unwrap_or_default(),
            options: options.unwrap_or_default(),
            data,
            ..Call::new(hook)
        }
    }

    /// Takes in what a hook says of this request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn take(&mut self, verdict: &Verdict, seen: Seen<'_>) -> Result<(), String> {
        if let Some(options) = &verdict.options {
            Options::read(options.as_str())
                .map_err(|_| "`options` are none that a client could say".to_owned())?;
            self.options = Some(options.clone());
        }
        if let Some(data) = &verdict.data {
            self.data = Some(data.clone());
        }
        self.confined.take(verdict, seen)
    }
}

/// What was said to be written, but for columns that are not there.
fn without(data: Json, masked: &[&str]) -> Json {
    let Ok(members) = json::members(data.as_str()) else { return data };
    if !members.iter().any(|(name, _)| masked.contains(&name.as_str())) {
        return data;
    }
    let mut out = vec![b'{'];
    for (name, value) in members.iter().filter(|(name, _)| !masked.contains(&name.as_str())) {
        if out.len() > 1 {
            out.push(b',');
        }
        json::string(name, &mut out);
        out.push(b':');
        out.extend_from_slice(value.get().as_bytes());
    }
    out.push(b'}');
    Json::new(&String::from_utf8_lossy(&out)).unwrap_or_default()
}

/// What is answered, where a failure is taken for a yes if the operator has said so of this hook.
pub(super) fn verdict_of(
    hook: Hook,
    answered: &Answered,
    terms: HookTerms,
) -> Result<Verdict, Failure> {
    match answered {
        Err(_) if terms.fail_open.contains(hook) => Ok(Verdict::default()),
        answered => answered.clone(),
    }
}

//= resolvespec#3A.3
//# | `unauthorized` | hook's AbortMessage, e.g. `authentication required` | `before_handle` aborted |
//# | `hook_error` | hook error text, or `operation aborted by hook: M` when it set Abort | any other before/after hook |
/// The code and the words for a request that a hook has stopped, or that goes on for want of no answer.
pub(super) fn refusal(hook: Hook, why: &Stopped<'_>) -> (&'static str, String) {
    let code = if hook == Hook::BeforeHandle { "unauthorized" } else { "hook_error" };
    let message = match why {
        Stopped::Aborted(message) if hook == Hook::BeforeHandle => (*message).to_owned(),
        Stopped::Aborted(message) => format!("operation aborted by hook: {message}"),
        Stopped::Failed(failure) => format!("the hook {} failed: {failure}", hook.name()),
    };
    (code, message)
}

/// Why a request does not go on.
pub(super) enum Stopped<'a> {
    Aborted(&'a str),
    Failed(&'a Failure),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::hook::HookSet;

    fn terms(hooks: &[Hook]) -> HookTerms {
        let asked: HookSet = hooks.iter().copied().collect();
        HookTerms { asked, ..HookTerms::default() }
    }

    #[test]
    fn hooks_before_a_request_are_asked_in_turn() {
        let text = r#"{"id":"1","type":"request","operation":"read","entity":"users"}"#;
        let mut underway = Underway::new(text, false);
        let all = terms(&[Hook::BeforeHandle, Hook::BeforeRead, Hook::AfterRead]);
        let mut asked = Vec::new();
        while let Some(hook) = underway.next(&underway.message().unwrap(), all) {
            asked.push(hook);
            underway.asked = Some(hook);
        }
        assert_eq!(asked, [Hook::BeforeHandle, Hook::BeforeRead]);
        let message = underway.message().unwrap();
        assert_eq!(hook_behind(&message, all), Some(Hook::AfterRead));
        assert_eq!(hook_behind(&message, terms(&[Hook::AfterCreate])), None);
        assert_eq!(Underway::new(text, false).next(&message, terms(&[Hook::BeforeCreate])), None);
        assert_eq!(
            Underway::new(text, false).next(&message, terms(&[Hook::BeforeRead])),
            Some(Hook::BeforeRead)
        );
    }

    #[test]
    fn what_is_masked_is_not_shown_as_data() {
        let data = Json::new(r#"{"a":1.50,"b":"x","c":[]}"#).unwrap();
        assert_eq!(without(data.clone(), &[]).as_str(), data.as_str());
        assert_eq!(without(data, &["b", "d"]).as_str(), r#"{"a":1.50,"c":[]}"#);
    }
}
