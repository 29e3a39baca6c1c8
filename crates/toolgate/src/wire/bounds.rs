//! What a server is kept in, from what its entry says and what it cannot do without.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::config::{self, Bounds, Config, Env, Server, Stdio, Transport};
use sandbox::{Profile, credential_paths, resolve_program, runtime_roots};

/// The profile of a server whose entry says `bounds`. It may read its program, the package of a script among its
/// arguments, and its working directory, because its owner named them; and it has a home of its own.
pub(super) fn profile(config: &Config, server: &Server, stdio: &Stdio, bounds: &Bounds, env: &Env) -> Profile {
    let home = env.filled("HOME").map(PathBuf::from);
    let read = bounds.read.iter().cloned().chain(stdio.cwd.clone()).chain(runtime(server, stdio, env, home.as_deref()));
    Profile {
        allow_degraded: bounds.allow_degraded,
        net: bounds.net.clone(),
        read: read.collect(),
        write: bounds.write.clone(),
        home: Some(own_home(config, &server.name)),
        limits: bounds.limits,
        env_keep: stdio.env.keys().cloned().collect(),
        ..Profile::new(bounds.level, masked(config, home.as_deref()))
    }
}

/// The profile of the programs that declared tools name.
pub(super) fn of_handlers(config: &Config, server: &Server, stdio: &Stdio, programs: &[&str], env: &Env) -> Profile {
    let bounds = server.sandbox.clone().unwrap_or_default();
    let runtimes = programs.iter().map(|program| Stdio { command: (*program).to_owned(), ..stdio.clone() });
    let home = env.filled("HOME").map(PathBuf::from);
    let read: Vec<_> = runtimes.flat_map(|stdio| runtime(server, &stdio, env, home.as_deref())).collect();
    let profile = profile(config, server, stdio, &bounds, env);
    Profile { read: profile.read.iter().cloned().chain(read).collect(), ..profile }
}

/// The profile of the server `name`, if it has one, for trying what it holds: without its home, and without what was
/// granted so widely that nothing could be tried outside of it.
pub fn to_try(config: &Config, env: &Env, name: &str) -> Option<Profile> {
    let server = config.servers.get(name)?;
    let (Transport::Stdio(stdio), Some(bounds)) = (&server.transport, &server.sandbox) else { return None };
    let mut profile = Profile { home: None, ..profile(config, server, stdio, bounds, env) };
    let narrow = |root: &PathBuf| !std::env::temp_dir().starts_with(root);
    profile.read.retain(narrow);
    profile.write.retain(narrow);
    Some(profile)
}

/// What nobody but toolgate may see.
pub(super) fn masked(config: &Config, home: Option<&Path>) -> Vec<PathBuf> {
    let credentials = home.map(credential_paths).unwrap_or_default();
    credentials.into_iter().chain([config.home.clone()]).collect()
}

/// Where a server keeps what it wants to find again. Its name may hold slashes and dots, which must lead nowhere.
fn own_home(config: &Config, name: &str) -> PathBuf {
    config.state_dir().join("homes").join(file_name(name))
}

/// `name` as the name of a file, another one for every name also where case does not count.
fn file_name(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") }).collect()
}

fn runtime(server: &Server, stdio: &Stdio, env: &Env, home: Option<&Path>) -> Vec<PathBuf> {
    let given = config::child_env(server, env);
    let path = given.iter().find(|(key, _)| key == "PATH").map_or("", |(_, path)| path.as_str());
    let args: Vec<OsString> = stdio.args.iter().map(Into::into).collect();
    match resolve_program(stdio.command.as_ref(), stdio.cwd.as_deref(), path.as_ref()) {
        Ok(program) => runtime_roots(&program, &args, home),
        // Whoever starts it will say that it is missing.
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn a_home_lies_where_homes_are_whatever_the_server_is_called() {
        for (name, expected) in [("git", "git"), ("../Git", "%2e%2e%2f%47it"), ("a/b", "a%2fb"), (".", "%2e")] {
            assert_eq!(file_name(name), expected);
        }
    }
}
