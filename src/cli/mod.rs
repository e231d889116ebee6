//! What can be typed: the commands that talk to a running server, and the words that start one.
//!
//! Results go to standard output, everything else to standard error, in whole sentences that name the server. Commands that talk to a
//! server use only what any client could use: the public protocol.

mod admin;
mod bridge;
mod client;
mod config;
mod demo;
mod doctor;
mod history;
mod http;
mod limits;
mod publish;
mod serve;
mod source;
mod subscribe;
mod supervisor;
mod tables;
#[cfg(test)]
mod testing;
pub mod token;
mod trust;
mod wait;
mod words;

use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

use crate::clock::Clock;

pub use admin::AdminArgs;
pub use bridge::BridgeArgs;
pub use client::ClientArgs;
pub use config::ConfigArgs;
pub use demo::DemoArgs;
pub use doctor::DoctorArgs;
pub use history::HistoryArgs;
pub use publish::PublishArgs;
pub use serve::ServeArgs;
pub use serve::serve;
pub use source::SourceArgs;
pub use subscribe::SubscribeArgs;
pub use tables::TablesArgs;
pub use token::TokenArgs;
pub use trust::AccessArgs;
pub use trust::TrustArgs;
pub use words::CompletionsArgs;
pub use words::ManArgs;

/// Says one thing to the person at the terminal. If standard error is closed nobody is there to be told.
pub(crate) fn say(text: &str) {
    let mut stderr = std::io::stderr().lock();
    drop(writeln!(stderr, "{text}"));
}

/// Runs a command to its end on a runtime of this thread's own.
fn run(command: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(command),
        Err(error) => {
            say(&format!("fanwire: cannot start: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// `fanwire publish`.
#[must_use]
pub fn publish(arguments: PublishArgs) -> ExitCode {
    run(publish::publish(arguments))
}

/// `fanwire subscribe`.
#[must_use]
pub fn subscribe(arguments: SubscribeArgs) -> ExitCode {
    run(subscribe::subscribe(arguments))
}

/// `fanwire bridge`.
#[must_use]
pub fn bridge(arguments: BridgeArgs) -> ExitCode {
    run(bridge::run(arguments))
}

/// `fanwire client`.
#[must_use]
pub fn client(arguments: ClientArgs) -> ExitCode {
    run(client::run(arguments))
}

/// `fanwire demo`.
#[must_use]
pub fn demo(arguments: &DemoArgs) -> ExitCode {
    demo::demo(arguments)
}

/// `fanwire history`.
#[must_use]
pub fn history(arguments: &HistoryArgs) -> ExitCode {
    history::run(arguments)
}

/// `fanwire config`.
#[must_use]
pub fn config(arguments: &ConfigArgs) -> ExitCode {
    config::run(arguments)
}

/// `fanwire admin`.
#[must_use]
pub fn admin(arguments: AdminArgs) -> ExitCode {
    run(admin::run(arguments))
}

/// `fanwire doctor`.
#[must_use]
pub fn doctor(arguments: &DoctorArgs) -> ExitCode {
    doctor::run(arguments)
}

/// `fanwire source`.
#[must_use]
pub fn source(arguments: &SourceArgs) -> ExitCode {
    source::run(arguments)
}

/// `fanwire tables`.
#[must_use]
pub fn tables(arguments: &TablesArgs) -> ExitCode {
    tables::run(arguments)
}

/// `fanwire completions`, of this command line.
#[must_use]
pub fn completions(line: clap::Command, arguments: &CompletionsArgs) -> ExitCode {
    words::completions(line, arguments)
}

/// `fanwire man`, of this command line.
#[must_use]
pub fn man(line: clap::Command, arguments: &ManArgs) -> ExitCode {
    words::man(line, arguments)
}

/// `fanwire token`.
#[must_use]
pub fn token(arguments: &TokenArgs) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match token::run(arguments, Clock::start().now(), &mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("fanwire: {error}"));
            ExitCode::FAILURE
        }
    }
}
