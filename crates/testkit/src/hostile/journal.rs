//! The record of what happened to a fixture: one JSON object a line, written at once.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::process;

/// Where a fixture writes what it received. Several processes may share a file.
#[derive(Debug, Default)]
pub struct Journal {
    file: Option<File>,
}

impl Journal {
    /// Appends to `path`, or keeps nothing where there is none.
    ///
    /// # Errors
    /// When the file cannot be opened for appending.
    pub fn open(path: Option<&Path>) -> io::Result<Self> {
        let open = |path| OpenOptions::new().create(true).append(true).open(path);
        Ok(Self { file: path.map(open).transpose()? })
    }

    /// The process: `{"event":"start","pid":..,"args":[..],"env":{..},"cwd":..}`.
    pub fn start(&self) {
        let arguments: Vec<_> = std::env::args_os().map(|text| text.to_string_lossy().into_owned()).collect();
        let directory = std::env::current_dir().unwrap_or_default();
        self.note("start", json!({"args": arguments, "env": environment(), "cwd": directory}));
    }

    /// A message as it came: `{"event":"message","message":..}`, or `"text"` where it is not JSON.
    pub fn received(&self, text: &str) {
        if self.file.is_none() {
            return;
        }
        let one_line = text.replace(['\n', '\r'], " ");
        match serde_json::from_str::<&RawValue>(&one_line) {
            Ok(message) => {
                let head = head("message").to_string();
                self.write(&format!(r#"{},"message":{message}}}"#, head.trim_end_matches('}')));
            }
            Err(_) => self.note("message", json!({ "text": text })),
        }
    }

    /// Any other event with the members of `more`.
    pub fn note(&self, event: &str, more: Value) {
        if self.file.is_none() {
            return;
        }
        let mut line = head(event);
        if let (Value::Object(line), Value::Object(more)) = (&mut line, more) {
            line.extend(more);
        }
        self.write(&line.to_string());
    }

    /// One `write` a line, so that lines of several processes do not mix.
    fn write(&self, line: &str) {
        if let Some(mut file) = self.file.as_ref() {
            drop(file.write_all(format!("{line}\n").as_bytes()));
        }
    }
}

fn head(event: &str) -> Value {
    json!({"event": event, "pid": std::process::id(), "unix_ms": process::unix_ms()})
}

/// The environment as text; what is not UTF-8 is replaced.
pub(super) fn environment() -> BTreeMap<String, String> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}
