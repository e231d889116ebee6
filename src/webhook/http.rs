//! Hooks over HTTP: each call is a POST of JSON, and what is answered is the verdict.
//!
//! Invariants: a call is over within its time; an answer that is not 200 with a body that is understood, or 204, is a failure. Connections are kept and used again. What is wrong is in the log
//! when it begins, and not again before it was right.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ureq::Agent;

use super::sign::Signer;
use crate::clock::Clock;
use crate::dialect::Hook;
use crate::dialect::hook::Answered;
use crate::dialect::hook::Call;
use crate::dialect::hook::Failure;
use crate::dialect::hook::HOOK_COUNT;
use crate::dialect::hook::HookSet;
use crate::dialect::hook::Hooks;
use crate::dialect::hook::Verdict;
use crate::dialect::hook::read;
use crate::limits::HOOK_ANSWER_BYTES_MAX;
use crate::limits::HOOK_IDLE_S_MAX;
use crate::outbound;
use crate::outbound::AddressError;
use crate::outbound::Wording;

const WORDING: Wording = Wording {
    like: "https://hooks.example.com/before_read",
    what: "hooks are asked",
    whose: "the hooks'",
};

/// Which hook is asked where.
#[derive(Clone, Debug)]
pub struct Target {
    pub hook: Hook,
    pub url: String,
}

/// Why hooks cannot be asked.
#[derive(Debug)]
pub enum HttpHooksError {
    /// The address of this hook.
    Address(Hook, AddressError),
    SecretTooShort,
    /// What is said to be authorities is none.
    Authorities(AddressError),
}

impl fmt::Display for HttpHooksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(_, error) | Self::Authorities(error) => write!(f, "{error}"),
            Self::SecretTooShort => write!(f, "the secret needs 32 bytes or more"),
        }
    }
}

impl std::error::Error for HttpHooksError {}

/// Asks hooks over HTTP.
#[derive(Debug)]
pub struct HttpHooks {
    /// For addresses of this machine, and for the others if there are any.
    plain: Agent,
    encrypted: Option<Agent>,
    /// Of each hook, where it is asked, and whether that is encrypted.
    urls: [Option<(String, bool)>; HOOK_COUNT],
    signer: Option<Signer>,
    clock: Clock,
    /// The last call has failed, which was said.
    is_failing: AtomicBool,
}

impl HttpHooks {
    /// Hooks that are asked there, signed with this secret, of servers for whom these authorities vouch (PEM), or the machine's.
    ///
    /// # Errors
    /// What is wrong with any of it.
    pub fn new(
        targets: &[Target],
        secret: Option<&[u8]>,
        authorities: Option<&[u8]>,
        (at_once, clock): (usize, Clock),
    ) -> Result<Self, HttpHooksError> {
        let mut urls: [Option<(String, bool)>; HOOK_COUNT] = [const { None }; HOOK_COUNT];
        for Target { hook, url } in targets {
            let is_encrypted = outbound::check_address(url, WORDING)
                .map_err(|error| HttpHooksError::Address(*hook, error))?;
            if let Some(place) = urls.get_mut(hook.index()) {
                *place = Some((url.clone(), is_encrypted));
            }
        }
        let requests = |is_encrypted| {
            outbound::requests(is_encrypted)
                .max_idle_connections(at_once)
                .max_idle_connections_per_host(at_once)
                .max_idle_age(Duration::from_secs(HOOK_IDLE_S_MAX))
        };
        let is_encrypted = urls.iter().flatten().any(|(_, is_encrypted)| *is_encrypted);
        let encrypted = match is_encrypted || authorities.is_some() {
            true => {
                let tls = outbound::encryption(authorities, WORDING)
                    .map_err(HttpHooksError::Authorities)?;
                Some(requests(true).tls_config(tls).build().new_agent())
            }
            false => None,
        };
        let signer = match secret {
            Some(secret) => Some(Signer::new(secret).ok_or(HttpHooksError::SecretTooShort)?),
            None => None,
        };
        let plain = requests(false).build().new_agent();
        Ok(Self { plain, encrypted, urls, signer, clock, is_failing: AtomicBool::new(false) })
    }

    fn post(&self, call: &Call, within: Duration) -> Answered {
        let target = self.urls.get(call.hook.index()).and_then(Option::as_ref);
        let (url, is_encrypted) = target.ok_or(Failure::Unreachable)?;
        let agent = match (&self.encrypted, is_encrypted) {
            (Some(agent), true) => agent,
            _ => &self.plain,
        };
        let body = call.to_json();
        let mut request = agent
            .post(url)
            .config()
            .timeout_global(Some(within))
            .build()
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .header("fanwire-hook", call.hook.name());
        if let Some(signer) = &self.signer {
            let at_s = self.clock.now().wall_us / 1_000_000;
            request = request.header("fanwire-signature", signer.sign(at_s, &body));
        }
        let mut response = request.send(&body[..]).map_err(|error| failure(&error))?;
        match response.status().as_u16() {
            204 => return Ok(Verdict::default()),
            200 => {}
            code => return Err(Failure::BadAnswer(format!("the answer was {code}").into())),
        }
        let limit = u64::try_from(HOOK_ANSWER_BYTES_MAX).unwrap_or(u64::MAX);
        let text = response.body_mut().with_config().limit(limit).read_to_vec();
        read(call.hook, &text.map_err(|error| failure(&error))?)
    }
}

fn failure(error: &ureq::Error) -> Failure {
    match error {
        ureq::Error::Timeout(_) => Failure::TooSlow,
        ureq::Error::BodyExceedsLimit(_) => Failure::BadAnswer(
            format!("the answer has more than {HOOK_ANSWER_BYTES_MAX} bytes").into(),
        ),
        error => {
            tracing::debug!(%error, "a hook was not answered");
            Failure::Unreachable
        }
    }
}

impl Hooks for HttpHooks {
    fn asked(&self) -> HookSet {
        let is_set = |hook: &Hook| self.urls.get(hook.index()).is_some_and(Option::is_some);
        Hook::ALL.into_iter().filter(is_set).collect()
    }

    fn answer(&self, call: &Call, within: Duration) -> Answered {
        let answered = self.post(call, within);
        let was_failing = self.is_failing.swap(answered.is_err(), Ordering::Relaxed);
        match &answered {
            Err(failure) if !was_failing => {
                let why = match failure {
                    Failure::BadAnswer(reason) => reason.to_string(),
                    failure => failure.to_string(),
                };
                tracing::warn!(hook = call.hook.name(), why, "hooks fail");
            }
            Ok(_) if was_failing => tracing::info!("hooks are answered again"),
            _ => {}
        }
        answered
    }
}
