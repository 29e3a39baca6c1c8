//! The directories that a client names as its roots, held against our own. Not here: how a client is asked.

use super::{Mode, OFlags, PROTECTED, Protected, Root, Roots, openat2};
use rustix::fs::ResolveFlags;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Roots {
    /// What of these roots the client means too: each directory of its that lies beneath one of ours, and each of ours
    /// that lies beneath one of its. `None` if there is nothing of the kind. A directory that holds what is protected
    /// is no root: seen from within, nothing would be.
    pub fn narrowed(&self, asked: &[PathBuf]) -> Option<Self> {
        let mut roots = Self::default();
        for named in asked {
            let Ok(real) = named.canonicalize() else { continue };
            match self.beneath(named, &real) {
                Some(root) => roots.add(root),
                None => {
                    self.0.iter().filter(|ours| ours.real.starts_with(&real)).for_each(|ours| roots.add(ours.clone()))
                }
            }
        }
        (!roots.0.is_empty()).then_some(roots)
    }

    /// The directories a client names, wherever they are, but for those that are `too_wide` and those that are protected.
    pub fn of_client(asked: &[PathBuf], too_wide: &[PathBuf]) -> Option<Self> {
        let mut roots = Self::default();
        let wide = |real: &Path| real.parent().is_none() || too_wide.iter().any(|wide| wide.starts_with(real));
        let opened = asked.iter().filter_map(|named| Root::open(named).ok());
        opened.filter(|root| !wide(&root.real) && !is_protected(&root.real)).for_each(|root| roots.add(root));
        (!roots.0.is_empty()).then_some(roots)
    }

    fn beneath(&self, named: &Path, real: &Path) -> Option<Root> {
        let within = |ours: &&Root| real.strip_prefix(&ours.real).is_ok_and(|rest| !is_protected(rest));
        let ours = self.0.iter().find(within)?;
        let rest = real.strip_prefix(&ours.real).ok()?;
        if rest.as_os_str().is_empty() {
            return Some(ours.clone());
        }
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = openat2(&ours.dir, rest, flags, Mode::empty(), resolve).ok()?;
        Some(Root { named: named.to_owned(), real: real.to_owned(), dir: Arc::new(dir) })
    }

    fn add(&mut self, root: Root) {
        if !self.0.iter().any(|known| known.real == root.real) {
            self.0.push(root);
        }
    }
}

fn is_protected(path: &Path) -> bool {
    Protected::new(PROTECTED).covers(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(roots: Option<Roots>, base: &Path) -> Option<Vec<String>> {
        let name = |dir: &Path| dir.strip_prefix(base).unwrap_or(dir).display().to_string();
        roots.map(|roots| roots.dirs().map(name).collect())
    }

    #[test]
    fn a_client_narrows_and_never_widens() {
        let temp = tempfile::tempdir().expect("temporary");
        let base = temp.path().canonicalize().expect("there");
        for dir in ["a/sub/deep", "a/.git/hooks", "b", "other"] {
            std::fs::create_dir_all(base.join(dir)).expect("made");
        }
        std::os::unix::fs::symlink(base.join("other"), base.join("a/out")).expect("linked");
        std::os::unix::fs::symlink(base.join("a/.git"), base.join("a/g")).expect("linked");
        let ours = Roots::open(&[base.join("a"), base.join("b")]).expect("there");
        let check = |asked: &[&str], want: Option<&[&str]>| {
            let asked: Vec<_> = asked.iter().map(|dir| base.join(dir)).collect();
            let want = want.map(|want| want.iter().map(|dir| (*dir).to_owned()).collect::<Vec<_>>());
            assert_eq!(seen(ours.narrowed(&asked), &base), want, "{asked:?}");
        };
        check(&["a/sub"], Some(&["a/sub"]));
        check(&["b", "a/sub/deep", "b"], Some(&["b", "a/sub/deep"]));
        check(&[""], Some(&["a", "b"]));
        check(&["other", "b"], Some(&["b"]));
        for outside in ["other", "a/out", "a/.git", "a/.git/hooks", "a/g", "a/../other", "absent", "/etc"] {
            check(&[outside], None);
        }
    }

    #[test]
    fn even_an_accepted_client_names_no_whole_home_and_nothing_protected() {
        let temp = tempfile::tempdir().expect("temporary");
        let base = temp.path().canonicalize().expect("there");
        for dir in ["home/me/project", "home/me/.codex/x"] {
            std::fs::create_dir_all(base.join(dir)).expect("made");
        }
        let of = |dir: &Path| Roots::of_client(&[dir.to_owned()], &[base.join("home/me")]).is_some();
        assert!(of(&base.join("home/me/project")));
        for refused in ["home", "home/me", "home/me/.codex/x", "absent", "/"] {
            assert!(!of(&base.join(refused)), "{refused}");
        }
    }
}
