//! The command line: words become a command, a command ends with an exit code.
//!
//! Nothing is decided here; each command is a function of the library.

#![expect(unsafe_code, reason = "a setting of the allocator has no safe form")]

use std::process::ExitCode;

use clap::CommandFactory;
use clap::Parser;
use clap::Subcommand;
use fanwire::cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// mimalloc's `mi_option_purge_delay` (version 3, `src/options.c`): after how many milliseconds the system gets back what was freed.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Milliseconds after which the system gets back what was freed. The allocator's own second lets what was freed in a burst lie beside
/// what is held, so that buffers that grow are resident several times: a ceiling of the memory would not hold.
const PURGE_DELAY_MS: std::ffi::c_long = 1;

/// A fan-out server: tells very many subscribers about the events each asked for.
#[derive(Debug, Parser)]
#[command(name = "fanwire", version, propagate_version = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    Serve(cli::ServeArgs),
    /// Publish a recorded file, at its own pace, at a rate, or as fast as the server takes it.
    Publish(cli::PublishArgs),
    /// Print what arrives, one JSON line each; goes on where it was after a lost connection.
    Subscribe(cli::SubscribeArgs),
    /// Be a client for a program in another language: orders as lines of JSON on standard input, what is heard as lines on standard output (docs/CLIENTS.md).
    Client(cli::ClientArgs),
    /// Answer the requests for rows that clients of another MQTT broker publish there.
    Bridge(cli::BridgeArgs),
    /// Start a server and a moving fleet, and say what to open and what to type.
    Demo(cli::DemoArgs),
    /// Make tokens, and say what is in one.
    Token(cli::TokenArgs),
    /// Whether a configuration would do, what differs between two, what a key means.
    Config(cli::ConfigArgs),
    /// Look into a server that runs, and tell it what to do.
    Admin(cli::AdminArgs),
    /// How many subscribers this host will hold, and what to change for more.
    Doctor(cli::DoctorArgs),
    /// Look into a data folder at rest: what is in it, whether it is sound, its events out and in.
    History(cli::HistoryArgs),
    /// Compare the tables that a configuration declares with those of its database.
    Tables(cli::TablesArgs),
    /// Connect to a source of a configuration, and show what its messages would become.
    Source(cli::SourceArgs),
    /// Write what a shell completes of this command line.
    Completions(cli::CompletionsArgs),
    /// Write pages of the manual of this command line.
    Man(cli::ManArgs),
}

fn main() -> ExitCode {
    // The allocator does not ask for huge pages (its feature `no_thp`); where the system gives them to everybody, they are refused. One of 2 MiB
    // for each thread is more than an idle server takes else (docs/decisions/0033). A kernel that cannot refuse them gives them: no fault.
    rustix::thread::disable_transparent_huge_pages(true).ok();
    // SAFETY: the option is one of this version's, and no other thread is there yet.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, PURGE_DELAY_MS) };
    match CommandLine::parse().command {
        Command::Serve(arguments) => cli::serve(&arguments),
        Command::Publish(arguments) => cli::publish(arguments),
        Command::Subscribe(arguments) => cli::subscribe(arguments),
        Command::Client(arguments) => cli::client(arguments),
        Command::Bridge(arguments) => cli::bridge(arguments),
        Command::Demo(arguments) => cli::demo(&arguments),
        Command::Token(arguments) => cli::token(&arguments),
        Command::Config(arguments) => cli::config(&arguments),
        Command::Admin(arguments) => cli::admin(arguments),
        Command::Doctor(arguments) => cli::doctor(&arguments),
        Command::History(arguments) => cli::history(&arguments),
        Command::Tables(arguments) => cli::tables(&arguments),
        Command::Source(arguments) => cli::source(&arguments),
        Command::Completions(arguments) => cli::completions(CommandLine::command(), &arguments),
        Command::Man(arguments) => cli::man(CommandLine::command(), &arguments),
    }
}
