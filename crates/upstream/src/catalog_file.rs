//! Catalogs on the disk, one file per server, so that lists are known before any server runs.
//! A file made under another configuration, or one that cannot be read, is as good as none.

use crate::lists::read_item;
use crate::options::Options;
use crate::supervisor::Shared;
use bytes::Bytes;
use gate::{ItemKind, Listed, Offer, ServerName};
use mcp::{Era, Member, view};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SCHEMA: &str = "toolgate.catalog/1";
const LISTS: [(&str, ItemKind); 4] = [
    ("tools", ItemKind::Tool),
    ("prompts", ItemKind::Prompt),
    ("resources", ItemKind::Resource),
    ("templates", ItemKind::Template),
];

/// What is known of these servers from earlier runs; servers never seen are left out.
pub fn load_catalog(state_dir: &Path, servers: &[&Options]) -> Vec<(ServerName, Arc<Offer>)> {
    let known = servers.iter().filter_map(|options| Some((options.name.clone(), Arc::new(load(state_dir, options)?))));
    known.collect()
}

/// Forgets what is known of a server. That nothing was known is no failure.
///
/// # Errors
/// When a file cannot be removed.
pub fn forget_catalog(state_dir: &Path, server: &ServerName) -> io::Result<()> {
    [path(state_dir, server), file(state_dir, "seen", server)].iter().try_for_each(|path| match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    })
}

/// The era a server spoke last.
pub(crate) fn remembered_era(state_dir: &Path, options: &Options) -> Option<Era> {
    // The head of the file has it: no need to read what it lists.
    let mut head = vec![0; 4096];
    let mut file = fs::File::open(path(state_dir, &options.name)).ok()?;
    let length = io::Read::read(&mut file, &mut head).ok()?;
    let text = String::from_utf8_lossy(&head[..length]).into_owned();
    let text = format!("{}}}", text.split_once(",\"capabilities\":")?.0);
    if !is_ours(&text, options) {
        return None;
    }
    match view::string(view::member(&text, "era")?)?.as_ref() {
        "modern" => Some(Era::Modern),
        "legacy" => Some(Era::Legacy),
        _ => None,
    }
}

fn is_ours(document: &str, options: &Options) -> bool {
    let is = |key: &str, want: &str| view::member(document, key).and_then(view::string).as_deref() == Some(want);
    is("schema", SCHEMA) && is("config", &options.config_digest)
}

fn path(state_dir: &Path, server: &ServerName) -> PathBuf {
    file(state_dir, "catalog", server)
}

/// The file of a server in a directory of the state, under a name that is one on every system, and another one for
/// every server.
pub(crate) fn file(state_dir: &Path, directory: &str, server: &ServerName) -> PathBuf {
    let name = server.as_str();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let safe: String = name.chars().take(40).map(|c| if plain(c) { c } else { '_' }).collect();
    let marked = if safe == name { safe } else { format!("{safe}.{}", hex(&Sha256::digest(name.as_bytes())[..4])) };
    state_dir.join(directory).join(format!("{marked}.json"))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn load(state_dir: &Path, options: &Options) -> Option<Offer> {
    let json = Bytes::from(fs::read(path(state_dir, &options.name)).ok()?);
    let text = std::str::from_utf8(&json).ok()?;
    let members = view::members(text).ok()?;
    let get = |key: &str| view::find(text, &members, key).map(|member: Member| member.value);
    let is = |key: &str, want: &str| get(key).and_then(|span| view::string(span.of(text))).as_deref() == Some(want);
    if !is("schema", SCHEMA) || !is("config", &options.config_digest) {
        return None;
    }
    let slice = |key: &str| get(key).filter(|span| span.of(text) != "null").map(|span| json.slice(span.range()));
    let mut listed = Vec::new();
    for (key, kind) in LISTS {
        let at = get(key)?;
        for span in view::elements(at.of(text)).ok()? {
            let start = at.start as usize;
            let definition = json.slice(start + span.start as usize..start + span.end as usize);
            listed.push(read_item(kind, definition).ok()?);
        }
    }
    Some(Offer {
        listed,
        instructions: get("instructions").and_then(|span| view::string(span.of(text))).map(Into::into),
        capabilities: slice("capabilities"),
        server_info: slice("serverInfo"),
        serves_resources: get("servesResources").is_some_and(|span| span.of(text) == "true"),
    })
}

/// Whether two offers agree in all but what they list.
pub(crate) fn same_facts(one: &Offer, other: &Offer) -> bool {
    (&one.instructions, &one.capabilities, &one.server_info, one.serves_resources)
        == (&other.instructions, &other.capabilities, &other.server_info, other.serves_resources)
}

/// Writes what a server offers, in place of what was there.
pub(crate) fn save(shared: &Shared, era: Era, offer: &Offer) {
    let document = document(&shared.options, era, offer);
    let path = path(&shared.world.state_dir, &shared.options.name);
    if let Err(error) = replace(&path, &document) {
        let path = path.display();
        tracing::warn!(target: "mcp::manager", server = %shared.options.name, %path, %error, "cannot keep the catalog");
    }
}

fn document(options: &Options, era: Era, offer: &Offer) -> Vec<u8> {
    let era = if era == Era::Modern { "modern" } else { "legacy" };
    let raw = |bytes: &Option<Bytes>| bytes.clone().unwrap_or_else(|| Bytes::from_static(b"null"));
    let instructions = offer.instructions.as_deref().map_or("null".to_owned(), view::quoted);
    let config = view::quoted(&options.config_digest);
    let mut out =
        format!("{{\"schema\":\"{SCHEMA}\",\"config\":{config},\"era\":\"{era}\",\"capabilities\":").into_bytes();
    out.extend_from_slice(&raw(&offer.capabilities));
    out.extend_from_slice(b",\"serverInfo\":");
    out.extend_from_slice(&raw(&offer.server_info));
    let rest = format!(",\"instructions\":{instructions},\"servesResources\":{}", offer.serves_resources);
    out.extend_from_slice(rest.as_bytes());
    for (key, kind) in LISTS {
        out.extend_from_slice(format!(",\"{key}\":[").as_bytes());
        append(&mut out, offer.listed.iter().filter(|item| item.kind == kind));
        out.push(b']');
    }
    out.extend_from_slice(b"}\n");
    out
}

fn append<'a>(out: &mut Vec<u8>, items: impl Iterator<Item = &'a Listed>) {
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&item.definition);
    }
}

/// Replaces a file as a whole: a reader sees the old text or the new one.
pub(crate) fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    // Several gates may save at once, each its own file.
    let fresh = path.with_extension(format!("{}.new", std::process::id()));
    let written = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh);
    let moved = written.and_then(|mut file| file.write_all(text)).and_then(|()| fs::rename(&fresh, path));
    if moved.is_err() {
        // It may not even be there.
        let _ = fs::remove_file(&fresh);
    }
    moved
}
