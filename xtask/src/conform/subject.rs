//! Starts what the suite is pointed at: the fixture, or toolgate with the fixture behind it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::cell::Cell;
use crate::Failure;

/// How often, and how many times, a starting toolgate is asked whether it is ready.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS: usize = 300;

/// A running server; it ends when this is dropped.
pub struct Subject {
    /// Where its MCP endpoint is.
    pub url: String,
    processes: Vec<Child>,
    _home: Option<TempDir>,
}

impl Drop for Subject {
    fn drop(&mut self) {
        // The last one started is the one in front.
        for process in self.processes.iter_mut().rev() {
            drop(process.kill());
            drop(process.wait());
        }
    }
}

/// The fixture on HTTP, in the era of the cell.
pub fn fixture(programs: &Path, cell: Cell) -> Result<Subject, Failure> {
    let mut process = Command::new(programs.join("fixture-server"))
        .args(["--http", "127.0.0.1:0", "--era", cell.era()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = process.stdout.take().ok_or("the fixture has no standard output")?;
    let mut subject = Subject { url: String::new(), processes: vec![process], _home: None };
    BufReader::new(stdout).read_line(&mut subject.url)?;
    subject.url.truncate(subject.url.trim_end().len());
    if subject.url.is_empty() { Err("the fixture did not start".into()) } else { Ok(subject) }
}

/// Toolgate on HTTP, with the fixture behind it as the cell says, or with a workspace.
pub fn gate(programs: &Path, cell: Cell) -> Result<Subject, Failure> {
    let home = TempDir::with_prefix("conform-")?;
    let behind = if cell.is_http() { Some(fixture(programs, cell)?) } else { None };
    let project = home.path().join("project");
    fs::create_dir(&project)?;
    if !cell.is_workspace() {
        fs::write(home.path().join("toolgate.toml"), configuration(programs, cell, behind.as_ref()))?;
    }
    let port = free_port()?;
    let process = Command::new(programs.join("toolgate"))
        .args(["up", "--no-auth", "--listen", &format!("127.0.0.1:{port}")])
        .args(["--profile", if cell.is_workspace() { "workspace" } else { "gateway" }])
        .env("CODEX_HOME", home.path())
        .env("HOME", home.path())
        .current_dir(&project)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(log_file(programs, cell))?)
        .spawn()?;
    let mut subject = behind.unwrap_or(Subject { url: String::new(), processes: Vec::new(), _home: None });
    subject.url = format!("http://127.0.0.1:{port}/mcp");
    subject.processes.push(process);
    subject._home = Some(home);
    wait_until_ready(&mut subject, port)?;
    Ok(subject)
}

/// Where toolgate's standard error goes: a failing cell is explained there.
fn log_file(programs: &Path, cell: Cell) -> std::path::PathBuf {
    programs.join(format!("conform-{cell}.log"))
}

fn configuration(programs: &Path, cell: Cell, behind: Option<&Subject>) -> String {
    let reach = match behind {
        Some(fixture) => format!("url = {:?}", fixture.url),
        None => {
            let program = programs.join("fixture-server");
            format!("command = {program:?}\nargs = [\"--stdio\", \"--era\", \"{}\"]", cell.era())
        }
    };
    format!(
        r#"[gate]
prefix = "never"

[mcp_servers.fixture]
{reach}
protocol = "{}"
default_tools_approval_mode = "approve"
"#,
        cell.era()
    )
}

fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn wait_until_ready(subject: &mut Subject, port: u16) -> Result<(), Failure> {
    for _ in 0..LOOKS {
        if is_ready(port) {
            return Ok(());
        }
        if let Some(status) = subject.processes.last_mut().and_then(|process| process.try_wait().ok()?) {
            return Err(format!("toolgate ended with {status}").into());
        }
        thread::sleep(LOOK);
    }
    Err("toolgate did not get ready".into())
}

fn is_ready(port: u16) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n")?;
        let mut response = String::new();
        stream.read_to_string(&mut response)?;
        Ok(response)
    };
    ask().is_ok_and(|response| response.starts_with("HTTP/1.1 200"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_fixture_is_configured_by_transport_and_era() {
        let text = configuration(Path::new("/p"), Cell::StdioModern, None);
        assert!(
            text.contains("command = \"/p/fixture-server\"\nargs = [\"--stdio\", \"--era\", \"modern\"]"),
            "{text}"
        );
        let fixture = Subject { url: "http://h/mcp".into(), processes: Vec::new(), _home: None };
        let text = configuration(Path::new("/p"), Cell::HttpLegacy, Some(&fixture));
        assert!(text.contains("url = \"http://h/mcp\"\nprotocol = \"legacy\""), "{text}");
    }

    #[test]
    fn a_toolgate_that_ends_is_reported_at_once() {
        let programs = TempDir::new().unwrap();
        let toolgate = programs.path().join("toolgate");
        fs::write(&toolgate, "#!/bin/sh\nexit 3\n").unwrap();
        fs::set_permissions(&toolgate, fs::Permissions::from_mode(0o755)).unwrap();
        let error = gate(programs.path(), Cell::StdioLegacy).err().unwrap();
        assert!(error.to_string().contains("exit status: 3"), "{error}");
    }
}
