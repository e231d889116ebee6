//! `benches/instructions.toml`: what each case took when somebody last said that it may.
//!
//! A count means something beside another of the same compiler, valgrind, C library and kind of processor only, so the file names
//! them, and where one differs nothing is compared, aloud. Every case is in the file and every line is a case.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

use crate::callgrind::Counted;

/// Where it is, in the repository.
pub(crate) const PATH: &str = "benches/instructions.toml";

/// What the counts depend on beside the source.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Environment {
    rustc: String,
    valgrind: String,
    libc: String,
    processor: String,
}

/// The file.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Baseline {
    environment: Environment,
    instructions: BTreeMap<String, f64>,
}

/// What came of a comparison, and the lines that say so.
#[derive(Debug)]
pub(crate) enum Verdict {
    Kept(String),
    /// Taken elsewhere: nothing can be said.
    Elsewhere(String),
    Broken(String),
}

/// Whether the file is to be written, not held against.
#[expect(clippy::disallowed_methods, reason = "a bench has no configuration to read it in")]
pub(crate) fn is_to_be_written() -> bool {
    std::env::var("UPDATE_INSTRUCTIONS").is_ok_and(|it| it == "1")
}

impl Environment {
    pub(crate) fn here() -> Result<Self, String> {
        let line = |program: &str, argument: &str| {
            let output = Command::new(program).arg(argument).output();
            let output = output.map_err(|error| format!("{program} cannot be started: {error}"))?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            Ok::<_, String>(text.lines().next().unwrap_or_default().trim().to_owned())
        };
        let valgrind = line("valgrind", "--version")
            .map_err(|why| format!("{why}; instructions are counted with it (Debian: valgrind)"))?;
        Ok(Self {
            rustc: line("rustc", "--version")?,
            valgrind,
            libc: line("getconf", "GNU_LIBC_VERSION")?,
            processor: processor(),
        })
    }

    /// What differs, in words; empty: nothing.
    fn differences(&self, other: &Self) -> String {
        let mut text = String::new();
        for (name, ours, theirs) in [
            ("rustc", &self.rustc, &other.rustc),
            ("valgrind", &self.valgrind, &other.valgrind),
            ("libc", &self.libc, &other.libc),
            ("processor", &self.processor, &other.processor),
        ] {
            if ours != theirs {
                writeln!(text, "  {name}: the baseline's is `{theirs}`, this one is `{ours}`")
                    .unwrap();
            }
        }
        text
    }
}

/// Valgrind shows a processor with AVX2 where there is one, and never one with more.
fn processor() -> String {
    #[cfg(target_arch = "x86_64")]
    let more = if is_x86_feature_detected!("avx2") { " with avx2" } else { "" };
    #[cfg(not(target_arch = "x86_64"))]
    let more = "";
    format!("{}{more}", std::env::consts::ARCH)
}

impl Baseline {
    /// What the file holds.
    pub(crate) fn read() -> Result<Self, String> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.toml");
        let text = std::fs::read_to_string(path).map_err(|error| format!("{PATH}: {error}"))?;
        toml::from_str(&text).map_err(|error| format!("{PATH}: {error}"))
    }

    /// This one with new counts; those of cases that were not counted stay, if only some were.
    pub(crate) fn renewed(
        before: Self,
        environment: Environment,
        counted: &[Counted],
        whole: bool,
    ) -> Self {
        let mut instructions = if whole { BTreeMap::new() } else { before.instructions };
        instructions.extend(counted.iter().map(|it| (it.name.to_owned(), it.instructions)));
        Self { environment, instructions }
    }

    pub(crate) fn write(&self) -> std::io::Result<()> {
        let Environment { rustc, valgrind, libc, processor } = &self.environment;
        let mut text = format!(
            "# Instructions an operation. Made by `UPDATE_INSTRUCTIONS=1 cargo bench --profile counted --bench instructions`; a commit that changes\n\
             # a line by more than 5 % says why. How it is counted: docs/TESTING.md.\n\n\
             [environment]\nrustc = \"{rustc}\"\nvalgrind = \"{valgrind}\"\nlibc = \"{libc}\"\nprocessor = \"{processor}\"\n\n[instructions]\n"
        );
        for (name, count) in &self.instructions {
            writeln!(text, "\"{name}\" = {count:.1}").unwrap();
        }
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.toml"), text)
    }

    pub(crate) fn judge(
        &self,
        environment: &Environment,
        counted: &[Counted],
        whole: bool,
        growth_max: f64,
    ) -> Verdict {
        let differences = environment.differences(&self.environment);
        if !differences.is_empty() {
            let mut text = String::new();
            for it in counted {
                writeln!(text, "{:<44} {:>14.1}", it.name, it.instructions).unwrap();
            }
            write!(
                text,
                "instructions: NOT COMPARED, for the baseline was taken elsewhere:\n{differences}\
                 Take it anew from a commit that is known to be good: UPDATE_INSTRUCTIONS=1 cargo bench --profile counted --bench instructions"
            )
            .unwrap();
            return Verdict::Elsewhere(text);
        }
        let (mut text, mut faults) = (String::new(), String::new());
        for it in counted {
            let Some(&before) = self.instructions.get(it.name) else {
                writeln!(faults, "instructions: {} is not in {PATH}", it.name).unwrap();
                continue;
            };
            let growth = it.instructions / before - 1.0;
            let note = match growth {
                _ if growth > growth_max => "GREW",
                _ if growth < -growth_max => "shrank: renew the baseline, so that it stays so",
                _ => "",
            };
            let line = format!(
                "{:<44} {before:>14.1} -> {:>14.1} {:>+8.2} % {note}",
                it.name,
                it.instructions,
                growth * 100.0
            );
            writeln!(text, "{}", line.trim_end()).unwrap();
            if growth > growth_max {
                writeln!(faults, "instructions: {}", line.trim_end()).unwrap();
            }
        }
        for name in self.instructions.keys().filter(|_| whole) {
            if !counted.iter().any(|it| it.name == name) {
                writeln!(faults, "instructions: {name} is in {PATH}, and no case").unwrap();
            }
        }
        if faults.is_empty() {
            return Verdict::Kept(text.trim_end().to_owned());
        }
        write!(
            text,
            "\n{faults}If that is meant, say why in the commit, which carries the new counts: UPDATE_INSTRUCTIONS=1 cargo bench --profile counted --bench instructions"
        )
        .unwrap();
        Verdict::Broken(text)
    }
}
