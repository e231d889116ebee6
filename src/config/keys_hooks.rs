//! The keys about hooks over HTTP.

use super::takes::Key;
use super::takes::Takes;
use crate::dialect::Hook;
use crate::limits::HOOK_THREADS_MAX;
use crate::limits::HOOK_TIMEOUT_MS_MAX;

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "hooks.secret_file",
        takes: Takes::Text { field: |config| &mut config.hooks.secret_file },
        default: "\"\"",
        unit: "",
        doc: "A file with the secret, of 32 bytes or more, that calls of hooks are signed with ([HOOKS](HOOKS.md)). Empty: they are not signed.",
    },
    Key {
        name: "hooks.ca_file",
        takes: Takes::Text { field: |config| &mut config.hooks.ca_file },
        default: "\"\"",
        unit: "",
        doc: "A file with the certificate authorities (PEM) that vouch for servers of hooks. Empty: those of this machine.",
    },
    Key {
        name: "hooks.timeout_ms",
        takes: Takes::Number {
            min: 1,
            max: HOOK_TIMEOUT_MS_MAX,
            field: |config| &mut config.hooks.timeout_ms,
        },
        default: "1000",
        unit: "milliseconds",
        doc: "How long a call of a hook may take, the time that it waits for its turn included. What is not answered by then has failed.",
    },
    Key {
        name: "hooks.concurrency",
        takes: Takes::Number {
            min: 1,
            max: HOOK_THREADS_MAX,
            field: |config| &mut config.hooks.concurrency,
        },
        default: "16",
        unit: "calls",
        doc: "Calls that are answered at once, each on a connection of its own that is kept. The others wait for their turn.",
    },
    Key {
        name: "hooks.fail_open",
        takes: Takes::List(|config| &mut config.hooks.fail_open),
        default: "[]",
        unit: "",
        doc: "Hooks whose failure is taken for a yes that changes nothing: `[\"after_create\"]`. Of a hook that guards anything that opens what it guards.",
    },
    Key {
        name: "hooks.replaces_results",
        takes: Takes::Switch(|config| &mut config.hooks.replaces_results),
        default: "false",
        unit: "",
        doc: "Whether an after hook may replace what its client is answered. Notifications do not pass it, so that then nobody subscribes unless `before_connect` or `before_subscribe` says what is masked.",
    },
    Key {
        name: "hooks.before_handle",
        takes: Takes::Text { field: |config| config.hooks.url_mut(Hook::BeforeHandle) },
        default: "\"\"",
        unit: "",
        doc: "Before any request or subscription is looked at. Empty: nobody is asked.",
    },
    Key {
        name: "hooks.before_read",
        takes: Takes::Text { field: |config| config.hooks.url_mut(Hook::BeforeRead) },
        default: "\"\"",
        unit: "",
        doc: "Before rows are read. Empty: nobody is asked.",
    },
    Key {
        name: "hooks.after_read",
        takes: Takes::Text { field: |config| config.hooks.url_mut(Hook::AfterRead) },
        default: "\"\"",
        unit: "",
        doc: "After rows were read, before their client is answered. Empty: nobody is asked.",
    },
    Key {
        name: "hooks.before_create",
        takes: Takes::Text { field: |config| config.hooks.url_mut(Hook::BeforeCreate) },
        default: "\"\"",
        unit: "",
        doc: "Before a row is created. Empty: nobody is asked.",
    },
    Key {
        name: "hooks.after_create",
        takes: Takes::Text { field: |config| config.hooks.url_mut(Hook::AfterCreate) },
        default: "\"\"",
        unit: "",
        doc: "After a row was created, before its client is answered. Empty: nobody is asked.",
    },
    Key {
        name: "hooks.before_update",
        takes: Takes::Text { field: |config| config.hooks.url_mut(Hook::BeforeUpdate) },
        default: "\"\"",
        unit: "",
        doc: "Before a row is changed. Empty: nobody is asked.",
    },
    Key {
        name: "hooks.after_update",
        takes: Takes::Text { field: |config| config.hooks.url_mut(Hook::AfterUpdate) },
        default: "\"\"",
        unit: "",
        doc: "After a row was changed, before its client is answered. Empty: nobody is asked.",
    },
    Key {
        name: "hooks.before_delete",
        takes: Takes::Text { field: |config| config.hooks.url_mut(Hook::BeforeDelete) },
        default: "\"\"",
        unit: "",
        doc: "Before a row is deleted. Empty: nobody is asked.",
    },
    Key {
        name: "hooks.after_delete",
        takes: Takes::Text { field: |config| config.hooks.url_mut(Hook::AfterDelete) },
        default: "\"\"",
        unit: "",
        doc: "After a row was deleted, before its client is answered. Empty: nobody is asked.",
    },
    Key {
        name: "hooks.before_subscribe",
        takes: Takes::Text { field: |config| config.hooks.url_mut(Hook::BeforeSubscribe) },
        default: "\"\"",
        unit: "",
        doc: "Before a subscription begins. Empty: nobody is asked.",
    },
    Key {
        name: "hooks.after_subscribe",
        takes: Takes::Text { field: |config| config.hooks.url_mut(Hook::AfterSubscribe) },
        default: "\"\"",
        unit: "",
        doc: "After a subscription has begun and its client was answered. Empty: nobody is asked.",
    },
    Key {
        name: "hooks.before_unsubscribe",
        takes: Takes::Text { field: |config| config.hooks.url_mut(Hook::BeforeUnsubscribe) },
        default: "\"\"",
        unit: "",
        doc: "Before a subscription ends at its client's wish. Empty: nobody is asked.",
    },
    Key {
        name: "hooks.after_unsubscribe",
        takes: Takes::Text { field: |config| config.hooks.url_mut(Hook::AfterUnsubscribe) },
        default: "\"\"",
        unit: "",
        doc: "After that, once its client was answered. Empty: nobody is asked.",
    },
    Key {
        name: "hooks.before_connect",
        takes: Takes::Text { field: |config| config.hooks.url_mut(Hook::BeforeConnect) },
        default: "\"\"",
        unit: "",
        doc: "Before anything that a client says is heard; it may say who the client is, where no token does. Empty: nobody is asked.",
    },
    Key {
        name: "hooks.after_connect",
        takes: Takes::Text { field: |config| config.hooks.url_mut(Hook::AfterConnect) },
        default: "\"\"",
        unit: "",
        doc: "After a client was let in. Empty: nobody is asked.",
    },
    Key {
        name: "hooks.before_disconnect",
        takes: Takes::Text { field: |config| config.hooks.url_mut(Hook::BeforeDisconnect) },
        default: "\"\"",
        unit: "",
        doc: "When a connection has ended; nobody waits for the answer. Empty: nobody is asked.",
    },
    Key {
        name: "hooks.after_disconnect",
        takes: Takes::Text { field: |config| config.hooks.url_mut(Hook::AfterDisconnect) },
        default: "\"\"",
        unit: "",
        doc: "Right behind it. Empty: nobody is asked.",
    },
];
