//! Real programs that `cargo xtask peers` installed.

use std::path::{Path, PathBuf};

/// Where they are.
pub struct Peers {
    root: PathBuf,
    scripts: PathBuf,
}

/// What node programs are installed as.
const MODULES: &str = "node_modules/@modelcontextprotocol";

impl Peers {
    /// The installed peers, if all of `needed` are among them. Says which is not, so that a test can skip itself.
    #[expect(clippy::print_stderr, reason = "a test that skips itself says why")]
    pub fn with(needed: &[fn(&Peers) -> String]) -> Option<Self> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate is in a workspace");
        let peers = Self { root: workspace.join(".work/peers"), scripts: workspace.join("peers") };
        let missing = needed.iter().map(|path| path(&peers)).find(|path| !Path::new(path).exists());
        if let Some(missing) = missing {
            eprintln!("skipped: there is no {missing}; `cargo xtask peers` installs it");
            return None;
        }
        Some(peers)
    }

    pub fn node(&self) -> String {
        self.at("node_modules/node/bin/node")
    }

    pub fn everything(&self) -> String {
        self.at(&format!("{MODULES}/server-everything/dist/index.js"))
    }

    pub fn filesystem(&self) -> String {
        self.at(&format!("{MODULES}/server-filesystem/dist/index.js"))
    }

    pub fn inspector(&self) -> String {
        self.at("node_modules/.bin/mcp-inspector")
    }

    pub fn codex(&self) -> String {
        self.at("node_modules/@openai/codex/bin/codex.js")
    }

    pub fn ts_sdk(&self) -> String {
        self.at(&format!("{MODULES}/sdk/package.json"))
    }

    pub fn python(&self) -> String {
        self.at("venv/bin/python")
    }

    pub fn git_server(&self) -> String {
        self.at("venv/bin/mcp-server-git")
    }

    pub fn time_server(&self) -> String {
        self.at("venv/bin/mcp-server-time")
    }

    /// A script of ours that runs on one of them.
    pub fn script(&self, name: &str) -> String {
        self.scripts.join(name).display().to_string()
    }

    fn at(&self, path: &str) -> String {
        self.root.join(path).display().to_string()
    }
}
