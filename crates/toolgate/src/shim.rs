//! The other names of this program. As `codex` it does what is said about MCP servers and becomes the real Codex for all
//! else; as `codex-mcp-server` it serves the tools that drive Codex. Not here: putting the names in place (`cli::shim`).

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::cli;
use crate::config::Env;
use crate::ui::{Failure, Look, Ui};
use gate::Code;

/// The name under which the program stands before Codex.
pub const CODEX: &str = "codex";
/// The name under which it serves the tools that drive Codex.
pub const BRIDGE: &str = "codex-mcp-server";

/// Counts how often a shim led to a shim.
const DEPTH: &str = "TOOLGATE_SHIM";
/// More sessions of Codex than this, one within the other, are a circle.
const DEEPEST: u32 = 16;

/// What a shell says of a command that is not there.
const NO_COMMAND: u8 = 127;

/// Options of Codex that take their value from the next word.
const VALUED: [&str; 22] = [
    "-c",
    "--config",
    "-p",
    "--profile",
    "-m",
    "--model",
    "-s",
    "--sandbox",
    "-a",
    "--ask-for-approval",
    "-C",
    "--cd",
    "-i",
    "--image",
    "--add-dir",
    "--enable",
    "--disable",
    "--local-provider",
    "--remote",
    "--remote-auth-token-env",
    "-o",
    "--output-last-message",
];
/// Those of them that mean something to us.
const OURS: [&str; 4] = ["-c", "--config", "-p", "--profile"];

/// Runs the command line `args` under the name it was called by.
pub fn main(args: Vec<OsString>, env: Env) -> ExitCode {
    let name = args.first().and_then(|name| Path::new(name).file_name()).and_then(OsStr::to_str);
    match name {
        Some(CODEX) => as_codex(args, env),
        Some(BRIDGE) => {
            let rest = args.into_iter().skip(1);
            let serve = ["toolgate", "mcp", "serve", "--profile", "bridge"].map(OsString::from);
            cli::main(serve.into_iter().chain(rest).collect(), env)
        }
        _ => cli::main(args, env),
    }
}

fn as_codex(args: Vec<OsString>, env: Env) -> ExitCode {
    let failure = match turn(&args) {
        Turn::Ours { args, cd: None } => return cli::main(args, env),
        Turn::Ours { args, cd: Some(dir) } => match std::env::set_current_dir(&dir) {
            Ok(()) => return cli::main(args, env),
            Err(error) => Failure::io(&format!("enter {}", dir.display()), error),
        },
        Turn::Codexs => become_codex(&args[1..], &env),
    };
    Ui::new(Look { color: Look::color_wanted(&env), ..Look::default() }).failure(&failure);
    ExitCode::from(failure.exit())
}

/// Who does what was said.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// We do, with these words, in this directory if one was named.
    Ours { args: Vec<OsString>, cd: Option<PathBuf> },
    /// The real Codex does.
    Codexs,
}

/// The first word that is no option decides. Options in front of it that say nothing about servers are left out.
fn turn(args: &[OsString]) -> Turn {
    let (mut kept, mut cd, mut others) = (args[..1].to_vec(), None, false);
    let mut rest = args[1..].iter();
    while let Some(arg) = rest.next() {
        let text = arg.to_str().unwrap_or("--");
        let (option, joined) = text.split_once('=').map_or((text, None), |(option, value)| (option, Some(value)));
        match option {
            "mcp" => {
                kept.extend([arg].into_iter().chain(rest).cloned());
                return Turn::Ours { args: kept, cd };
            }
            "mcp-server" => {
                // Codex had this command until 0.153; what was written for it goes on as it was.
                let serve = ["mcp", "serve", "--profile", "bridge", "--contract", "codex"].map(OsString::from);
                kept.extend(serve.into_iter().chain(rest.cloned()));
                return Turn::Ours { args: kept, cd };
            }
            _ if !text.starts_with('-') || text == "--" => return Turn::Codexs,
            _ if OURS.iter().any(|ours| *ours == option || short(ours, option)) => {
                kept.push(arg.clone());
                kept.extend(rest.next_if_valued(option, joined).cloned());
            }
            "-C" | "--cd" => {
                others = true;
                cd = joined.map(PathBuf::from).or_else(|| rest.next().map(PathBuf::from));
            }
            _ if text.starts_with("-C") => {
                others = true;
                cd = Some(PathBuf::from(&text[2..]));
            }
            _ => {
                others = true;
                let _ = rest.next_if_valued(option, joined);
            }
        }
    }
    if !others && names_servers(&kept) { Turn::Ours { args: kept, cd: None } } else { Turn::Codexs }
}

/// Whether `-cVALUE` is what was written.
fn short(ours: &str, option: &str) -> bool {
    !ours.starts_with("--") && !option.starts_with("--") && option.starts_with(ours)
}

trait Values<'a> {
    /// The next word, if it is the value of this option.
    fn next_if_valued(&mut self, option: &str, joined: Option<&str>) -> Option<&'a OsString>;
}

impl<'a> Values<'a> for std::slice::Iter<'a, OsString> {
    fn next_if_valued(&mut self, option: &str, joined: Option<&str>) -> Option<&'a OsString> {
        if joined.is_none() && VALUED.contains(&option) { self.next() } else { None }
    }
}

/// Whether settings of servers are all that was said, and one of them says how a server is reached: whoever sets
/// something else too, or switches a server off, wants a session of Codex.
fn names_servers(args: &[OsString]) -> bool {
    let said = args[1..].iter().filter(|arg| *arg != "-c" && *arg != "--config");
    let settings: Option<Vec<_>> = said.map(|arg| server_setting(arg.to_str()?)).collect();
    settings.is_some_and(|settings| settings.into_iter().any(|defines| defines))
}

/// Whether a setting of a server says how it is reached; nothing for any other word.
fn server_setting(arg: &str) -> Option<bool> {
    let setting = arg.strip_prefix("--config=").or_else(|| arg.strip_prefix("-c")).unwrap_or(arg);
    let (key, value) = setting.strip_prefix('=').unwrap_or(setting).strip_prefix("mcp_servers.")?.split_once('=')?;
    let reaches = |name: &str| key.trim_end().ends_with(&format!(".{name}")) || value.contains(name);
    Some(reaches("command") || reaches("url"))
}

/// The real Codex, in the place of this process; returns only if that cannot be.
fn become_codex(args: &[OsString], env: &Env) -> Failure {
    let depth = env.get(DEPTH).and_then(|depth| depth.parse().ok()).unwrap_or(0_u32);
    let program = match real_codex(env) {
        Some(program) if depth < DEEPEST && !is_us(&program) => program,
        Some(program) => {
            let what = format!("the `codex` found is this shim again: {}", program.display());
            return Failure::new(Code::Usage, what).hint("set CODEX_BIN to the path of the Codex CLI");
        }
        None => return no_codex(),
    };
    let error = Command::new(&program).args(args).env(DEPTH, (depth + 1).to_string()).exec();
    Failure::io(&format!("start {}", program.display()), error).hint("set CODEX_BIN to the path of the Codex CLI")
}

fn no_codex() -> Failure {
    Failure::new(Code::Io, "there is no Codex CLI behind this shim, neither as CODEX_BIN nor on PATH")
        .hint("install it, `npm i -g @openai/codex`, or set CODEX_BIN; `codex mcp …` works without it")
        .exiting(NO_COMMAND)
}

/// The Codex CLI: `CODEX_BIN`, else the first `codex` on `PATH` that is not this program.
pub fn real_codex(env: &Env) -> Option<PathBuf> {
    if let Some(named) = env.filled("CODEX_BIN") {
        return Some(named.into());
    }
    on_path(env).into_iter().find(|program| !is_us(program))
}

/// Every `codex` on `PATH` that can be executed, in the order of the directories.
pub fn on_path(env: &Env) -> Vec<PathBuf> {
    let dirs = std::env::split_paths(env.get("PATH").unwrap_or_default()).filter(|dir| !dir.as_os_str().is_empty());
    dirs.filter_map(|dir| sandbox::resolve_program(dir.join(CODEX).as_ref(), None, OsStr::new("")).ok()).collect()
}

/// Whether a path leads to this very program.
pub fn is_us(path: &Path) -> bool {
    let own = std::env::current_exe().and_then(|own| own.canonicalize());
    matches!((own, path.canonicalize()), (Ok(own), Ok(path)) if own == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is done with a line: the words that are ours, or `codex`.
    fn check(line: &str, want: &str) {
        let args: Vec<_> = line.split(' ').map(OsString::from).collect();
        let got = match turn(&args) {
            Turn::Codexs => "codex".to_owned(),
            Turn::Ours { args, cd } => {
                let words: Vec<_> = args.iter().map(|arg| arg.to_str().expect("text")).collect();
                let cd = cd.map(|dir| format!("in {}: ", dir.display())).unwrap_or_default();
                format!("{cd}{}", words.join(" "))
            }
        };
        assert_eq!(got, want, "{line}");
    }

    #[test]
    fn what_is_said_of_servers_is_ours() {
        check("codex mcp", "codex mcp");
        check("codex mcp list --json", "codex mcp list --json");
        check(
            "codex -c a=1 --config=b=2 -cc=3 mcp add x -- y -m z",
            "codex -c a=1 --config=b=2 -cc=3 mcp add x -- y -m z",
        );
        check("codex -m gpt-5 --oss --search -s read-only mcp get x", "codex mcp get x");
        check("codex -p work -C /src mcp list", "in /src: codex -p work mcp list");
        check("codex -C/src mcp list", "in /src: codex mcp list");
        check("codex mcp-server", "codex mcp serve --profile bridge --contract codex");
        check("codex mcp-server -c a=1", "codex mcp serve --profile bridge --contract codex -c a=1");
        check("codex -c mcp_servers.x.command=y", "codex -c mcp_servers.x.command=y");
        check("codex --config=mcp_servers.x.command=y", "codex --config=mcp_servers.x.command=y");
        check(
            "codex -c mcp_servers.x={url='u'} -cmcp_servers.y.enabled=1",
            "codex -c mcp_servers.x={url='u'} -cmcp_servers.y.enabled=1",
        );
    }

    #[test]
    fn all_else_is_codexs() {
        for line in [
            "codex",
            "codex exec mcp",
            "codex -m mcp exec hi",
            "codex -m mcp",
            "codex -- mcp",
            "codex plugin list",
            "codex --help",
            "codex fix the mcp server",
            "codex -c model=o3",
            "codex -c mcp_servers.x.command=y -m o3",
            "codex -c model=o3 -c mcp_servers.x.command=y",
            "codex -p work -c mcp_servers.x.command=y",
            "codex -c mcp_servers.x.enabled=false",
            "codex -c",
            "codex -c mcp_servers.x.command=y exec hi",
        ] {
            check(line, "codex");
        }
    }
}
