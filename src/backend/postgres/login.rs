//! How we log in: what a server may ask for, and what it is answered.
//!
//! Invariants: a password goes over the wire as it is only where the wire is encrypted or ends in this machine; a server that logs in by challenge must have proved itself before it is believed. Never does I/O.

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;

use super::address::Address;
use super::failure::Failure;
use super::md5::md5_hex;
use super::scram::MECHANISM;
use super::scram::Scram;
use super::wire;
use super::wire::Outgoing;

const OK: i32 = 0;
const CLEARTEXT: i32 = 3;
const MD5: i32 = 5;
const SASL: i32 = 10;
const SASL_CONTINUE: i32 = 11;
const SASL_FINAL: i32 = 12;

/// A login that goes on.
#[derive(Debug)]
pub(super) struct Login<'a> {
    address: &'a Address,
    scram: Option<Scram>,
    is_proved: bool,
}

impl<'a> Login<'a> {
    pub(super) const fn new(address: &'a Address) -> Self {
        Self { address, scram: None, is_proved: false }
    }

    /// Answers a demand; whether there is something to be sent.
    ///
    /// # Errors
    /// If it cannot be met, or should not.
    pub(super) fn answer(&mut self, mut body: Bytes, out: &mut Outgoing) -> Result<bool, Failure> {
        let wants = wire::take_i32(&mut body)?;
        let has_password = !self.address.password.is_empty();
        if matches!(wants, CLEARTEXT | MD5 | SASL) && !has_password {
            return Err(Failure::Login(
                "the database wants a password, and none is configured".into(),
            ));
        }
        match wants {
            OK if self.scram.is_some() && !self.is_proved => Err(Failure::Login(
                "the database has not shown that it knows the password".into(),
            )),
            OK => Ok(false),
            CLEARTEXT if self.address.is_private() => {
                out.password(&self.address.password);
                Ok(true)
            }
            CLEARTEXT => Err(Failure::Login(
                "the database wants the password as it is, and the connection is not encrypted"
                    .into(),
            )),
            MD5 => {
                let inner =
                    md5_hex(format!("{}{}", self.address.password, self.address.user).as_bytes());
                let salted: Vec<u8> = inner.bytes().chain(body.iter().copied().take(4)).collect();
                out.password(&format!("md5{}", md5_hex(&salted)));
                Ok(true)
            }
            SASL => {
                let mut offered = Vec::new();
                while body.first().is_some_and(|byte| *byte != 0) {
                    offered.push(wire::take_text(&mut body)?);
                }
                if !offered.iter().any(|name| name == MECHANISM) {
                    let why = format!(
                        "the database logs in by {}, and we by {MECHANISM}",
                        offered.join(", ")
                    );
                    return Err(Failure::Login(why.into()));
                }
                let scram = self.scram.insert(Scram::new("", nonce()?));
                out.sasl_first(MECHANISM, &scram.first());
                Ok(true)
            }
            SASL_CONTINUE | SASL_FINAL => self.challenged(wants, &body, out),
            other => Err(Failure::Login(format!(
                "the database wants to be logged in to in a way that is not spoken here ({other})"
            ).into())),
        }
    }

    fn challenged(
        &mut self,
        wants: i32,
        body: &Bytes,
        out: &mut Outgoing,
    ) -> Result<bool, Failure> {
        let text = std::str::from_utf8(body).map_err(|_| Failure::Garbled)?;
        let scram = self.scram.as_mut().ok_or(Failure::Garbled)?;
        let wrong = |error| {
            Failure::Login(format!("the database's challenge is refused: {error:?}").into())
        };
        if wants == SASL_FINAL {
            scram.check(text).map_err(wrong)?;
            self.is_proved = true;
            return Ok(false);
        }
        out.sasl_last(&scram.answer(text, &self.address.password).map_err(wrong)?);
        Ok(true)
    }
}

/// Something that was never said before.
fn nonce() -> Result<String, Failure> {
    let mut bytes = [0; 18];
    rand::fill(&mut bytes)
        .map_err(|_| Failure::Login("the system gives no random bytes".into()))?;
    Ok(BASE64_STANDARD.encode(bytes))
}
