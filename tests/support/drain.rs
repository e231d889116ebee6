//! A client that reads while time passes.

/// A client that reads while time passes.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// Bytes that it takes each virtual second.
    pub bytes_per_s: u64,
    /// It comes round once in so many milliseconds, and then takes what it is due for all of them.
    pub every_ms: u64,
    /// When it comes first, in `Now::mono_ms`.
    pub next_ms: u64,
}

impl Drain {
    /// One that reads so many bytes a second, a little each millisecond, from now on.
    pub fn steady(bytes_per_s: u64) -> Self {
        Self { bytes_per_s, every_ms: 1, next_ms: 0 }
    }

    /// Bytes that it takes now.
    pub(super) fn due(&mut self, now_ms: u64) -> usize {
        if now_ms < self.next_ms {
            return 0;
        }
        self.next_ms = now_ms + self.every_ms;
        // Fractions of a byte are made good by the millisecond at which they are whole.
        let bytes = |ms: u64| u128::from(self.bytes_per_s) * u128::from(ms) / 1000;
        usize::try_from(bytes(now_ms) - bytes(now_ms - self.every_ms.min(now_ms))).unwrap()
    }
}
