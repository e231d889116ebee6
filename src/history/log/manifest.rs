//! What holds for a whole folder: format, epoch, salt, classes, and how it was left. A small text, replaced as a whole, in two copies.
//!
//! Invariants: what one flipped bit made of it is not believed; a folder of a newer format is not touched. Never names a file.

use std::fmt::Write as _;

use super::bytes::checksum;

/// The format that is written, and the newest that is read.
pub const FORMAT: u32 = 2;
/// Bytes of a manifest; a larger file is none.
pub(super) const MANIFEST_BYTES_MAX: usize = 1024 * 1024;
/// The first words of a manifest.
const TITLE: &str = "fanwire history ";

/// What holds for a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The epoch of all its offsets: random, made once.
    pub epoch: u64,
    /// What every checksum begins from: random, made once, told to nobody.
    pub salt: u32,
    /// The machine's boot at which it was last opened for writing.
    pub boot: String,
    /// How many shards the server had then.
    pub shards: u16,
    /// Whether the folder was left in order: everything synced.
    pub is_clean: bool,
    pub classes: Vec<Class>,
}

/// Topics that are kept alike, in a folder of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// The folder's name.
    pub id: u32,
    /// Patterns of its topics.
    pub topics: Vec<String>,
    /// Offsets that were left out since, each in order: from a segment on, so many.
    pub skips: Vec<Skip>,
}

/// Topics whose newest event lies before a segment go on so many offsets further: what was lost may have been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skip {
    pub segment: u64,
    pub offsets: u64,
}

/// Why a manifest is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestError {
    /// The manifest was written by a later version.
    Newer { format: u32 },
    /// The file is rotten, or no manifest.
    Rotten,
}

impl std::fmt::Display for ManifestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Newer { format } => write!(
                f,
                "the folder is of format {format}, and this version knows formats up to {FORMAT}: use the version that wrote it, or a later one"
            ),
            Self::Rotten => f.write_str("its manifest is rotten, in both copies"),
        }
    }
}

impl std::error::Error for ManifestError {}

impl Manifest {
    /// The manifest as it is written.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{TITLE}{FORMAT}\nepoch {:016x}\nsalt {:08x}\nboot {}\nshards {}\nclean {}\n",
            self.epoch,
            self.salt,
            serde_json::Value::from(self.boot.as_str()),
            self.shards,
            if self.is_clean { "yes" } else { "no" },
        );
        for class in &self.classes {
            let topics = serde_json::Value::from(class.topics.clone());
            // Writing to a string cannot fail.
            let _written = writeln!(text, "class {} {topics}", class.id);
            for skip in &class.skips {
                let _written =
                    writeln!(text, "skip {} {} {}", class.id, skip.segment, skip.offsets);
            }
        }
        let sum = checksum(0, text.as_bytes());
        let _written = writeln!(text, "sum {sum:08x}");
        text
    }

    /// From what was written.
    ///
    /// # Errors
    /// The manifest is rotten, or of a later format.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ManifestError::Rotten)?;
        let end = text.trim_end_matches('\n').rfind('\n').ok_or(ManifestError::Rotten)? + 1;
        let (said, sum) = text.split_at(end);
        if sum != format!("sum {:08x}\n", checksum(0, said.as_bytes())) {
            return Err(ManifestError::Rotten);
        }
        let mut lines = said.lines();
        let format = lines.next().and_then(|line| line.strip_prefix(TITLE)?.parse().ok());
        match format {
            Some(1..=FORMAT) => {}
            Some(format) if format > FORMAT => return Err(ManifestError::Newer { format }),
            _ => return Err(ManifestError::Rotten),
        }
        Self::read(lines).ok_or(ManifestError::Rotten)
    }

    fn read<'a>(mut lines: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut word = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let mut manifest = Self {
            epoch: u64::from_str_radix(word("epoch")?, 16).ok()?,
            salt: u32::from_str_radix(word("salt")?, 16).ok()?,
            boot: serde_json::from_str(word("boot")?).ok()?,
            shards: word("shards")?.parse().ok()?,
            is_clean: match word("clean")? {
                "yes" => true,
                "no" => false,
                _ => return None,
            },
            classes: Vec::new(),
        };
        for line in lines {
            let (name, rest) = line.split_once(' ')?;
            let (id, rest) = rest.split_once(' ')?;
            let id = id.parse().ok()?;
            match name {
                "class" => {
                    let topics = serde_json::from_str(rest).ok()?;
                    manifest.classes.push(Class { id, topics, skips: Vec::new() });
                }
                "skip" => {
                    let (segment, offsets) = rest.split_once(' ')?;
                    let class = manifest.classes.last_mut().filter(|class| class.id == id)?;
                    let skip =
                        Skip { segment: segment.parse().ok()?, offsets: offsets.parse().ok()? };
                    class.skips.push(skip);
                }
                _ => return None,
            }
        }
        Some(manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            epoch: 0xfedc_ba98_7654_3210,
            salt: 7,
            boot: "a \"boot\"\n".to_owned(),
            shards: 2,
            is_clean: true,
            classes: vec![
                Class {
                    id: 1,
                    topics: vec!["fleet/**".to_owned(), "a b/*".to_owned()],
                    skips: vec![Skip { segment: 3, offsets: 1_000_000 }],
                },
                Class { id: 2, topics: Vec::new(), skips: Vec::new() },
            ],
        }
    }

    #[test]
    fn it_comes_back_and_no_flipped_bit_is_believed() {
        let text = manifest().to_text();
        assert_eq!(Manifest::parse(text.as_bytes()).unwrap(), manifest());
        for bit in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Manifest::parse(&bytes), Err(ManifestError::Rotten), "bit {bit}");
        }
        for cut in 0..text.len() {
            let cut = &text.as_bytes()[..cut];
            assert_eq!(Manifest::parse(cut), Err(ManifestError::Rotten), "{cut:?}");
        }
    }

    #[test]
    fn a_later_format_is_said_and_not_guessed_at() {
        let said = "fanwire history 3\nwhatever it says\n";
        let text = format!("{said}sum {:08x}\n", checksum(0, said.as_bytes()));
        let error = Manifest::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error, ManifestError::Newer { format: 3 });
        assert!(error.to_string().contains("of format 3"), "{error}");
    }
}
