//! What a caller asks for, and whether the answer is the right one.

use bench::payload;
use bench::rpc::{self, Era};
use bench::scan;

/// One kind of call.
#[derive(Clone, Debug)]
pub enum Work {
    /// `echo` of 64 characters which differ from call to call.
    Echo,
    /// The same through `write`, a tool that may change the world.
    Write,
    /// A result of about so many bytes.
    Big { bytes: usize, structured: bool },
    /// A file of so many bytes, one of [`READ`].
    Read { bytes: usize },
}

/// How large the files are that are read.
pub const READ: [usize; 2] = [0, 4096];

/// Makes the calls of one run and checks their answers.
pub struct Job {
    era: Era,
    work: Work,
    /// The names to call, in turn: one for each server.
    names: Vec<String>,
    expected: String,
}

impl Work {
    /// The tool's name on the mock server.
    pub fn tool(&self) -> &'static str {
        match self {
            Work::Echo => "echo",
            Work::Write => "write",
            Work::Big { .. } => "big",
            Work::Read { .. } => "read_file",
        }
    }
}

impl Job {
    pub fn new(era: Era, work: Work, names: Vec<String>) -> Self {
        let expected = match work {
            Work::Big { bytes, structured: true } => payload::structured(bytes),
            Work::Big { bytes, structured: false } | Work::Read { bytes: bytes @ 1.. } => payload::text(bytes),
            Work::Read { bytes: 0 } => r#""size":0"#.to_owned(),
            _ => String::new(),
        };
        Job { era, work, names, expected }
    }

    /// The tool call number `id` is for.
    pub fn name(&self, id: u64) -> &str {
        &self.names[id as usize % self.names.len()]
    }

    /// The request of call number `id`.
    pub fn request(&self, id: u64) -> String {
        let arguments = match self.work {
            Work::Echo | Work::Write => format!(r#"{{"text":"{}"}}"#, payload::echo_text(id)),
            Work::Big { bytes, structured } => format!(r#"{{"bytes":{bytes},"structured":{structured}}}"#),
            Work::Read { bytes } => format!(r#"{{"path":"{bytes}"}}"#),
        };
        rpc::call(self.era, id, self.name(id), &arguments, false)
    }

    /// Whether `answer` is what call number `id` must get.
    pub fn verify(&self, id: u64, answer: &[u8]) -> Result<(), String> {
        let found = scan::member(answer, "id");
        if found != Some(id.to_string().as_bytes()) {
            return Err(format!("call {id} got {}", excerpt(answer)));
        }
        let Some(result) = scan::member(answer, "result") else {
            return Err(excerpt(answer));
        };
        let right = match self.work {
            Work::Echo | Work::Write => scan::contains(result, payload::echo_text(id).as_bytes()),
            Work::Big { .. } | Work::Read { .. } => holds(result, self.expected.as_bytes()),
        };
        if right && !scan::contains(&result[..result.len().min(4096)], b"\"isError\":true") {
            Ok(())
        } else {
            Err(format!("wrong content: {}", excerpt(result)))
        }
    }
}

/// Looks for the beginning, then compares: searching for megabytes at once is slow.
fn holds(text: &[u8], expected: &[u8]) -> bool {
    let head = &expected[..expected.len().min(64)];
    memchr::memmem::find_iter(text, head).any(|at| text[at..].starts_with(expected))
}

/// The first characters of a message, for a person.
pub fn excerpt(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(&message[..message.len().min(200)]);
    text.replace('\n', "⏎")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench::mock::{Eras, Mock};

    fn answered(work: Work, id: u64, change: impl Fn(String) -> String) -> Result<(), String> {
        let job = Job::new(Era::Legacy, work.clone(), vec![work.tool().to_owned()]);
        let mut out = Vec::new();
        Mock::new(4, Eras::Both).answer(job.request(id).as_bytes(), &mut out);
        let answer = change(String::from_utf8(out).expect("UTF-8"));
        job.verify(id, answer.trim_end().as_bytes())
    }

    #[test]
    fn right_answers_pass() {
        for work in [
            Work::Echo,
            Work::Write,
            Work::Big { bytes: 3000, structured: false },
            Work::Big { bytes: 3000, structured: true },
        ] {
            answered(work, 12, |answer| answer).expect("the mock server is right");
        }
    }

    #[test]
    fn wrong_answers_do_not() {
        let echo = |change: fn(String) -> String| answered(Work::Echo, 12, change);
        echo(|answer| answer.replacen("12", "13", 1)).expect_err("another id");
        echo(|answer| answer.replace("000c", "000d")).expect_err("another text");
        echo(|answer| answer.replace("result", "error")).expect_err("an error");
        let big = Work::Big { bytes: 3000, structured: false };
        answered(big, 1, |answer| answer.replacen("gate", "gat", 1)).expect_err("one byte less");
    }
}
