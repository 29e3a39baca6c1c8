//! Which paths a profile grants: made real, ordered, and with what may not be seen carved out. Looks at the file
//! system, changes nothing. Not here: mounts or Landlock rules, which are made of this.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Directories of the system that every program needs to run at all.
pub(crate) const SYSTEM: [&str; 10] =
    ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix/store"];

/// The same path without symbolic links, or `None` where there is nothing.
pub(crate) fn real(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok()
}

/// The symbolic links on the way along `path`, as (link, what it holds). They have to be there for the path to work
/// where only its real one is.
pub(crate) fn links_on(path: &Path) -> Vec<(PathBuf, PathBuf)> {
    /// More would be a circle.
    const MOST: usize = 40;
    let mut links = Vec::new();
    let mut rest = path.to_owned();
    while links.len() < MOST {
        let Some((link, target, beyond)) = first_link(&rest) else { break };
        let resolved = link.parent().unwrap_or(Path::new("/")).join(&target).join(beyond);
        links.push((link, target));
        rest = normal(&resolved);
    }
    links
}

/// The first symbolic link of a path, what it holds, and what of the path lies beyond it.
fn first_link(path: &Path) -> Option<(PathBuf, PathBuf, PathBuf)> {
    let mut seen = PathBuf::new();
    let mut components = path.components();
    while let Some(component) = components.next() {
        seen.push(component);
        if let Ok(target) = fs::read_link(&seen) {
            return Some((seen, target, components.as_path().to_owned()));
        }
    }
    None
}

/// Without `.` and `..`. True to the file system only where what comes before a `..` is no link.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut normal, component| {
        match component {
            Component::ParentDir => _ = normal.pop(),
            Component::CurDir => {}
            other => normal.push(other),
        }
        normal
    })
}

/// What is left of `root` without `masks`: itself if none lies below it, else its children, and theirs. A link is
/// left out, for it leads to what has to be granted by itself. That `root` lies below a mask does not matter: who
/// grants it means it.
pub(crate) fn without(root: &Path, masks: &[PathBuf]) -> Vec<PathBuf> {
    if masks.iter().any(|mask| root == mask) {
        return Vec::new();
    }
    if !masks.iter().any(|mask| mask.starts_with(root)) {
        return vec![root.to_owned()];
    }
    let children = fs::read_dir(root).into_iter().flatten().flatten();
    let kept = children.filter(|child| child.file_type().is_ok_and(|kind| !kind.is_symlink()));
    kept.flat_map(|child| without(&child.path(), masks)).collect()
}

/// What a program needs to be read besides the system: the tree it was installed in, and the package of a script
/// that is its argument. Only what its owner named leads there. Never a whole home directory.
#[must_use]
pub fn runtime_roots(program: &Path, args: &[std::ffi::OsString], home: Option<&Path>) -> Vec<PathBuf> {
    let scripts = args.iter().map(Path::new).filter(|arg| arg.is_absolute() && arg.is_file());
    let named: Vec<_> = [program.to_owned()].into_iter().chain(scripts.map(Path::to_owned)).collect();
    let files = named.iter().cloned().chain(named.iter().filter_map(|file| interpreter(file)));
    let places = files.flat_map(|file| [real(&file), Some(file)]).flatten();
    let mut roots: Vec<_> = places.map(|file| installation(&file, home)).collect();
    let bases: Vec<_> = roots.iter().filter_map(|root| base_of(root)).collect();
    roots.extend(
        bases.into_iter().flat_map(|base| [real(&base), Some(base)]).flatten().map(|file| installation(&file, home)),
    );
    roots.retain(|root| !is_system(root));
    roots.sort();
    roots.dedup();
    roots
}

/// The program that a `#!` line names.
fn interpreter(script: &Path) -> Option<PathBuf> {
    /// The kernel reads no more of it.
    const LINE: u64 = 256;
    let mut line = Vec::new();
    fs::File::open(script).ok()?.take(LINE).read_to_end(&mut line).ok()?;
    let line = line.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?.trim_ascii();
    let path = Path::new(OsStr::from_bytes(line.split(|byte| *byte == b' ').next()?));
    path.is_absolute().then(|| path.to_owned())
}

/// A program of the Python that a virtual environment at `root` was made from.
fn base_of(root: &Path) -> Option<PathBuf> {
    let settings = fs::read_to_string(root.join("pyvenv.cfg")).ok()?;
    let home = settings.lines().find_map(|line| line.split_once('=').filter(|(key, _)| key.trim() == "home"))?.1;
    Some(Path::new(home.trim()).join("python3"))
}

fn is_system(path: &Path) -> bool {
    SYSTEM.iter().any(|system| path.starts_with(system))
}

/// The tree that `file` was installed in: that above `node_modules`' packages or `bin`, else its own directory.
fn installation(file: &Path, home: Option<&Path>) -> PathBuf {
    let modules = file.ancestors().filter(|above| above.file_name().is_some_and(|name| name == "node_modules")).last();
    let dir = file.parent().unwrap_or(file);
    let above = dir.parent().filter(|_| dir.file_name().is_some_and(|name| name == "bin" || name == "dist"));
    let candidates = [modules, above, Some(dir)];
    let found = candidates.into_iter().flatten().find(|root| is_narrow(root, home));
    found.unwrap_or(file).to_owned()
}

/// Whether granting `root` grants no more than one installation.
fn is_narrow(root: &Path, home: Option<&Path>) -> bool {
    let shared = root.file_name().is_none_or(|name| name == ".local") || root.components().count() < 3;
    !shared && !home.is_some_and(|home| home.starts_with(root))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Makes empty files below a new directory.
    fn tree(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        root
    }

    fn check_without(masks: &[&str], expected: &[&str]) {
        let root = tree(&["a/b/c", "a/b/d", "a/e", "f"]);
        symlink("/etc", root.path().join("link")).unwrap();
        let masks: Vec<_> = masks.iter().map(|mask| root.path().join(mask)).collect();
        let mut left: Vec<_> = without(root.path(), &masks)
            .iter()
            .map(|path| path.strip_prefix(root.path()).unwrap().to_str().unwrap().to_owned())
            .collect();
        left.sort();
        assert_eq!(left, expected);
    }

    #[test]
    fn masks_are_carved_out() {
        check_without(&[], &[""]);
        check_without(&["elsewhere"], &["a", "f"]);
        check_without(&["a"], &["f"]);
        check_without(&["a/b/c"], &["a/b/d", "a/e", "f"]);
        check_without(&[""], &[]);
    }

    #[test]
    fn links_on_the_way_are_found() {
        let root = tree(&["data/x/file"]);
        let base = root.path().canonicalize().unwrap();
        symlink("data", base.join("home")).unwrap();
        symlink("../data/x", base.join("data/y")).unwrap();
        let links = links_on(&base.join("home/y/file"));
        let expected = [(base.join("home"), "data".into()), (base.join("data/y"), "../data/x".into())];
        assert_eq!(links, expected);
        assert_eq!(links_on(&base.join("data/x/file")), []);
    }

    #[test]
    fn a_circle_of_links_ends() {
        let root = tempfile::tempdir().unwrap();
        symlink("b", root.path().join("a")).unwrap();
        symlink("a", root.path().join("b")).unwrap();
        assert!(!links_on(&root.path().join("a/x")).is_empty());
    }

    fn check_installation(file: &str, expected: &str) {
        let found = installation(Path::new(file), Some(Path::new("/home/u")));
        assert_eq!(found, Path::new(expected), "{file}");
    }

    #[test]
    fn an_installation_is_its_tree_and_never_a_home() {
        check_installation("/home/u/.nvm/versions/node/v20/bin/node", "/home/u/.nvm/versions/node/v20");
        check_installation("/home/u/.local/bin/uvx", "/home/u/.local/bin");
        check_installation("/home/u/bin/tool", "/home/u/bin");
        check_installation("/home/u/tool", "/home/u/tool");
        check_installation("/srv/p/node_modules/@m/server/node_modules/x/dist/index.js", "/srv/p/node_modules");
        check_installation("/home/u/p/dist/index.js", "/home/u/p");
        check_installation("/home/u/p/src/main.py", "/home/u/p/src");
    }

    #[test]
    fn a_script_needs_its_interpreter_and_a_virtual_environment_its_python() {
        let root = tree(&["python/bin/python3"]);
        let base = root.path().canonicalize().unwrap();
        fs::create_dir_all(base.join("venv/bin")).unwrap();
        symlink(base.join("python/bin/python3"), base.join("venv/bin/python")).unwrap();
        fs::write(base.join("venv/bin/tool"), format!("#!{}/venv/bin/python -I\n", base.display())).unwrap();
        fs::write(base.join("venv/pyvenv.cfg"), format!("home = {}/python/bin\n", base.display())).unwrap();
        let roots = runtime_roots(&base.join("venv/bin/tool"), &[], None);
        assert_eq!(roots, [base.join("python"), base.join("venv")]);
    }

    #[test]
    fn the_system_needs_no_grant() {
        assert_eq!(
            runtime_roots(Path::new("/usr/bin/env"), &["/etc/passwd".into(), "-x".into()], None),
            [""; 0].map(PathBuf::from)
        );
    }
}
