//! Every bound the wire has, in one place.

use std::time::Duration;

/// Bounds on what a peer may send. All sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest stdio line or JSON body that is still parsed as one frame.
    pub frame_bytes: usize,
    /// The longest server-sent event.
    pub event_bytes: usize,
    /// How deep arrays and objects may nest.
    pub depth: usize,
    /// The longest line of a child's standard error that is kept.
    pub stderr_line_bytes: usize,
    /// How many pages of a list are followed.
    pub list_pages: usize,
    /// How many items of a list are kept.
    pub list_items: usize,
    /// The longest pagination cursor that is sent back.
    pub cursor_bytes: usize,
    /// Frames that may wait for one connection's writer.
    pub outbox_frames: usize,
    /// Time a peer has to finish sending the head of an HTTP request.
    pub http_head: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes: 64 << 20,
            event_bytes: 64 << 20,
            depth: 128,
            stderr_line_bytes: 64 << 10,
            list_pages: 100,
            list_items: 5_000,
            cursor_bytes: 64 << 10,
            outbox_frames: 1_024,
            http_head: Duration::from_secs(10),
        }
    }
}
