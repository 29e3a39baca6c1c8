//! Where secrets are kept that references name: the desktop's keyring where its program `secret-tool` is there and
//! works, else files that their owner alone can read.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::env::Env;
use gate::Secret;

/// Keeps secrets by name.
pub trait Vault {
    /// The secret of this name.
    ///
    /// # Errors
    /// When the vault cannot be asked.
    fn get(&self, name: &str) -> Result<Option<Secret>, VaultError>;

    /// Keeps a secret; an earlier one of this name is gone.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn set(&self, name: &str, secret: &Secret) -> Result<(), VaultError>;

    /// Forgets a secret, and says whether there was one.
    ///
    /// # Errors
    /// When it cannot be forgotten.
    fn remove(&self, name: &str) -> Result<bool, VaultError>;
}

/// Why a vault did not do it.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The name is none.
    #[error("`{}` is no name of a secret (use letters, numbers, '-', '_', '.')", .0.escape_debug())]
    Name(String),
    /// A file in which a secret is kept is open to others.
    #[error("{} is open to others", .0.display())]
    Open(PathBuf),
    /// The system would not.
    #[error("cannot {what} {path}", path = path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The keyring would not.
    #[error("the keyring would not: {0}")]
    Keyring(String),
}

impl VaultError {
    /// What would help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Open(path) => Some(format!("chmod 600 {}", path.display())),
            Self::Name(_) | Self::Io { .. } | Self::Keyring(_) => None,
        }
    }
}

/// The vault of this environment; nothing when there is no home either.
pub fn vault(env: &Env) -> Option<Box<dyn Vault>> {
    let files = FileVault { dir: env.codex_home()?.join("toolgate/secrets") };
    let path = env.get("PATH").unwrap_or_default();
    match sandbox::resolve_program("secret-tool".as_ref(), None, path.as_ref()) {
        Ok(program) => Some(Box::new(Both { keyring: SecretTool { program }, files })),
        Err(_) => Some(Box::new(files)),
    }
}

/// The keyring, and the files for what it did not take.
struct Both {
    keyring: SecretTool,
    files: FileVault,
}

impl Vault for Both {
    fn get(&self, name: &str) -> Result<Option<Secret>, VaultError> {
        match self.files.get(name)? {
            Some(secret) => Ok(Some(secret)),
            None => self.keyring.get(name),
        }
    }

    fn set(&self, name: &str, secret: &Secret) -> Result<(), VaultError> {
        checked(name)?;
        // A machine may have the program and no keyring that it could talk to.
        match self.keyring.set(name, secret) {
            Ok(()) => self.files.remove(name).map(|_| ()),
            Err(_) => self.files.set(name, secret),
        }
    }

    fn remove(&self, name: &str) -> Result<bool, VaultError> {
        let of_files = self.files.remove(name)?;
        let of_keyring = self.keyring.remove(name);
        if of_files { Ok(true) } else { of_keyring }
    }
}

fn checked(name: &str) -> Result<&str, VaultError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let good = !name.is_empty() && name.len() <= 128 && !name.starts_with('.') && name.chars().all(fits);
    if good { Ok(name) } else { Err(VaultError::Name(name.to_owned())) }
}

/// Files of mode 0600, one for each secret.
struct FileVault {
    dir: PathBuf,
}

impl FileVault {
    fn path(&self, name: &str) -> Result<PathBuf, VaultError> {
        Ok(self.dir.join(checked(name)?))
    }
}

fn failed(what: &'static str, path: PathBuf) -> impl FnOnce(io::Error) -> VaultError {
    move |source| VaultError::Io { what, path, source }
}

impl Vault for FileVault {
    fn get(&self, name: &str) -> Result<Option<Secret>, VaultError> {
        let path = self.path(name)?;
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", path)(error)),
        };
        let found = file.metadata().map_err(failed("read", path.clone()))?;
        if found.mode() & 0o077 != 0 {
            return Err(VaultError::Open(path));
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed("read", path))?;
        Ok(Some(Secret::new(text)))
    }

    fn set(&self, name: &str, secret: &Secret) -> Result<(), VaultError> {
        let path = self.path(name)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir).map_err(failed("create", self.dir.clone()))?;
        let write = || {
            // Made with mode 0600.
            let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
            file.write_all(secret.expose().as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)
        };
        write().map(|_| ()).map_err(failed("write", path.clone()))
    }

    fn remove(&self, name: &str) -> Result<bool, VaultError> {
        let path = self.path(name)?;
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed("remove", path)(error)),
        }
    }
}

/// The desktop's keyring, through the program that libsecret brings.
struct SecretTool {
    program: PathBuf,
}

/// How long the keyring may take: it may ask its owner to unlock it.
const PATIENCE: Duration = Duration::from_secs(5);

impl SecretTool {
    fn ask(&self, args: &[&str], name: &str, input: &str) -> Result<Output, VaultError> {
        let mut command = Command::new(&self.program);
        command.args(args).args(["service", "toolgate", "account", checked(name)?]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| VaultError::Keyring(error.to_string()))?;
        // One that does not read is told by how it ends.
        let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
        within(child, PATIENCE)
    }
}

fn within(child: Child, patience: Duration) -> Result<Output, VaultError> {
    let pid = rustix::process::Pid::from_child(&child);
    let (tell, told) = mpsc::sync_channel(1);
    let waiter = thread::spawn(move || tell.send(child.wait_with_output()));
    let output = told.recv_timeout(patience);
    if output.is_err() {
        // Its waiter still holds it, so the number is still its own.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    let _ = waiter.join();
    match output {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(VaultError::Keyring(error.to_string())),
        Err(_) => Err(VaultError::Keyring(format!("no answer within {} s", patience.as_secs()))),
    }
}

fn said(output: &Output) -> VaultError {
    let text = String::from_utf8_lossy(&output.stderr);
    let first = text.lines().next().unwrap_or("it failed and did not say why");
    VaultError::Keyring(first.to_owned())
}

impl Vault for SecretTool {
    fn get(&self, name: &str) -> Result<Option<Secret>, VaultError> {
        let output = self.ask(&["lookup"], name, "")?;
        match (output.status.success(), String::from_utf8(output.stdout.clone())) {
            (true, Ok(text)) => Ok(Some(Secret::new(text))),
            // It ends so, and says nothing, when there is no such secret.
            (false, _) if output.stderr.is_empty() => Ok(None),
            _ => Err(said(&output)),
        }
    }

    fn set(&self, name: &str, secret: &Secret) -> Result<(), VaultError> {
        let label = format!("--label=toolgate: {}", checked(name)?);
        let output = self.ask(&["store", &label], name, secret.expose())?;
        if output.status.success() { Ok(()) } else { Err(said(&output)) }
    }

    fn remove(&self, name: &str) -> Result<bool, VaultError> {
        let there = self.get(name)?.is_some();
        let output = self.ask(&["clear"], name, "")?;
        if output.status.success() || !there { Ok(there) } else { Err(said(&output)) }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A keyring that is a directory of files.
    const KEYRING: &str = r#"#!/bin/sh
for last; do :; done
file="$(dirname "$0")/kept-$last"
case "$1" in
  store) cat > "$file";;
  lookup) cat "$file" 2>/dev/null;;
  clear) rm -f "$file";;
esac
"#;

    fn round(vault: &dyn Vault) {
        assert_eq!(vault.get("a.b").unwrap(), None);
        for text in ["one", "two\n", "with 'quotes' $x"] {
            vault.set("a.b", &Secret::new(text)).unwrap();
            assert_eq!(vault.get("a.b").unwrap().unwrap().expose(), text);
        }
        assert!(vault.remove("a.b").unwrap());
        assert!(!vault.remove("a.b").unwrap());
        assert_eq!(vault.get("a.b").unwrap(), None);
        for name in ["", "../x", ".x", "a b", "a/b"] {
            assert!(matches!(vault.set(name, &Secret::new("x")), Err(VaultError::Name(_))), "{name}");
        }
    }

    fn keyring(dir: &tempfile::TempDir, text: &str) -> Env {
        let program = dir.path().join("secret-tool");
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", dir.path().display());
        Env::from_iter([("PATH", path), ("CODEX_HOME", dir.path().join("home").display().to_string())])
    }

    #[test]
    fn secrets_are_kept_in_files_that_their_owner_alone_can_read() {
        let home = tempfile::tempdir().unwrap();
        let env = Env::from_iter([("CODEX_HOME", home.path().display().to_string())]);
        let vault = vault(&env).unwrap();
        round(&*vault);
        vault.set("open", &Secret::new("x")).unwrap();
        let path = home.path().join("toolgate/secrets/open");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = vault.get("open").unwrap_err();
        assert_eq!(error.hint().unwrap(), format!("chmod 600 {}", path.display()));
    }

    #[test]
    fn the_keyring_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        let vault = vault(&keyring(&dir, KEYRING)).unwrap();
        round(&*vault);
        vault.set("k", &Secret::new("x")).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("kept-k")).unwrap(), "x");
        assert!(!dir.path().join("home/toolgate/secrets/k").exists());
    }

    #[test]
    fn a_keyring_that_does_not_work_leaves_it_to_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let vault = vault(&keyring(&dir, "#!/bin/sh\necho 'no bus' >&2\nexit 1\n")).unwrap();
        vault.set("k", &Secret::new("x")).unwrap();
        assert_eq!(vault.get("k").unwrap().unwrap().expose(), "x");
        assert_eq!(vault.get("other").unwrap_err().to_string(), "the keyring would not: no bus");
        assert!(vault.remove("k").unwrap());
    }

    #[test]
    fn a_keyring_that_hangs_is_given_up() {
        let child = Command::new("sleep").arg("60").stdout(Stdio::piped()).spawn().unwrap();
        let error = within(child, Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.to_string(), "the keyring would not: no answer within 0 s");
    }
}
