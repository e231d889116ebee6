//! Checked claims -> a principal, by the operator's mapping.
//!
//! Invariants: a claim that this server defines is read strictly (a misspelt `filter` must not widen
//! anything); others are not read at all. A role that the mapping does not define grants nothing. Never looks
//! at signatures or the time.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::TopicPattern;
use crate::limits::TOKEN_PATTERNS_MAX;
use crate::limits::TOKEN_ROLES_MAX;
use crate::limits::USER_BYTES_MAX;

use super::claims::Claims;
use super::claims::Span;
use super::claims::bad;
use super::grant::Grants;
use super::principal::Principal;
use super::token::TokenError;

/// What everyone with a role may do, on top of what the token itself grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// Absent: it says nothing about that, which is not the same as an empty list.
    pub subscribe: Option<Grants>,
    pub publish: Option<Grants>,
    /// A filter as JSON text, forced on all who have the role.
    pub filter: Option<Arc<str>>,
}

/// Which claims mean what.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The claim with the user's name.
    pub user_claim: Box<str>,
    /// The claims with roles, each a string or a list; all of them count.
    pub role_claims: Vec<Box<str>>,
    /// The claim with `{"subscribe":[..],"publish":[..],"filter":..}`.
    pub grants_claim: Box<str>,
    pub roles: HashMap<Box<str>, Role>,
    /// What a token may subscribe to if neither it nor a defined role of its says anything about that.
    pub subscribe_unsaid: Grants,
    /// Likewise for publishing.
    pub publish_unsaid: Grants,
}

impl Default for Mapping {
    /// Users hear everything that no token or role narrows, and publish what one grants.
    fn default() -> Self {
        Self {
            user_claim: "sub".into(),
            role_claims: vec!["role".into(), "roles".into()],
            grants_claim: "fanwire".into(),
            roles: HashMap::new(),
            subscribe_unsaid: Grants::new(vec![everything()]),
            publish_unsaid: Grants::default(),
        }
    }
}

/// The pattern `**`.
pub(super) fn everything() -> TopicPattern {
    TopicPattern::new("**").expect("it is a pattern")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantsText<'a> {
    subscribe: Option<Vec<String>>,
    publish: Option<Vec<String>>,
    // Not an `Option` of its own accord: `null` must be refused, not be no filter.
    #[serde(borrow, default, deserialize_with = "given")]
    filter: Option<&'a RawValue>,
}

fn given<'de, D: serde::Deserializer<'de>>(text: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(text).map(Some)
}

impl Mapping {
    /// The filters that roles force, as they stand in principals.
    pub(super) fn filters(&self) -> impl Iterator<Item = &Arc<str>> {
        self.roles.values().filter_map(|role| role.filter.as_ref())
    }

    pub(super) fn principal(&self, claims: &Claims, span: Span) -> Result<Principal, TokenError> {
        let user = self.user(claims)?;
        let roles = self.roles_of(claims)?;
        let mut said = Said::default();
        if let Some(text) = claims.text(&self.grants_claim) {
            said.read(&self.grants_claim, text.get())?;
        }
        Ok(Principal {
            jti: claims.string("jti")?.map(String::into_boxed_str),
            issued_at_s: span.issued_at_s,
            expires_at_s: span.expires_at_s,
            ..self.of(user, roles, said)
        })
    }

    /// Who is known without a token to these roles: what they grant, and where they say nothing what is granted then.
    #[must_use]
    pub fn of_roles(&self, user: Arc<str>, roles: Vec<Box<str>>) -> Principal {
        self.of(user, roles, Said::default())
    }

    fn of(&self, user: Arc<str>, roles: Vec<Box<str>>, mut said: Said) -> Principal {
        for role in roles.iter().filter_map(|name| self.roles.get(name)) {
            said.add_role(role);
        }
        Principal {
            user: Some(user),
            roles,
            jti: None,
            issued_at_s: None,
            expires_at_s: None,
            subscribe: said.subscribe.unwrap_or_else(|| self.subscribe_unsaid.clone()),
            publish: said.publish.unwrap_or_else(|| self.publish_unsaid.clone()),
            forced_filters: said.filters,
        }
    }

    fn user(&self, claims: &Claims) -> Result<Arc<str>, TokenError> {
        let claim = &self.user_claim;
        let user = claims
            .string(claim)?
            .ok_or_else(|| TokenError::MissingClaim { claim: claim.clone() })?;
        if user.is_empty() {
            return Err(bad(claim, "a name"));
        }
        if user.len() > USER_BYTES_MAX {
            return Err(TokenError::UserTooLong { bytes: user.len() });
        }
        Ok(Arc::from(user))
    }

    fn roles_of(&self, claims: &Claims) -> Result<Vec<Box<str>>, TokenError> {
        let mut roles: Vec<Box<str>> = Vec::new();
        for claim in &self.role_claims {
            for role in claims.strings(claim, TOKEN_ROLES_MAX)?.unwrap_or_default() {
                if !roles.iter().any(|known| **known == *role) {
                    roles.push(role.into_boxed_str());
                }
            }
        }
        if roles.len() > TOKEN_ROLES_MAX {
            let claim = self.role_claims.last().cloned().unwrap_or_default();
            return Err(TokenError::TooManyEntries { claim, max: TOKEN_ROLES_MAX });
        }
        Ok(roles)
    }
}

/// What a token and its roles say; `None`: nothing at all, which is not the same as an empty list.
#[derive(Default)]
struct Said {
    subscribe: Option<Grants>,
    publish: Option<Grants>,
    filters: Vec<Arc<str>>,
}

impl Said {
    fn read(&mut self, claim: &str, text: &str) -> Result<(), TokenError> {
        let expected = "an object with `subscribe`, `publish` and `filter`";
        let grants: GrantsText<'_> =
            serde_json::from_str(text).map_err(|_| bad(claim, expected))?;
        self.subscribe =
            grants.subscribe.map(|list| patterns(claim, "subscribe", &list)).transpose()?;
        self.publish = grants.publish.map(|list| patterns(claim, "publish", &list)).transpose()?;
        if let Some(filter) = grants.filter {
            if !filter.get().starts_with(['{', '"']) {
                return Err(bad(&format!("{claim}.filter"), "a string or an object"));
            }
            self.filters.push(Arc::from(filter.get()));
        }
        Ok(())
    }

    fn add_role(&mut self, role: &Role) {
        if let Some(grants) = &role.subscribe {
            self.subscribe.get_or_insert_default().add(grants);
        }
        if let Some(grants) = &role.publish {
            self.publish.get_or_insert_default().add(grants);
        }
        if let Some(filter) = &role.filter
            && !self.filters.contains(filter)
        {
            self.filters.push(Arc::clone(filter));
        }
    }
}

fn patterns(claim: &str, member: &str, list: &[String]) -> Result<Grants, TokenError> {
    let name = || format!("{claim}.{member}").into_boxed_str();
    if list.len() > TOKEN_PATTERNS_MAX {
        return Err(TokenError::TooManyEntries { claim: name(), max: TOKEN_PATTERNS_MAX });
    }
    let mut patterns = Vec::with_capacity(list.len());
    for (index, text) in list.iter().enumerate() {
        let pattern = TopicPattern::new(text).map_err(|problem| TokenError::BadPattern {
            claim: name(),
            index,
            problem,
        })?;
        patterns.push(pattern);
    }
    Ok(Grants::new(patterns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::TopicName;

    fn principal(mapping: &Mapping, claims: &str) -> Result<Principal, TokenError> {
        let claims = Claims::read(claims.as_bytes()).unwrap();
        mapping.principal(&claims, Span { issued_at_s: Some(5), expires_at_s: Some(9) })
    }

    fn grants(patterns: &[&str]) -> Grants {
        Grants::new(patterns.iter().map(|text| TopicPattern::new(text).unwrap()).collect())
    }

    fn may_subscribe(principal: &Principal, wanted: &str) -> bool {
        principal.may_subscribe(&TopicPattern::new(wanted).unwrap())
    }

    #[test]
    fn roles_are_a_string_or_a_list_in_any_of_the_claims() {
        let mapping = Mapping {
            role_claims: vec!["role".into(), "realm_access.roles".into()],
            ..Mapping::default()
        };
        let ada = principal(&mapping, r#"{"sub":"ada","role":"admin"}"#).unwrap();
        assert!(ada.has_role("admin") && !ada.has_role("adm"));
        let both =
            r#"{"sub":"ada","role":["viewer","admin"],"realm_access":{"roles":["admin","ops"]}}"#;
        let ada = principal(&mapping, both).unwrap();
        assert_eq!(ada.roles, ["viewer", "admin", "ops"].map(Box::<str>::from));
        let wrong = principal(&mapping, r#"{"sub":"ada","role":{"admin":true}}"#).unwrap_err();
        assert_eq!(wrong.to_string(), "token's claim `role` is not a string or a list of strings");
    }

    #[test]
    fn the_first_role_claim_found_under_its_own_name_wins_over_a_path() {
        let mapping = Mapping { user_claim: "a.b".into(), ..Mapping::default() };
        let found = principal(&mapping, r#"{"a.b":"flat","a":{"b":"deep"}}"#).unwrap();
        assert_eq!(found.user.as_deref(), Some("flat"));
        let found = principal(&mapping, r#"{"a":{"b":"deep"}}"#).unwrap();
        assert_eq!(found.user.as_deref(), Some("deep"));
    }

    #[test]
    fn what_neither_token_nor_role_says_is_the_settings_to_say() {
        let mapping = Mapping::default();
        let silent = Role { subscribe: Some(Grants::default()), ..Role::default() };
        let roles = HashMap::from([("mute".into(), silent)]);
        let mute =
            principal(&Mapping { roles, ..Mapping::default() }, r#"{"sub":"ada","role":"mute"}"#);
        assert!(!may_subscribe(&mute.unwrap(), "a"), "an empty list of a role is nothing, too");
        let plain = principal(&mapping, r#"{"sub":"ada","role":"viewer"}"#).unwrap();
        assert!(may_subscribe(&plain, "**"));
        assert!(!plain.may_publish(&TopicName::new("a").unwrap()));
        let nothing = principal(&mapping, r#"{"sub":"ada","fanwire":{"subscribe":[]}}"#).unwrap();
        assert!(!may_subscribe(&nothing, "a"), "an empty list is nothing, not everything");
    }

    #[test]
    fn token_and_roles_add_up_and_their_filters_all_hold() {
        let filter: Arc<str> = Arc::from(r#""secret = false""#);
        let viewer =
            Role { subscribe: Some(grants(&["adsb/*"])), filter: Some(filter), ..Role::default() };
        let feeder = Role { publish: Some(grants(&["adsb/**"])), ..Role::default() };
        let roles = HashMap::from([("viewer".into(), viewer), ("feeder".into(), feeder)]);
        let mapping = Mapping { roles, ..Mapping::default() };
        let claims = r#"{"sub":"ada","jti":"t1","roles":["viewer","feeder","unheard of"],"fanwire":{"subscribe":["adsb/*/**"],"filter":{"alt":{"lt":12345678901234567890}}}}"#;
        let ada = principal(&mapping, claims).unwrap();
        assert!(may_subscribe(&ada, "adsb/**") && !may_subscribe(&ada, "weather"));
        assert!(ada.may_publish(&TopicName::new("adsb/ch").unwrap()));
        let filters: Vec<&str> = ada.forced_filters.iter().map(|text| &**text).collect();
        assert_eq!(filters, [r#"{"alt":{"lt":12345678901234567890}}"#, r#""secret = false""#]);
        assert_eq!(
            (ada.jti.as_deref(), ada.issued_at_s, ada.expires_at_s),
            (Some("t1"), Some(5), Some(9))
        );
    }

    #[test]
    fn what_could_widen_a_token_by_mistake_is_refused() {
        let mapping = Mapping::default();
        for fanwire in [
            r#"{"filtr":"a = 1"}"#,
            r#"{"filter":null}"#,
            r#"{"filter":[]}"#,
            "[]",
            "null",
            r#"{"subscribe":"a"}"#,
        ] {
            let claims = format!(r#"{{"sub":"ada","fanwire":{fanwire}}}"#);
            assert!(
                matches!(principal(&mapping, &claims), Err(TokenError::BadClaim { .. })),
                "{fanwire}"
            );
        }
        let bad =
            principal(&mapping, r#"{"sub":"ada","fanwire":{"publish":["a","b//c"]}}"#).unwrap_err();
        assert_eq!(
            bad.to_string(),
            "token's claim `fanwire.publish[1]`: topic has an empty segment at byte 2"
        );
    }

    #[test]
    fn a_token_must_say_whose_it_is_and_keep_to_the_bounds() {
        let mapping = Mapping::default();
        assert_eq!(
            principal(&mapping, "{}"),
            Err(TokenError::MissingClaim { claim: "sub".into() })
        );
        assert!(matches!(principal(&mapping, r#"{"sub":""}"#), Err(TokenError::BadClaim { .. })));
        assert!(matches!(principal(&mapping, r#"{"sub":7}"#), Err(TokenError::BadClaim { .. })));
        let long = format!(r#"{{"sub":"{}"}}"#, "x".repeat(USER_BYTES_MAX + 1));
        assert_eq!(
            principal(&mapping, &long),
            Err(TokenError::UserTooLong { bytes: USER_BYTES_MAX + 1 })
        );
        let patterns = format!(
            r#"{{"sub":"a","fanwire":{{"subscribe":[{}"b"]}}}}"#,
            r#""a","#.repeat(TOKEN_PATTERNS_MAX)
        );
        assert!(matches!(principal(&mapping, &patterns), Err(TokenError::TooManyEntries { .. })));
    }
}
