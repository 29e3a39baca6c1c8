//! Starts what is measured: the upstream itself, the floor's two hops, or toolgate, each in front of
//! the same mock servers; and ends it again with everything it started.

use std::cell::Cell;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bench::clock::now;
use bench::payload;
use bench::rpc::Era;
use tempfile::TempDir;

use crate::arrival::{announced, free_address, ready};
use crate::http::Http;
use crate::link::{Link, PATIENCE, Wire, names};
use crate::settings::{config, server_name};
use crate::stdio::Stdio as StdioWire;
use crate::tree::{Tree, is_alive};
use crate::work::READ;

/// What stands between the load and the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Direct,
    Passthrough,
    Rewrite,
    Toolgate,
}

/// How one side speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Stdio,
    Http,
}

/// What to start.
#[derive(Clone, Debug)]
pub struct Spec {
    pub kind: Kind,
    pub face: Side,
    pub back: Side,
    pub era: Era,
    pub servers: usize,
    pub tools: usize,
    /// Of the servers, one hangs and one exits.
    pub faulty: bool,
    /// Tools with effects may run unasked.
    pub approve: bool,
    /// toolgate's own workspace instead of servers.
    pub workspace: bool,
}

/// The programs, and what is counted over the whole run.
pub struct Programs {
    pub upstream: PathBuf,
    pub passthrough: PathBuf,
    /// `None` when there is no toolgate to judge.
    pub toolgate: Option<PathBuf>,
    /// What to start where toolgate is asked for; another kind is for trying the bench itself.
    pub stand_in: Kind,
    pub leaked: Cell<usize>,
    /// How often a subject let a deadline pass.
    pub late: Cell<usize>,
}

/// A subject that runs.
pub struct Running<'a> {
    pub link: Link,
    pub tree: Tree,
    pub spec: Spec,
    /// From the start of its process on.
    pub began: Instant,
    programs: &'a Programs,
    child: Child,
    upstreams: Vec<Child>,
    home: PathBuf,
    _scratch: Option<TempDir>,
}

impl Programs {
    /// How long to wait for an answer. A subject that hangs in every group must not hold up the run for
    /// the full time in each.
    fn patience(&self) -> Duration {
        if self.late.get() < 3 { PATIENCE } else { PATIENCE / 8 }
    }

    fn note_late(&self, deadline: Instant) {
        if now() >= deadline {
            self.late.set(self.late.get() + 1);
        }
    }

    /// Starts `spec` in a directory of its own. The conversation has not begun.
    pub fn start(&self, spec: &Spec) -> Result<Running<'_>, String> {
        let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut running = self.start_in(spec, scratch.path())?;
        running._scratch = Some(scratch);
        Ok(running)
    }

    /// Starts `spec` with `home` as its scratch directory, which stays.
    pub fn start_in(&self, spec: &Spec, home: &Path) -> Result<Running<'_>, String> {
        let mut spec = spec.clone();
        if spec.kind == Kind::Toolgate && self.stand_in != Kind::Toolgate {
            (spec.kind, spec.servers) = (self.stand_in, 1);
        }
        let (mut upstreams, addresses) = self.start_upstreams(&spec)?;
        let prepared = self.prepare(&spec, home, &addresses);
        let began = now();
        let patience = self.patience();
        let outcome = prepared.and_then(|(command, address)| launch(command, (address, patience), &spec, home));
        let (child, wire) = outcome.inspect_err(|_| {
            upstreams.iter_mut().for_each(end_now);
            self.note_late(began + patience);
        })?;
        let tree = Tree { root: child.id(), upstream: self.upstream.clone(), home: home.to_owned() };
        Ok(Running {
            link: Link::new(wire, spec.era, patience),
            tree,
            spec,
            began,
            programs: self,
            child,
            upstreams,
            home: home.to_owned(),
            _scratch: None,
        })
    }

    /// The servers that speak HTTP run beside the subject, not below it.
    fn start_upstreams(&self, spec: &Spec) -> Result<(Vec<Child>, Vec<SocketAddr>), String> {
        if spec.back == Side::Stdio || spec.kind == Kind::Direct {
            return Ok((Vec::new(), Vec::new()));
        }
        let (mut children, mut addresses) = (Vec::new(), Vec::new());
        for _ in 0..spec.servers {
            let mut command = Command::new(&self.upstream);
            command.args(["--http", "127.0.0.1:0", "--tools", &spec.tools.to_string()]);
            let mut child = quiet(&mut command, None)?;
            let address = announced(&mut child);
            children.push(child);
            match address {
                Ok(address) => addresses.push(address),
                Err(why) => {
                    children.iter_mut().for_each(end_now);
                    return Err(why);
                }
            }
        }
        Ok((children, addresses))
    }

    /// The command, and the address it will serve when we choose it.
    fn prepare(
        &self,
        spec: &Spec,
        home: &Path,
        upstreams: &[SocketAddr],
    ) -> Result<(Command, Option<SocketAddr>), String> {
        let own_upstream = self.upstream.to_string_lossy().into_owned();
        let tools = spec.tools.to_string();
        let mut command = Command::new(&self.passthrough);
        match spec.kind {
            Kind::Direct => {
                command = Command::new(&self.upstream);
                let face = if spec.back == Side::Http { ["--http", "127.0.0.1:0"] } else { ["--stdio", "--era=both"] };
                command.args(face).args(["--tools", &tools]);
                return Ok((command, None));
            }
            Kind::Toolgate => return self.prepare_toolgate(spec, home, upstreams),
            Kind::Rewrite => drop(command.arg("--rewrite")),
            Kind::Passthrough => {}
        }
        if spec.face == Side::Http {
            command.args(["--http", "127.0.0.1:0"]);
        }
        match upstreams.first() {
            Some(address) => command.args(["--upstream", &address.to_string()]),
            None => command.args(["--", &own_upstream, "--stdio", "--tools", &tools]),
        };
        Ok((command, None))
    }

    fn prepare_toolgate(
        &self,
        spec: &Spec,
        home: &Path,
        upstreams: &[SocketAddr],
    ) -> Result<(Command, Option<SocketAddr>), String> {
        let toolgate = self.toolgate.as_ref().ok_or("not built")?;
        let config = config(spec, &self.upstream, upstreams);
        fs::write(home.join("toolgate.toml"), config).map_err(|error| error.to_string())?;
        let mut command = Command::new(toolgate);
        if spec.workspace {
            let project = project(home).map_err(|error| error.to_string())?;
            command.env("CODEX_HOME", home).env("HOME", home).env_remove("RUST_LOG").current_dir(project);
            command.args(["mcp", "serve", "--profile", "workspace"]);
            return Ok((command, None));
        }
        command.env("CODEX_HOME", home).env("HOME", home).env_remove("RUST_LOG").current_dir(home);
        if spec.face == Side::Stdio {
            command.args(["mcp", "serve", "--profile", "gateway"]);
            return Ok((command, None));
        }
        let address = free_address()?;
        command.args(["up", "--listen", &address.to_string()]);
        Ok((command, Some(address)))
    }
}

/// How many tools toolgate's own workspace has.
const WORKSPACE_TOOLS: usize = 5;

/// A project with one file for each size that is read.
fn project(home: &Path) -> std::io::Result<PathBuf> {
    let project = home.join("project");
    fs::create_dir_all(&project)?;
    for bytes in READ {
        let text = serde_json::from_str::<String>(&payload::text(bytes))?;
        fs::write(project.join(bytes.to_string()), if bytes == 0 { String::new() } else { text })?;
    }
    Ok(project)
}

impl Running<'_> {
    /// How many tools its whole list holds. The floor's hops have one server, whatever was asked for.
    pub fn expected_tools(&self) -> usize {
        match self.spec.kind {
            Kind::Toolgate if self.spec.workspace => WORKSPACE_TOOLS,
            Kind::Toolgate => self.spec.servers * self.spec.tools,
            _ => self.spec.tools,
        }
    }

    /// Says hello and waits until `expected` tools are listed; gives how long that took from the start on.
    pub fn settle(&mut self, expected: usize) -> Result<Duration, String> {
        let until = now() + self.link.patience;
        self.settle_until(expected, until).inspect_err(|_| self.note_late(until))
    }

    /// To be called when something failed that might have gone on until `deadline`.
    pub fn note_late(&self, deadline: Instant) {
        self.programs.note_late(deadline);
    }

    fn settle_until(&mut self, expected: usize, until: Instant) -> Result<Duration, String> {
        self.link.hello(until)?;
        loop {
            let pages = self.link.list(until)?;
            let (listed, at) = (crate::link::count(&pages), now());
            if listed >= expected {
                return Ok(at - self.began);
            }
            if at > until {
                return Err(format!("{listed} of {expected} tools listed within the deadline"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The names under which `tool` of each server is listed here, in the servers' order.
    pub fn names_of(&mut self, tool: &str) -> Result<Vec<String>, String> {
        let listed = names(&self.link.list(now() + self.link.patience)?);
        let shown = |server: usize| {
            let prefixed = format!("{}__{tool}", server_name(server));
            listed.iter().find(|name| **name == prefixed || *name == tool).cloned()
        };
        (0..self.spec.servers)
            .map(|server| shown(server).ok_or_else(|| format!("{tool} of server {server} is not listed")))
            .collect()
    }

    /// Everything that takes part in a call: its own processes and the upstreams.
    pub fn processes(&self) -> Vec<u32> {
        let beside = self.upstreams.iter().map(Child::id);
        self.tree.all().into_iter().chain(beside).collect()
    }

    /// What its log says last, for a failed row.
    pub fn last_words(&self) -> String {
        last_words(&self.home)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let before = self.tree.all();
        end(&mut self.child, self.spec.kind == Kind::Toolgate);
        self.upstreams.iter_mut().for_each(end_now);
        let until = now() + Duration::from_secs(3);
        let mut left: Vec<u32> = before;
        while now() < until && !left.is_empty() {
            left.retain(|pid| is_alive(*pid));
            std::thread::sleep(Duration::from_millis(2));
        }
        for pid in &left {
            signal(*pid, nix::sys::signal::Signal::SIGKILL);
        }
        if self.spec.kind == Kind::Toolgate {
            self.programs.leaked.set(self.programs.leaked.get() + left.len());
        }
    }
}

fn launch(
    mut command: Command,
    (chosen, patience): (Option<SocketAddr>, Duration),
    spec: &Spec,
    home: &Path,
) -> Result<(Child, Wire), String> {
    let mut child = quiet(&mut command, Some(home))?;
    let speaks = if spec.kind == Kind::Direct { spec.back } else { spec.face };
    let wire = match speaks {
        Side::Stdio => match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => Ok(Wire::Stdio(StdioWire::new(input, output))),
            _ => Err("a subject without pipes".to_owned()),
        },
        Side::Http => match chosen {
            Some(address) => {
                ready(&mut child, address, home, patience).map(|token| Wire::Http(Http::new(address, spec.era, token)))
            }
            None => announced(&mut child).map(|address| Wire::Http(Http::new(address, spec.era, None))),
        },
    };
    match wire {
        Ok(wire) => Ok((child, wire)),
        Err(why) => {
            end(&mut child, spec.kind == Kind::Toolgate);
            Err(format!("{why} {}", last_words(home)))
        }
    }
}

fn last_words(home: &Path) -> String {
    let log = fs::read_to_string(home.join("stderr")).unwrap_or_default();
    let last = log.lines().rev().find(|line| !line.trim().is_empty());
    last.unwrap_or_default().chars().take(160).collect()
}

fn quiet(command: &mut Command, home: Option<&Path>) -> Result<Child, String> {
    let log = match home {
        Some(home) => File::create(home.join("stderr")).map_or(Stdio::null(), Stdio::from),
        None => Stdio::null(),
    };
    let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn();
    started.map_err(|error| format!("starting {}: {error}", command.get_program().display()))
}

/// Asks a gate to end in its own way first; the bench's own programs have nothing to put in order.
fn end(child: &mut Child, gently: bool) {
    if gently {
        drop(child.stdin.take());
        signal(child.id(), nix::sys::signal::Signal::SIGTERM);
        let until = now() + Duration::from_secs(3);
        while now() < until {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    end_now(child);
}

fn end_now(child: &mut Child) {
    child.kill().ok();
    child.wait().ok();
}

fn signal(pid: u32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), signal).ok();
}
