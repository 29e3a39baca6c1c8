//! The gate's own bounds.

/// How much may be under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Calls in flight over all faces and servers. One more is refused with `limit.busy`.
    pub in_flight: usize,
    /// Notices a slow listener may lag behind before it misses some.
    pub notices: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { in_flight: 1_024, notices: 256 }
    }
}
