//! A client's life: connection after connection, until it is closed, its last handle is gone, or no further attempt would help.
//!
//! One task, which owns everything. `docs/CLIENTS.md` says how long it waits between two connections, and what for.

use std::pin::pin;
use std::time::Duration;

use tokio::time::sleep;

use crate::client::driver::Driver;
use crate::client::end::End;
use crate::client::end::ended_by;
use crate::client::limits::ADVICE_MAX;
use crate::client::link::Link;
use crate::client::message::ClientError;
use crate::client::standing::Answered;
use crate::client::talk::Talk;
use crate::client::told::Cause;
use crate::client::told::Lost;
use crate::client::told::State;
use crate::client::wait::Either;
use crate::client::wait::either;
use crate::client::wish::Token;

impl Driver {
    /// Connects, and connects again, until the end.
    pub(super) async fn run(mut self) {
        loop {
            self.tell_state(&State::Connecting);
            let (lost, is_final) = match Box::pin(self.connection()).await {
                End::Closed(answered) => return self.close(answered),
                End::Lost { lost, is_final } => (lost, is_final),
            };
            self.lose(&lost);
            if is_final {
                let reason = format!("the connection is closed: {} {}", lost.code, lost.reason);
                self.end(Some(&ClientError::new("closed", reason)));
                self.tell_state(&State::Closed { lost });
                return;
            }
            let own = self.backoff.wait();
            let (wait, cause) = match self.advice.take() {
                Some(advised) => (advised.min(ADVICE_MAX), Cause::Stopping),
                None => (own, lost.cause),
            };
            self.tell_state(&State::Waiting { lost: Lost { cause, ..lost }, wait });
            if let Some(answered) = self.wait(wait).await {
                return self.close(answered);
            }
        }
    }

    /// Takes commands until it is time for another attempt. Something: the client is to be closed.
    async fn wait(&mut self, wait: Duration) -> Option<Option<Answered<()>>> {
        let mut until = pin!(sleep(wait));
        let commands = self.commands.clone();
        loop {
            match either(commands.recv_async(), until.as_mut()).await {
                Either::First(command) => {
                    if let Some(End::Closed(answered)) = self.take(command.ok(), &mut Vec::new()) {
                        return Some(answered);
                    }
                }
                Either::Second(()) => return None,
            }
        }
    }

    /// One connection, from its opening to its end.
    async fn connection(&mut self) -> End {
        let way = match self.options.way() {
            Ok(way) => way,
            Err(error) => return End::for_good(Cause::Mistake, 0, error.to_string()),
        };
        let token = match self.first_token().await {
            Ok(token) => token,
            Err(end) => return end,
        };
        let mut opening = pin!(Link::open(&way));
        let commands = self.commands.clone();
        let link = loop {
            match either(commands.recv_async(), opening.as_mut()).await {
                Either::First(command) => {
                    if let Some(end) = self.take(command.ok(), &mut Vec::new()) {
                        return end;
                    }
                }
                Either::Second(Ok(link)) => break link,
                Either::Second(Err(error)) => return ended_by(error, false),
            }
        };
        let end = Talk::new(&link, token, &self.options).run(self).await;
        let code = match &end {
            End::Lost { lost, is_final: true } if lost.cause == Cause::Mistake => 1002,
            _ => 1000,
        };
        link.close(code).await;
        end
    }

    /// The token to be shown first. It is fetched before there is a connection, which a server keeps for a few seconds only until it is shown one.
    async fn first_token(&mut self) -> Result<Option<String>, End> {
        let mut fetching = match &mut self.options.token {
            None => return Ok(None),
            Some(Token::Same(token)) => return Ok(Some(token.clone())),
            Some(Token::Fetched(fetch)) => fetch(),
        };
        let commands = self.commands.clone();
        loop {
            match either(commands.recv_async(), fetching.as_mut()).await {
                Either::First(command) => {
                    if let Some(end) = self.take(command.ok(), &mut Vec::new()) {
                        return Err(end);
                    }
                }
                Either::Second(fetched) => {
                    let missing =
                        |why| End::passing(Cause::NoToken, 0, format!("there is no token: {why}"));
                    return fetched.map(Some).map_err(missing);
                }
            }
        }
    }
}
