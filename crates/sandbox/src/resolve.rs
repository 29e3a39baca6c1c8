//! Finding the executable a person named. Not here: starting it, or guessing what else was meant.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// Why a program's name leads to nothing that can be started.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// No file of that name, neither at the given path nor in any directory of `PATH`.
    #[error("program `{}` was not found", .program.display())]
    NotFound {
        /// The name as it was asked for.
        program: PathBuf,
    },
    /// What is there is a directory, or anything else that is no file.
    #[error("`{}` is {}, not a program", .path.display(), if .path.is_dir() { "a directory" } else { "no regular file" })]
    NotAFile {
        /// What was found.
        path: PathBuf,
    },
    /// The file is there, or may be, but this user may not execute it.
    #[error("`{}` may not be executed: {}", .path.display(), std::io::Error::from(rustix::io::Errno::ACCESS))]
    NotExecutable {
        /// The file that was found.
        path: PathBuf,
    },
}

/// The absolute path of the executable that `program` names.
///
/// A name with a slash is taken relative to `cwd`; any other is looked up in the directories of `path` (the
/// value of the *child's* `PATH`), where a relative or empty entry means `cwd`. Without `cwd` it is the
/// current directory. The file may still vanish before it is started.
pub fn resolve_program(program: &OsStr, cwd: Option<&Path>, path: &OsStr) -> Result<PathBuf, ResolveError> {
    let base = cwd.unwrap_or(Path::new(""));
    if program.is_empty() {
        return Err(not_found(program));
    }
    if program.as_bytes().contains(&b'/') {
        return match Found::at(base.join(program)) {
            Found::Executable(found) => Ok(found),
            Found::Other(error) => Err(error),
            Found::Nothing => Err(not_found(program)),
            // Somebody meant this very file; that the way to it is barred says more than that it was not found.
            Found::Barred(path) => Err(ResolveError::NotExecutable { path }),
        };
    }
    search(program, base, path)
}

fn search(program: &OsStr, base: &Path, path: &OsStr) -> Result<PathBuf, ResolveError> {
    let mut refused = None;
    for entry in path.as_bytes().split(|byte| *byte == b':') {
        match Found::at(base.join(OsStr::from_bytes(entry)).join(program)) {
            Found::Executable(found) => return Ok(found),
            Found::Other(error) => refused = refused.or(Some(error)),
            Found::Nothing | Found::Barred(_) => {}
        }
    }
    Err(refused.unwrap_or_else(|| not_found(program)))
}

fn not_found(program: &OsStr) -> ResolveError {
    ResolveError::NotFound { program: program.into() }
}

enum Found {
    Executable(PathBuf),
    Other(ResolveError),
    Nothing,
    /// A directory on the way may not be entered.
    Barred(PathBuf),
}

impl Found {
    fn at(candidate: PathBuf) -> Found {
        // Absolute, because the program is started in another directory than the one we stand in.
        let candidate = std::path::absolute(&candidate).unwrap_or(candidate);
        match candidate.metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Found::Barred(candidate),
            Err(_) => Found::Nothing,
            Ok(meta) if !meta.is_file() => Found::Other(ResolveError::NotAFile { path: candidate }),
            Ok(_) if access(&candidate, Access::EXEC_OK).is_ok() => Found::Executable(candidate),
            Ok(_) => Found::Other(ResolveError::NotExecutable { path: candidate }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    /// A directory with `bin/tool` (executable), `bin/notes` (not), `late/notes` (executable), `bin/folder/`.
    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for dir in ["bin/folder", "late"] {
            fs::create_dir_all(root.path().join(dir)).unwrap();
        }
        for (file, mode) in [("bin/tool", 0o755), ("bin/notes", 0o644), ("late/notes", 0o755)] {
            let file = root.path().join(file);
            fs::write(&file, "#!/bin/sh\n").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        }
        root
    }

    /// Resolves within [`tree`]; `found:` and `refused:` paths are shown relative to it.
    fn check(program: &str, path: &str, expected: &str) {
        let root = tree();
        let path = path.replace('@', root.path().to_str().unwrap());
        let shown = match resolve_program(program.as_ref(), Some(root.path()), path.as_ref()) {
            Ok(found) => format!("found:{}", found.strip_prefix(root.path()).unwrap().display()),
            Err(ResolveError::NotExecutable { path }) => {
                format!("refused:{}", path.strip_prefix(root.path()).unwrap().display())
            }
            Err(ResolveError::NotAFile { path }) => {
                format!("no file:{}", path.strip_prefix(root.path()).unwrap().display())
            }
            Err(ResolveError::NotFound { .. }) => "missing".to_owned(),
        };
        assert_eq!(shown, expected, "{program} in {path}");
    }

    #[test]
    fn a_bare_name_is_looked_up_in_path() {
        check("tool", "@/late:@/bin", "found:bin/tool");
        check("tool", "@/late", "missing");
        check("tool", "", "missing");
        check("", "@/bin", "missing");
    }

    #[test]
    fn a_file_without_leave_to_execute_is_named_unless_a_later_one_has_it() {
        check("notes", "@/bin", "refused:bin/notes");
        check("notes", "@/bin:@/late", "found:late/notes");
        check("folder", "@/bin", "no file:bin/folder");
    }

    #[test]
    fn a_name_with_a_slash_ignores_path() {
        check("bin/tool", "", "found:bin/tool");
        check("bin/notes", "@/late", "refused:bin/notes");
        check("none/tool", "@/bin", "missing");
    }

    #[test]
    fn relative_path_entries_start_at_the_childs_directory() {
        check("tool", "bin", "found:bin/tool");
        check("tool", ":bin", "found:bin/tool");
    }

    #[test]
    fn what_is_found_is_absolute() {
        let found = resolve_program("./Cargo.toml".as_ref(), None, "".as_ref());
        let Err(ResolveError::NotExecutable { path }) = found else {
            panic!("{found:?}");
        };
        assert!(path.is_absolute(), "{path:?}");
    }
}
