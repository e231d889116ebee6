//! Bounds of what an operator is told and may ask.

/// Dialects that are counted one by one; more are counted with the last of them.
pub const DIALECTS_COUNTED_MAX: usize = 16;
