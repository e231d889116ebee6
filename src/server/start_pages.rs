//! Pages of code that only the start has needed, given back to the kernel.
//!
//! A program's start (reading arguments and configuration, certificates, the first lines of the log) maps some 3 MB of code that is not run again, and which counts as the
//! process's for as long as it lives. Invariant: nothing is lost by it, for code that was not written to is read again from its file as it is run. Never
//! touches data.

#![expect(unsafe_code, reason = "advising the kernel of one's own pages has no safe form")]

use std::fs;
use std::ops::Range;
use std::ptr;

/// Has code mapped anew as it is run. To be called once, when the start is over.
pub fn give_back_start_pages() {
    let Ok(smaps) = fs::read_to_string("/proc/self/smaps") else { return };
    for code in unwritten_code(&smaps) {
        let start = ptr::with_exposed_provenance_mut(code.start);
        // JUSTIFICATION: 9.4 MB of resident memory become 5.5 (docs/decisions/0075).
        // SAFETY: the range is a private mapping of a file, executable and not writable, no page of which differs from the file: what is let go of is
        // read from there again. A range that is locked in memory stays as it is, which is no fault.
        unsafe { libc::madvise(start, code.len(), libc::MADV_DONTNEED) };
    }
}

/// Ranges of code that is as its file has it: a debugger's breakpoints, say, are written into it.
fn unwritten_code(smaps: &str) -> Vec<Range<usize>> {
    let (mut all, mut code) = (Vec::new(), None);
    for line in smaps.lines() {
        match line.split_once(':') {
            Some(("Anonymous", written)) => {
                all.extend(code.take().filter(|_| written.trim() == "0 kB"));
            }
            _ => code = code_of(line).or(code),
        }
    }
    all
}

/// The range of a line that begins a mapping of code of a file: `start-end r-xp offset device node /path`.
fn code_of(line: &str) -> Option<Range<usize>> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    if words.next() != Some("r-xp") || !words.nth(3)?.starts_with('/') {
        return None;
    }
    let number = |text| usize::from_str_radix(text, 16).ok();
    Some(number(start)?..number(end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
55d000-55e000 r--p 00000000 08:01 12                         /usr/bin/fanwire
Anonymous:         0 kB
55e000-560000 r-xp 00001000 08:01 12                         /usr/bin/fanwire
Size:                  8 kB
Anonymous:         0 kB
560000-562000 rw-p 00003000 08:01 12                         /usr/bin/fanwire
Anonymous:         8 kB
7f0000-7f1000 r-xp 00000000 08:01 13                         /usr/lib/libc.so.6
Anonymous:         4 kB
7f2000-7f3000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:         0 kB
7f4000-7f5000 r-xp 00000000 00:00 0
Anonymous:         0 kB
";

    #[test]
    fn only_code_that_nobody_wrote_to_is_given_back() {
        let given_back = unwritten_code(SMAPS);
        assert_eq!(given_back.first(), Some(&(0x55_e000..0x56_0000)));
        assert_eq!(given_back.len(), 1);
    }

    #[test]
    fn what_is_given_back_is_run_again() {
        let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
        assert!(!unwritten_code(&smaps).is_empty(), "there is code");
        give_back_start_pages();
        assert_eq!(unwritten_code(SMAPS).len(), 1);
    }
}
