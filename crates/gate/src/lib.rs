//! Words, decisions and the one path of a call.
