//! What the pages of the documentation show is what happens.

mod common;

use common::TOOLGATE;
use common::real::Peers;
use common::replay::Reader;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn reader() -> Reader {
    Reader::new(&[("toolgate", TOOLGATE.into())])
}

#[test]
fn the_guide_shows_what_happens() {
    reader().follow("mcp.md");
}

#[test]
fn the_example_of_a_server_works_as_written() {
    let Some(peers) = Peers::with(&[Peers::python]) else { return };
    reader().with("python", &format!("exec {} \"$@\"", peers.python())).follow("plugins.md");
}

#[test]
fn the_first_five_minutes_go_as_they_are_told() {
    let Some(peers) = Peers::with(&[Peers::node, Peers::everything, Peers::inspector]) else { return };
    // What npx would fetch is here already.
    let npx = format!(
        "case \"$*\" in\n*server-everything*) shift 2; exec {node} {} \"$@\" ;;\n*) shift; exec {node} {} \"$@\" ;;\nesac",
        peers.everything(),
        peers.inspector(),
        node = peers.node(),
    );
    reader().with("npx", &npx).follow("first-five-minutes.md");
}

/// Every page, from the root of the repository.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository");
    let mut pages = vec![root.join("README.md"), root.join("ARCHITECTURE.md")];
    for dir in ["docs", "plugins/codex/commands"] {
        let entries = std::fs::read_dir(root.join(dir)).expect("a directory").flatten().map(|entry| entry.path());
        pages.extend(entries.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    pages
}

#[test]
fn links_between_pages_lead_somewhere() {
    let link = regex::Regex::new(r"\]\(([^)\s]+)\)").expect("a pattern");
    let mut lost = BTreeSet::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a page");
        for found in link.captures_iter(&text) {
            let path = found[1].split('#').next().unwrap_or_default();
            let inside = !path.is_empty() && !path.contains("://");
            if inside && !page.parent().expect("a directory").join(path).exists() {
                lost.insert(format!("{}: {path}", page.display()));
            }
        }
    }
    assert!(lost.is_empty(), "{lost:#?}");
}
