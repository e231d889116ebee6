//! What is said, or asked next, now that something is answered.
//!
//! Invariants: a request is answered once, by what became of it or by the hook that stopped it; nobody is let in whom `before_connect` was to look at and did not.

use super::asked::AskedFor;
use super::asked::Behind;
use super::asked::Refused;
use super::asked::RequestAwaited;
use super::asked::table_message;
use super::hooked::Noted;
use super::hooked::Stopped;
use super::hooked::Underway;
use super::hooked::refusal;
use super::hooked::verdict_of;
use super::reply;
use super::talk::Conversation;
use super::talk::INVALID_SUBSCRIPTION;
use super::told;
use super::topics;
use crate::dialect::Answer;
use crate::dialect::Context;
use crate::dialect::Hook;
use crate::dialect::HookTerms;
use crate::dialect::RefusalCode;
use crate::dialect::Request;
use crate::dialect::Step;
use crate::dialect::Ticket;
use crate::dialect::hook::Answered;
use crate::dialect::hook::Call;
use crate::dialect::hook::Failure;
use crate::dialect::hook::HookSet;
use crate::dialect::hook::Json;
use crate::dialect::hook::Verdict;
use crate::limits::RESOLVESPEC_ANSWER_BYTES_MAX;
use crate::tables::ErrorCode;
use crate::tables::TableError;

/// What became of something.
enum Became {
    /// More is to come.
    Awaited,
    Done {
        data: String,
        metadata: Option<String>,
    },
    /// The whole answer says why not.
    Failed(Box<[u8]>),
}

impl Conversation {
    /// Goes on, now that something asked is answered.
    pub(super) fn answer(
        &mut self,
        answer: &Answer<'_>,
        context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) {
        let Some(asked) = &mut self.asked else { return };
        let is_of_hooks = matches!(
            answer,
            Answer::Hooked(_) | Answer::Identified { .. } | Answer::NotIdentified { .. }
        );
        if is_of_hooks {
            if let Some(asked) = self.asked.take() {
                self.hook_answered(asked, answer, context, steps);
            }
            return;
        }
        let became = asked.became(answer, context, self.base.is_some());
        if matches!(answer, Answer::Subscribed([Err(_)])) {
            self.forget_last();
        }
        match became {
            Became::Awaited => {}
            Became::Failed(said) => {
                self.asked = None;
                steps.push(Step::say(said));
            }
            Became::Done { data, metadata } => {
                if let Some(asked) = self.asked.take() {
                    self.done(asked, (data, metadata), context, steps);
                }
            }
        }
    }

    /// Something is done: its client is answered, or the hook behind it is asked first.
    fn done(
        &mut self,
        asked: RequestAwaited,
        (data, metadata): (String, Option<String>),
        context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) {
        let RequestAwaited { id, behind, .. } = asked;
        let say = |steps: &mut Vec<Step>, data: &str, metadata: Option<&str>| {
            steps.push(Step::say(reply::success(&id, data, metadata, context.now)));
        };
        let Some(call) = behind else { return say(steps, &data, metadata.as_deref()) };
        let result = Json::new(&data).unwrap_or_default();
        let call = Call { result, ..*call };
        let what = if call.hook.sees_a_result() {
            AskedFor::After(Box::new(Behind { hook: call.hook, data, metadata }))
        } else {
            //= resolvespec#3A.7
            //# after_subscribe /
            //# after_connect / after_unsubscribe errors are ignored.
            say(steps, &data, metadata.as_deref());
            AskedFor::Nothing
        };
        self.asked = Some(RequestAwaited { id, what, behind: None });
        steps.push(self.ask_hook(call));
    }

    fn hook_answered(
        &mut self,
        asked: RequestAwaited,
        answer: &Answer<'_>,
        context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) {
        let RequestAwaited { id, what, .. } = asked;
        match (what, answer) {
            (AskedFor::Before(underway), Answer::Hooked(answered)) => {
                self.before_answered((id, *underway), answered, context, steps);
            }
            (AskedFor::After(behind), Answer::Hooked(answered)) => {
                self.after_answered((id, *behind), answered, context, steps);
            }
            (AskedFor::Connect { first }, Answer::Hooked(answered)) => {
                self.connect_answered((id, first), answered, context, steps);
            }
            (AskedFor::Admit, Answer::Identified { .. }) => self.connected(None, context, steps),
            (AskedFor::Connected { first }, Answer::Hooked(answered)) => {
                if let Ok(verdict) = answered {
                    self.note(verdict, context, steps);
                }
                if let Some(first) = first {
                    self.heard(&first, context, steps);
                }
            }
            (AskedFor::Admit, Answer::NotIdentified { reason }) => {
                tracing::debug!(reason, "whom `before_connect` has named is not let in");
                steps.push(Step::Abort);
            }
            (AskedFor::Nothing, Answer::Hooked(answered)) => {
                if let Ok(verdict) = answered {
                    self.note(verdict, context, steps);
                }
            }
            _ => unreachable!("what is asked is answered by its kind"),
        }
    }

    /// A hook before a request has been answered: the next one is asked, or it is carried out, or stopped.
    fn before_answered(
        &mut self,
        (id, mut underway): (String, Underway),
        answered: &Answered,
        context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) {
        let Some(hook) = underway.asked else { return };
        let seen = (context.tables, context.view);
        let verdict = verdict_of(hook, answered, context.hooks);
        let taken = match &verdict {
            Ok(Verdict { abort: Some(message), .. }) => {
                Err(refusal(hook, &Stopped::Aborted(message)))
            }
            Ok(verdict) => underway
                .take(verdict, seen)
                .map_err(|why| refusal(hook, &not_understood(hook, &why))),
            Err(failure) => Err(refusal(hook, &Stopped::Failed(failure))),
        };
        match (taken, verdict) {
            (Ok(()), Ok(verdict)) => {
                self.note(&verdict, context, steps);
                self.go_on(underway, context, steps);
            }
            (Err((code, message)), _) => {
                steps.push(Step::say(reply::failure(&id, code, &message, context.now)));
            }
            (Ok(()), Err(_)) => unreachable!("nothing is taken of what has failed"),
        }
    }

    //= resolvespec#3A.7
    //# after_* error → `hook_error`
    //# although the write already happened
    fn after_answered(
        &mut self,
        (id, behind): (String, Behind),
        answered: &Answered,
        context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) {
        let Behind { hook, data, metadata } = behind;
        let said = match &verdict_of(hook, answered, context.hooks) {
            Ok(Verdict { abort: Some(message), .. }) => {
                Err(refusal(hook, &Stopped::Aborted(message)))
            }
            Ok(verdict) if verdict.result.is_some() && !context.hooks.replaces_results => {
                let why = "it has a `result`, and hooks.replaces_results is off";
                Err(refusal(hook, &not_understood(hook, why)))
            }
            Ok(verdict) => {
                self.note(verdict, context, steps);
                let result = verdict.result.as_ref().map_or(&*data, Json::as_str);
                Ok(reply::success(&id, result, metadata.as_deref(), context.now))
            }
            Err(failure) => Err(refusal(hook, &Stopped::Failed(failure))),
        };
        let said =
            said.unwrap_or_else(|(code, message)| reply::failure(&id, code, &message, context.now));
        // What was kept for it is filled by the first thing that is said.
        steps.insert(0, Step::say(said));
    }

    /// A client connects, which hooks are asked about.
    pub(super) fn connect(
        &mut self,
        (id, first): (&str, Option<Box<str>>),
        context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) {
        if !context.hooks.asked.contains(Hook::BeforeConnect) {
            return self.connected(first, context, steps);
        }
        let shown = self.noted.as_ref().and_then(|noted| noted.shown.clone());
        let call = Call { credentials: shown, ..Call::new(Hook::BeforeConnect) };
        let what = AskedFor::Connect { first };
        self.asked = Some(RequestAwaited { id: id.to_owned(), what, behind: None });
        steps.push(self.ask_hook(call));
    }

    fn connect_answered(
        &mut self,
        (id, first): (String, Option<Box<str>>),
        answered: &Answered,
        context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) {
        let hook = Hook::BeforeConnect;
        // Whom nobody knows, a hook that was not answered does not let in.
        let terms = match context.is_known {
            true => context.hooks,
            false => HookTerms { fail_open: HookSet::default(), ..context.hooks },
        };
        let noted = self.noted.get_or_insert_default();
        let taken = match verdict_of(hook, answered, terms) {
            Ok(Verdict { abort: Some(message), .. }) => {
                Err(refusal(hook, &Stopped::Aborted(&message)))
            }
            Ok(verdict) => noted
                .confined
                .take(&verdict, (context.tables, context.view))
                .map(|()| verdict)
                .map_err(|why| refusal(hook, &not_understood(hook, &why))),
            Err(failure) => Err(refusal(hook, &Stopped::Failed(&failure))),
        };
        let verdict = match taken {
            Ok(verdict) => verdict,
            //= resolvespec#3B
            //# connect hook failure → error response code `auth_error`, client unregistered
            Err((_, message)) if first.is_some() => {
                let failure = reply::failure(&id, "auth_error", &message, context.now);
                return steps.push(Step::say(failure));
            }
            //= resolvespec#3A.7
            //# before_connect error → socket closed at once
            //# without a close frame
            Err(_) => return steps.push(Step::Abort),
        };
        noted.metadata.clone_from(&verdict.metadata);
        noted.shown = None;
        if context.is_known {
            return self.connected(first, context, steps);
        }
        self.asked = Some(RequestAwaited { id, what: AskedFor::Admit, behind: None });
        let what = Request::Admit(Box::new(verdict.identity));
        steps.push(Step::Ask { ticket: Ticket::Only, what });
    }

    /// The client is in.
    fn connected(&mut self, first: Option<Box<str>>, context: &Context<'_>, steps: &mut Vec<Step>) {
        self.is_in = true;
        steps.extend(self.at_end(context));
        if context.hooks.asked.contains(Hook::AfterConnect) {
            let what = AskedFor::Connected { first };
            self.asked = Some(RequestAwaited { id: String::new(), what, behind: None });
            steps.push(self.ask_hook(Call::new(Hook::AfterConnect)));
        } else if let Some(first) = first {
            self.heard(&first, context, steps);
        }
    }

    /// Takes in what a verdict notes of the connection.
    fn note(&mut self, verdict: &Verdict, context: &Context<'_>, steps: &mut Vec<Step>) {
        if let Some(metadata) = &verdict.metadata {
            let noted: &mut Noted = self.noted.get_or_insert_default();
            noted.metadata = Some(metadata.clone());
            steps.extend(self.at_end(context));
        }
    }

    /// What is told when the connection ends, with what is noted of it by now.
    fn at_end(&self, context: &Context<'_>) -> Option<Step> {
        let asked = context.hooks.asked;
        let is_asked =
            asked.contains(Hook::BeforeDisconnect) || asked.contains(Hook::AfterDisconnect);
        let Step::Ask { what: Request::Hook(call), .. } =
            self.ask_hook(Call::new(Hook::BeforeDisconnect))
        else {
            return None;
        };
        is_asked.then_some(Step::AtEnd(call))
    }
}

/// What is wrong is the operator's affair: the client is told that something is.
fn not_understood(hook: Hook, why: &str) -> Stopped<'static> {
    tracing::warn!(hook = hook.name(), why, "a hook's answer is not understood");
    Stopped::Failed(&NOT_UNDERSTOOD)
}

static NOT_UNDERSTOOD: std::sync::LazyLock<Failure> =
    std::sync::LazyLock::new(|| Failure::BadAnswer("".into()));

impl RequestAwaited {
    /// What becomes of it with this answer.
    fn became(&mut self, answer: &Answer<'_>, context: &Context<'_>, is_published: bool) -> Became {
        let (id, tables, now) = (&self.id, context.tables, context.now);
        let fail =
            |code: &str, message: &str| Became::Failed(reply::failure(id, code, message, now));
        match (&mut self.what, answer) {
            (AskedFor::List { query, rows, count }, Answer::Rows(page)) => {
                told::put_rows(tables, query, page, rows);
                *count += page.rows.len() as u64;
                let Some(end) = page.end else { return Became::Awaited };
                if rows.len() > RESOLVESPEC_ANSWER_BYTES_MAX {
                    let message = format!(
                        "failed to read record: the answer has more than {RESOLVESPEC_ANSWER_BYTES_MAX} bytes; ask for fewer rows with `limit`"
                    );
                    return fail("read_error", &message);
                }
                let total = end.total.unwrap_or(*count);
                let metadata = format!(r#"{{"total":{total},"count":{count}}}"#);
                Became::Done { data: format!("[{rows}]"), metadata: Some(metadata) }
            }
            (AskedFor::One { query, row }, Answer::Rows(page)) => {
                if row.is_none() && !page.rows.is_empty() {
                    let mut text = String::new();
                    told::put_rows(tables, query, page, &mut text);
                    *row = Some(text);
                }
                let Some(end) = page.end else { return Became::Awaited };
                let Some(row) = row else {
                    let error = TableError::new(ErrorCode::NotFound, "");
                    return fail("read_error", &table_message("read", &error));
                };
                let (data, metadata) = told::one_read((row, end.number), tables.table(query.table));
                Became::Done { data, metadata: Some(metadata) }
            }
            (AskedFor::Meta { about }, Answer::Rows(page)) => match page.end {
                None => Became::Awaited,
                Some(_) => Became::Done { data: std::mem::take(about), metadata: None },
            },
            (AskedFor::Write { table, masked, .. }, Answer::Written(written)) => {
                let table = tables.table(*table);
                let data = told::written_data((tables, table), masked, written);
                Became::Done { data, metadata: None }
            }
            (AskedFor::Subscribe { about }, Answer::Subscribed([Ok(())])) => {
                Became::Done { data: std::mem::take(about), metadata: None }
            }
            (AskedFor::Subscribe { .. }, Answer::Subscribed([Err(refusal)])) => {
                let code = match refusal.code {
                    RefusalCode::Forbidden => "unauthorized",
                    _ => INVALID_SUBSCRIPTION,
                };
                fail(code, &refusal.message)
            }
            (what, Answer::TableFailed(error)) => {
                let verb = match what {
                    AskedFor::Write { operation, .. } => operation.name(),
                    _ => "read",
                };
                let Refused { code, message, .. } = Refused::of_table(verb, error);
                match is_published {
                    true => {
                        fail(topics::code(code, matches!(what, AskedFor::Meta { .. })), &message)
                    }
                    false => Became::Failed(reply::table_failure(id, code, (&message, error), now)),
                }
            }
            _ => unreachable!("what is asked is answered by its kind"),
        }
    }
}
