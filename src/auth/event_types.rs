//! Which roles may see which types of event, for dialects whose events have types.
//!
//! Invariant: a type without a rule is for everyone who is admitted; a type with one is for those with any of
//! its roles, and nobody else. Names are compared as they are, so a dialect resolves its aliases first.

use std::collections::HashMap;

use super::principal::Principal;

/// The rules, by type of event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTypes {
    rules: HashMap<Box<str>, Vec<Box<str>>>,
}

impl Default for EventTypes {
    /// The table of the Provisioning protocol.
    fn default() -> Self {
        //= provisioning#5.2
        //# Permission per event: `SystemHealthUpdate` → admin;
        //# `LogEntry` → admin or developer; everything else → any authenticated user
        Self::new([
            ("SystemHealthUpdate".into(), vec!["admin".into()]),
            ("LogEntry".into(), vec!["admin".into(), "developer".into()]),
        ])
    }
}

impl EventTypes {
    /// No rules: of a server that has no keys, so that nobody can have a role, and a type that needs one would be hidden from everyone.
    #[must_use]
    pub fn open() -> Self {
        Self { rules: HashMap::new() }
    }

    /// Rules: a type of event, and the roles of which one is needed. An empty list of roles: nobody.
    #[must_use]
    pub fn new(rules: impl IntoIterator<Item = (Box<str>, Vec<Box<str>>)>) -> Self {
        Self { rules: rules.into_iter().collect() }
    }

    /// The rules with another one for a type. `*` among its roles: there is none, and everyone admitted may see it.
    #[must_use]
    pub fn with(mut self, event_type: &str, roles: &[String]) -> Self {
        if roles.iter().any(|role| role == "*") {
            self.rules.remove(event_type);
        } else {
            let roles = roles.iter().map(|role| role.as_str().into()).collect();
            self.rules.insert(event_type.into(), roles);
        }
        self
    }

    /// The types that `principal` may not see.
    pub fn barred(&self, principal: &Principal) -> impl Iterator<Item = &str> {
        let types = self.rules.keys().map(|name| &**name);
        types.filter(|name| !self.allows(principal, name))
    }

    /// The roles of which one is needed to see events of this type; `None`: it needs none.
    #[must_use]
    pub fn roles_for(&self, event_type: &str) -> Option<&[Box<str>]> {
        self.rules.get(event_type).map(Vec::as_slice)
    }

    /// Whether `principal` may see events of this type.
    #[must_use]
    pub fn allows(&self, principal: &Principal, event_type: &str) -> bool {
        self.roles_for(event_type)
            .is_none_or(|roles| roles.iter().any(|role| principal.has_role(role)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::anonymous::Anonymous;
    use super::*;

    fn someone(roles: &[&str]) -> Principal {
        let mut principal = Anonymous::default().principal();
        principal.roles = roles.iter().map(|role| Box::from(*role)).collect();
        principal
    }

    #[test]
    fn the_provisioning_table_holds() {
        let types = EventTypes::default();
        for (roles, event_type, expected) in [
            (&["admin"][..], "SystemHealthUpdate", true),
            (&["developer"], "SystemHealthUpdate", false),
            (&["viewer", "admin"], "LogEntry", true),
            (&["developer"], "LogEntry", true),
            (&["viewer"], "LogEntry", false),
            (&[], "LogEntry", false),
            (&["Admin"], "LogEntry", false),
            (&["viewer"], "TaskStatusChanged", true),
            (&[], "something.custom", true),
        ] {
            assert_eq!(
                types.allows(&someone(roles), event_type),
                expected,
                "{roles:?} {event_type}"
            );
        }
    }

    #[test]
    fn a_rule_can_be_made_changed_and_taken_away() {
        let types = EventTypes::default()
            .with("LogEntry", &["*".into()])
            .with("Secret", &["spy".into()])
            .with("SystemHealthUpdate", &["viewer".into()]);
        assert!(types.allows(&someone(&[]), "LogEntry"));
        assert!(!types.allows(&someone(&["admin"]), "Secret"));
        assert!(types.allows(&someone(&["spy"]), "Secret"));
        assert!(types.allows(&someone(&["viewer"]), "SystemHealthUpdate"));
        assert!(!types.allows(&someone(&["admin"]), "SystemHealthUpdate"));
    }

    #[test]
    fn a_type_for_no_role_is_for_nobody() {
        let types = EventTypes::new([("Secret".into(), Vec::new())]);
        assert!(!types.allows(&someone(&["admin"]), "Secret"));
    }
}
