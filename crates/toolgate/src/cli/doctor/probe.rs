//! Short questions to programs and addresses, each with a limit in time.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// How long any one thing may take.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How long an address may take to answer.
const REACH: Duration = Duration::from_secs(5);

/// How often it is looked whether a program has ended.
const LOOK: Duration = Duration::from_millis(20);

/// The first line that `PROGRAM --version` prints, with nothing in its environment but `path` and `home`.
///
/// # Errors
/// Why there is none, as a fragment.
pub async fn version(program: &Path, path: &str, home: Option<&str>) -> Result<String, String> {
    let mut command = Command::new(program);
    command.arg("--version").env_clear().env("PATH", path).envs(home.map(|home| ("HOME", home)));
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let ended = ended(&mut child).await;
    if !ended {
        // It may have ended just now.
        let _ = child.kill();
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if !ended {
        return Err(format!("it did not end within {} s", PATIENCE.as_secs()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    match (output.status.success(), line) {
        (true, Some(line)) => Ok(line.chars().take(80).collect()),
        (true, None) => Err("it printed nothing".to_owned()),
        (false, _) => Err(output.status.to_string()),
    }
}

/// What prints a version fits into a pipe, so nobody has to read meanwhile.
async fn ended(child: &mut Child) -> bool {
    let limit = Instant::now() + PATIENCE;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() >= limit {
            return false;
        }
        sleep(LOOK).await;
    }
    true
}

/// Whether anything answers at `url`: the status it answers with, whatever that is.
///
/// # Errors
/// Why nothing does, as a fragment, without the address.
pub async fn reach(url: &str) -> Result<u16, String> {
    let client = reqwest::Client::builder().timeout(REACH).redirect(reqwest::redirect::Policy::none()).build();
    let client = client.map_err(|error| error.to_string())?;
    let answer = timeout(PATIENCE, client.head(url).send()).await;
    match answer {
        Ok(Ok(response)) => Ok(response.status().as_u16()),
        Ok(Err(error)) if error.is_timeout() => Err(format!("no answer within {} s", REACH.as_secs())),
        Ok(Err(error)) => Err(innermost(&error.without_url())),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
