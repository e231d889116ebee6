//! The `fanwire` command: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use clap::Subcommand;
use fanwire::cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Tells very many subscribers about the events each asked for.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server
    Serve(cli::ServeArgs),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(args) => cli::serve(&args),
    }
}
