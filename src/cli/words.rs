//! `fanwire completions` and `fanwire man`: what shells and `man` are to know of the command line, made of the words that it is made of.
//!
//! Invariant: what is hidden from `--help` is on no page. Writes nothing but what it is asked for.

use std::fs;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::say;

/// What `fanwire completions` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// What `fanwire man` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct ManArgs {
    /// A folder for a page of each command; without one, the page of `fanwire` itself is written to standard output
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Completions of a command line, to standard output.
pub(crate) fn completions(mut line: clap::Command, arguments: &CompletionsArgs) -> ExitCode {
    let mut out = Vec::new();
    clap_complete::generate(arguments.shell, &mut line, "fanwire", &mut out);
    done(io::stdout().lock().write_all(&out))
}

/// Pages of the manual of a command line.
pub(crate) fn man(line: clap::Command, arguments: &ManArgs) -> ExitCode {
    done(match &arguments.folder {
        Some(folder) => fs::create_dir_all(folder).and_then(|()| pages(line, folder)),
        None => {
            let mut out = Vec::new();
            Man::new(line).render(&mut out).and_then(|()| io::stdout().lock().write_all(&out))
        }
    })
}

/// A page of each command: `fanwire-admin-top.1` of `fanwire admin top`.
fn pages(mut line: clap::Command, folder: &Path) -> io::Result<()> {
    line.build();
    page(line, "fanwire", folder)
}

fn page(command: clap::Command, name: &str, folder: &Path) -> io::Result<()> {
    let of_others =
        command.get_subcommands().filter(|one| !one.is_hide_set() && one.get_name() != "help");
    for one in of_others {
        page(one.clone(), &format!("{name}-{}", one.get_name()), folder)?;
    }
    let mut out = Vec::new();
    // A page is found by what it is called: `man fanwire-admin-top`.
    Man::new(command.display_name(name)).title(name).render(&mut out)?;
    fs::write(folder.join(format!("{name}.1")), out)
}

fn done(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever closes standard output does not want to hear it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("fanwire: {error}"));
            ExitCode::FAILURE
        }
    }
}
