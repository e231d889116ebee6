//! One open connection: who the client is, whether the server is still there, and what comes of each thing that happens.
//!
//! Knows nothing of subscriptions and requests, which outlive it.

use std::future::Future;
use std::pin::Pin;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use tokio::time::Sleep;
use tokio::time::sleep;

use crate::client::driver::Command;
use crate::client::driver::Driver;
use crate::client::end::End;
use crate::client::end::ended_by;
use crate::client::limits::TOKEN_TRIES_MAX;
use crate::client::link::Heard;
use crate::client::link::Link;
use crate::client::message::Answer;
use crate::client::message::ClientError;
use crate::client::message::Message;
use crate::client::message::NotProtocol;
use crate::client::told::Cause;
use crate::client::wish::Fetched;
use crate::client::wish::Options;
use crate::client::wish::Token;

/// How far the client has come in saying who it is.
enum Introduction {
    /// Nothing is to be said, or all was.
    Done,
    Fetching(Fetched),
    /// A token was shown, and is looked at.
    Shown(flume::Receiver<Result<Answer, ClientError>>),
}

/// One open connection.
pub(super) struct Talk<'a> {
    link: &'a Link,
    /// To be shown behind the welcome, if there is one.
    token: Option<String>,
    silence: Duration,
    steady: Duration,
    quiet: Pin<Box<Sleep>>,
    /// Whether the server was asked if it is there since something was heard.
    is_asked: bool,
    /// Until the connection has lasted; from when it is open.
    lasting: Option<Pin<Box<Sleep>>>,
    introduction: Introduction,
    tries: u32,
    /// The server's epoch, once it has greeted.
    epoch: String,
    is_open: bool,
    commands_first: bool,
}

/// What can happen.
enum Happened {
    Command(Option<Command>),
    Heard(Heard),
    Fetched(Result<String, String>),
    Looked(Result<Answer, ClientError>),
    Quiet,
    Lasted,
}

impl<'a> Talk<'a> {
    pub(super) fn new(link: &'a Link, token: Option<String>, options: &Options) -> Self {
        Self {
            link,
            token,
            silence: options.silence,
            steady: options.steady,
            quiet: Box::pin(sleep(options.silence)),
            is_asked: false,
            lasting: None,
            introduction: Introduction::Done,
            tries: 0,
            epoch: String::new(),
            is_open: false,
            commands_first: false,
        }
    }

    /// Until the connection ends.
    pub(super) async fn run(mut self, driver: &mut Driver) -> End {
        let commands = driver.commands();
        loop {
            let happened = self.next(&commands).await;
            let mut say = Vec::new();
            let end = match happened {
                Happened::Command(command) => driver.take(command, &mut say),
                Happened::Heard(heard) => self.heard(heard, driver, &mut say),
                Happened::Fetched(fetched) => self.fetched(fetched, driver),
                Happened::Looked(outcome) => self.looked(outcome, driver, &mut say),
                Happened::Quiet => self.grown_quiet(),
                Happened::Lasted => {
                    self.lasting = None;
                    driver.steady();
                    None
                }
            };
            if let Some(end) = end {
                return end;
            }
            if !say.into_iter().all(|text| self.link.say(text)) {
                return End::passing(Cause::Lost, 1006, "the server does not hear any more");
            }
        }
    }

    async fn next(&mut self, commands: &flume::Receiver<Command>) -> Happened {
        self.commands_first = !self.commands_first;
        let (is_first, Self { link, quiet, lasting, introduction, .. }) =
            (self.commands_first, self);
        let mut command = pin!(commands.recv_async());
        let mut heard = pin!(link.heard.recv_async());
        let mut looked = pin!(async {
            match introduction {
                Introduction::Done => std::future::pending().await,
                Introduction::Fetching(fetched) => Happened::Fetched(fetched.await),
                Introduction::Shown(answer) => {
                    let gone = || ClientError::new("connection_lost", "the connection was lost");
                    Happened::Looked(answer.recv_async().await.unwrap_or_else(|_| Err(gone())))
                }
            }
        });
        std::future::poll_fn(|context| {
            // Neither keeps the other waiting.
            for is_command in [is_first, !is_first] {
                if is_command {
                    if let Poll::Ready(command) = command.as_mut().poll(context) {
                        return Poll::Ready(Happened::Command(command.ok()));
                    }
                } else if let Poll::Ready(Ok(heard)) = heard.as_mut().poll(context) {
                    return Poll::Ready(Happened::Heard(heard));
                }
            }
            if let Poll::Ready(happened) = looked.as_mut().poll(context) {
                return Poll::Ready(happened);
            }
            if let Some(lasting) = lasting
                && lasting.as_mut().poll(context).is_ready()
            {
                return Poll::Ready(Happened::Lasted);
            }
            quiet.as_mut().poll(context).map(|()| Happened::Quiet)
        })
        .await
    }

    fn heard(&mut self, heard: Heard, driver: &mut Driver, say: &mut Vec<String>) -> Option<End> {
        self.is_asked = false;
        self.quiet.as_mut().reset(Instant::now() + self.silence);
        match heard {
            Heard::Text(text) => match self.told(&text, driver, say) {
                Ok(end) => end,
                Err(error) => Some(End::for_good(Cause::Mistake, 1002, error.to_string())),
            },
            Heard::Ping(payload) => {
                let is_said = self.link.pong(payload);
                (!is_said)
                    .then(|| End::passing(Cause::Lost, 1006, "the server does not hear any more"))
            }
            Heard::Sign => None,
            Heard::Lost(error) => Some(ended_by(error, driver.has_other_tokens())),
        }
    }

    fn told(
        &mut self,
        text: &[u8],
        driver: &mut Driver,
        say: &mut Vec<String>,
    ) -> Result<Option<End>, NotProtocol> {
        match Message::parse(text)? {
            Message::Welcome { epoch } => {
                self.epoch = epoch;
                self.introduce(driver, say);
            }
            Message::TokenExpiring => {
                if driver.has_other_tokens() && matches!(self.introduction, Introduction::Done) {
                    self.fetch(driver);
                }
            }
            message => driver.hear(message, say)?,
        }
        Ok(None)
    }

    /// Says who the client is, or that it is here.
    fn introduce(&mut self, driver: &mut Driver, say: &mut Vec<String>) {
        match self.token.take() {
            None => self.open(driver, say),
            Some(token) => self.show(&token, driver),
        }
    }

    fn open(&mut self, driver: &mut Driver, say: &mut Vec<String>) {
        self.is_open = true;
        if self.steady.is_zero() {
            driver.steady();
        } else {
            self.lasting = Some(Box::pin(sleep(self.steady)));
        }
        say.extend(driver.open(self.epoch.clone()));
    }

    fn fetch(&mut self, driver: &mut Driver) {
        if let Some(Token::Fetched(fetch)) = &mut driver.options.token {
            self.introduction = Introduction::Fetching(fetch());
        }
    }

    fn fetched(&mut self, fetched: Result<String, String>, driver: &mut Driver) -> Option<End> {
        match fetched {
            Ok(token) => {
                self.show(&token, driver);
                None
            }
            // The old one still holds: if there is no other in time the server ends the connection, and the next one asks again.
            Err(reason) if self.is_open => {
                self.introduction = Introduction::Done;
                (driver.options.on_error)(&ClientError::new("no_token", reason));
                None
            }
            Err(reason) => {
                Some(End::passing(Cause::NoToken, 0, format!("there is no token: {reason}")))
            }
        }
    }

    fn show(&mut self, token: &str, driver: &mut Driver) {
        self.tries += 1;
        let (answered, answer) = flume::bounded(1);
        let id = driver.new_request(answered);
        self.introduction = Introduction::Shown(answer);
        // That it cannot be said is noticed by whoever hears.
        self.link.say(json!({"type": "auth", "id": id, "token": token}).to_string());
    }

    fn looked(
        &mut self,
        outcome: Result<Answer, ClientError>,
        driver: &mut Driver,
        say: &mut Vec<String>,
    ) -> Option<End> {
        self.introduction = Introduction::Done;
        match outcome {
            Ok(_) => {
                self.tries = 0;
                if !self.is_open {
                    self.open(driver, say);
                }
            }
            Err(_) if driver.has_other_tokens() && self.tries < TOKEN_TRIES_MAX => {
                self.fetch(driver);
            }
            Err(error) if self.is_open => (driver.options.on_error)(&error),
            Err(error) => return Some(End::for_good(Cause::Refused, 0, error.to_string())),
        }
        None
    }

    /// A network that drops packets says nothing at all: asks, and gives up what does not answer.
    fn grown_quiet(&mut self) -> Option<End> {
        if self.is_asked {
            return Some(End::passing(Cause::Silent, 1006, "nothing was heard from the server"));
        }
        self.is_asked = true;
        self.quiet.as_mut().reset(Instant::now() + self.silence);
        self.link.say(json!({"type": "ping"}).to_string());
        None
    }
}
