//! How much is logged: a level for everything, and others for modules, as `info,conn=debug,shard::session=trace`.
//!
//! Invariant: a module that the server does not have is refused, for a misspelt one would be silent. Never logs.

/// The words for levels, from nothing to everything.
pub const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The modules that may have a level of their own, with everything below them.
pub const LOGGED: [&str; 14] = [
    "admin", "auth", "batch", "cli", "config", "conn", "dialect", "event", "history", "matcher",
    "server", "shard", "store", "wire",
];

/// What a text of levels says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels {
    /// What holds for all modules that are not named.
    pub all: &'static str,
    /// Modules without `fanwire::` in front, and their levels.
    pub of: Vec<(String, &'static str)>,
}

impl Levels {
    /// Reads one.
    ///
    /// # Errors
    /// Which part is none, and what it could be.
    pub fn parse(text: &str) -> Result<Self, String> {
        let level = |word: &str| {
            let known = LEVELS.iter().find(|level| **level == word);
            known
                .copied()
                .ok_or_else(|| format!("{word:?} is no level: there are {}", LEVELS.join(", ")))
        };
        let mut levels = Self { all: "info", of: Vec::new() };
        for (place, part) in text.split(',').map(str::trim).enumerate() {
            match part.split_once('=') {
                None if place == 0 => levels.all = level(part)?,
                None => return Err(format!("{part:?} is no module and level, like conn=debug")),
                Some((module, word)) => {
                    let (module, word) = (module.trim(), word.trim());
                    let top = module.split("::").next().unwrap_or_default();
                    if !LOGGED.contains(&top) {
                        let all = LOGGED.join(", ");
                        return Err(format!("there is no module {top:?}: there are {all}"));
                    }
                    levels.of.push((module.to_owned(), level(word)?));
                }
            }
        }
        Ok(levels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_and_mistakes_named() {
        let levels = Levels::parse("warn, conn=debug,shard::session = trace").unwrap();
        assert_eq!(levels.all, "warn");
        let of = [("conn".to_owned(), "debug"), ("shard::session".to_owned(), "trace")];
        assert_eq!(levels.of, of);
        assert_eq!(Levels::parse("conn=off").unwrap().all, "info");
        for (text, words) in [
            ("loud", "\"loud\" is no level"),
            ("", "\"\" is no level"),
            ("info,debug", "\"debug\" is no module and level"),
            ("info,con=debug", "there is no module \"con\""),
            ("info,conn=loud", "\"loud\" is no level"),
        ] {
            let error = Levels::parse(text).unwrap_err();
            assert!(error.starts_with(words), "{text}: {error}");
        }
    }
}
