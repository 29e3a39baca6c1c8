//! What masking costs: a small result, 100 KiB of ordinary text, 100 KiB with secrets in it, 100 KiB made to cost much.

use super::report::Report;
use crate::Failure;
use gate::{Masks, Secret, ServerName, Unmasked};
use gate::{Parts, ReplyKind, Wire};
use std::path::Path;
use std::time::Duration;

const SIZE: usize = 100 << 10;

/// Measures everything.
pub fn measure(root: &Path, report: &mut Report) -> Result<(), Failure> {
    let secrets: Vec<Secret> =
        (0..200).map(|at| Secret::new(format!("registered-{at:03}-{:x}", at * 7919 + 104_729))).collect();
    let masks = Masks::new(&secrets);
    let mut text = String::new();
    for file in [
        "ARCHITECTURE.md",
        "docs/design/transit.md",
        "Cargo.lock",
        "crates/gate/src/gate.rs",
        "crates/gate/src/hub.rs",
        "README.md",
    ] {
        let all = std::fs::read_to_string(root.join(file)).unwrap_or_default();
        text.extend(all.chars().take(30 << 10));
    }
    while text.len() < SIZE {
        text.extend_from_within(..);
    }
    let text: String = text.chars().take(SIZE).collect();
    let mut planted = text.clone();
    let mut random = super::random::Random::new(7);
    for at in 0..20 {
        let secret = format!(" AKIA{} ", random.text("[A-Z2-7]{16}").unwrap_or_default());
        let place = (at * text.len() / 20..).find(|at| planted.is_char_boundary(*at)).unwrap_or(0);
        planted.insert_str(place, &secret);
    }
    let hostile = "api_key=sk-".repeat(SIZE / 11);
    report.line("\n## Processor time\n\n| what | bytes | best | median | median per 100 KiB |\n|---|---|---|---|---|");
    let small = r#"{"jsonrpc":"2.0","id":17,"result":{"content":[{"type":"text","text":"3 files changed, all tests pass"}],"isError":false}}"#;
    row(report, &masks, "a small result", small, 9);
    row(report, &masks, "ordinary text", &message(&text), 9);
    row(report, &masks, "the same with 20 keys in it", &message(&planted), 9);
    row(report, &masks, "keywords and nothing else", &message(&hostile), 3);
    row(report, &masks, "base64", &message(&"QUJD".repeat(SIZE / 4)), 3);
    row(report, &masks, "digits", &message(&"4111 1111 ".repeat(SIZE / 10)), 3);
    row(report, &masks, "at signs", &message(&"a@b.c".repeat(SIZE / 5)), 3);
    row(report, &masks, "keys that never end", &message(&"-----BEGIN PRIVATE KEY-----".repeat(SIZE / 27)), 3);
    Ok(())
}

fn message(text: &str) -> String {
    let text = serde_json::Value::from(text);
    format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[{{"type":"text","text":{text}}}]}}}}"#)
}

fn row(report: &mut Report, masks: &Masks, what: &str, json: &str, times: usize) {
    let server = ServerName::from("s");
    let wire = Wire { json: json.to_owned().into(), parts: Parts::default() };
    let run = || masks.apply(&server, Unmasked::message(wire.clone(), ReplyKind::Result)).masked.total();
    let masked = run();
    // Many at once, where one would be lost in the reading of the clock.
    let batch = ((4 << 20) / json.len()).max(1);
    let mut took: Vec<Duration> =
        (0..times).map(|_| timed(|| (0..batch).map(|_| run()).sum::<u32>()) / batch as u32).collect();
    took.sort();
    let median = took[times / 2];
    let scaled = median.as_secs_f64() * 1e3 * SIZE as f64 / json.len() as f64;
    report.line(&format!(
        "| {what} ({masked} masks) | {} | {:.2?} | {median:.2?} | {scaled:.2} ms |",
        json.len(),
        took[0]
    ));
}

/// The processor time of this thread: what else runs on the machine does not count.
fn timed<T>(run: impl FnOnce() -> T) -> Duration {
    let start = on_cpu();
    std::hint::black_box(run());
    on_cpu().saturating_sub(start)
}

fn on_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or_default())
}
