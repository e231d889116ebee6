//! Valgrind's callgrind around one case at a time, as many at once as there are cores.
//!
//! Collecting is off but inside `measured`, so neither start-up nor set-up is counted. Address randomisation is off under valgrind,
//! and it shows every program the same made-up processor, so what is picked at run time by its features is the same everywhere.

use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use crate::cases::Case;

/// The argument that makes this program run one case.
pub(crate) const CASE: &str = "--case";

/// What is counted is what happens in here; callgrind looks for it by its name.
#[inline(never)]
pub(crate) fn measured(run: &mut dyn FnMut()) {
    run();
    // Not the last thing that happens, or the call becomes a jump and callgrind sees no end of it.
    std::hint::black_box(());
}

/// A case and its instructions an operation.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    pub(crate) name: &'static str,
    pub(crate) instructions: f64,
}

struct Underway<'a> {
    case: &'a Case,
    child: Child,
    out: PathBuf,
}

/// Counts all of them, in order.
pub(crate) fn count(cases: &[&Case]) -> Result<Vec<Counted>, String> {
    let at_once = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let folder = std::env::temp_dir().join(format!("fanwire-instructions-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut counted = Vec::new();
    let mut failure = None;
    for some in cases.chunks(at_once) {
        let underway: Vec<_> = some.iter().map(|case| start(case, &folder)).collect();
        for child in underway {
            match child.and_then(Underway::finish) {
                Ok(count) => counted.push(count),
                Err(why) => failure = failure.or(Some(why)),
            }
        }
        if failure.is_some() {
            break;
        }
    }
    std::fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    failure.map_or(Ok(counted), Err)
}

fn start<'a>(case: &'a Case, folder: &Path) -> Result<Underway<'a>, String> {
    let out = folder.join(case.name.replace('/', "-"));
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let child = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--collect-atstart=no"])
        .arg("--toggle-collect=*callgrind*measured*")
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args([CASE, case.name])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("valgrind cannot be started (Debian: valgrind): {error}"))?;
    Ok(Underway { case, child, out })
}

impl Underway<'_> {
    fn finish(mut self) -> Result<Counted, String> {
        let mut said = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            stderr.read_to_string(&mut said).map_err(|error| error.to_string())?;
        }
        let name = self.case.name;
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if !status.success() {
            return Err(format!("{name}: {status}: {}", said.trim()));
        }
        let text = std::fs::read_to_string(&self.out).map_err(|error| error.to_string())?;
        let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
        let total = total.and_then(|it| it.trim().parse::<u32>().ok());
        match total {
            Some(total) if total > 0 => {
                let instructions = f64::from(total) / f64::from(self.case.operations);
                Ok(Counted { name, instructions })
            }
            _ => Err(format!("{name}: callgrind counted nothing; it said: {}", said.trim())),
        }
    }
}
