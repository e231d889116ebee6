//! What whoever answers hooks counts, as `GET /metrics` names it.

use super::board::Board;
use super::page::Page;

/// Appends it, if any hooks are asked.
pub(super) fn put_hooks(page: &mut Page, board: &Board) {
    let Some(hooks) = board.hooks() else { return };
    let name = "fanwire_hook_call_seconds";
    let help = "From a call of a hook until it was answered, or has failed, by hook.";
    page.head(name, "histogram", help);
    for hook in hooks.hooks() {
        page.histogram(name, &format!("hook=\"{}\"", hook.name()), &hooks.took(hook));
    }
    let name = "fanwire_hook_aborts_total";
    page.head(name, "counter", "Calls of a hook whose answer was a no, by hook.");
    for hook in hooks.hooks() {
        page.sample(name, &format!("{{hook=\"{}\"}}", hook.name()), hooks.aborts(hook));
    }
    let name = "fanwire_hook_failures_total";
    page.head(name, "counter", "Calls of a hook that have failed, by hook and by what was wrong.");
    for hook in hooks.hooks() {
        for (failure, count) in hooks.failures(hook) {
            let labels = format!("{{hook=\"{}\",failure=\"{failure}\"}}", hook.name());
            page.sample(name, &labels, count);
        }
    }
    let (calls, bytes) = hooks.waiting();
    for (name, help, value) in [
        ("fanwire_hook_calls_waiting", "Calls of hooks that wait for their turn.", calls),
        ("fanwire_hook_calls_waiting_bytes", "Bytes of calls of hooks that wait.", bytes),
    ] {
        page.head(name, "gauge", help);
        page.sample(name, "", value);
    }
}
