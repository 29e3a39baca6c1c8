//! The same profiles in the words of macOS, as text for `sandbox-exec -p`. The text is made and tested here; that
//! macOS holds it was never tried, and nothing starts a program with it yet.

use std::fmt::Write;
use std::path::Path;

use crate::net::Net;
use crate::profile::Profile;

/// What programs on macOS cannot run without.
const BASE: &str = "(version 1)
(deny default)
(allow process-exec)
(allow process-fork)
(allow signal (target same-sandbox))
(allow sysctl-read)
(allow file-read-metadata)
(allow file-ioctl (literal \"/dev/null\"))
(allow file-write-data (literal \"/dev/null\") (literal \"/dev/zero\"))
(allow ipc-posix-sem)
(allow mach-lookup (global-name \"com.apple.system.opendirectoryd.libinfo\"))
";

/// What they have to read.
const SYSTEM: [&str; 9] = [
    "/usr",
    "/bin",
    "/sbin",
    "/System",
    "/Library/Frameworks",
    "/private/etc",
    "/private/var/db/timezone",
    "/dev",
    "/opt",
];

/// The profile of a program whose home and temporary directory are these, and to whom `proxy` is the port of the way
/// to its hosts on this machine. All paths have to be real ones: macOS compares them after links were followed.
#[must_use]
pub fn seatbelt(profile: &Profile, home: &Path, tmp: &Path, proxy: u16) -> String {
    let mut text = BASE.to_owned();
    let system = SYSTEM.iter().map(Path::new);
    let readable = system.chain(profile.read.iter().map(AsRef::as_ref)).chain(profile.write.iter().map(AsRef::as_ref));
    readable.chain([home, tmp]).for_each(|path| say(&mut text, format_args!("(allow file-read* {})", below(path))));
    [home, tmp].iter().for_each(|path| say(&mut text, format_args!("(allow file-write* {})", below(path))));
    profile.write.iter().for_each(|root| say(&mut text, format_args!("{}", writable(root, profile))));
    // What is said last counts.
    profile.masked.iter().filter(|mask| !grants(profile, mask)).for_each(|mask| {
        say(&mut text, format_args!("(deny file-read* file-write* {})", below(mask)));
    });
    match &profile.net {
        Net::Off => {}
        Net::On => text.push_str("(allow network*)\n(allow system-socket)\n"),
        Net::Hosts(_) => {
            say(&mut text, format_args!("(allow network-outbound (remote ip \"localhost:{proxy}\"))"));
        }
    }
    text
}

fn say(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a string takes everything");
}

/// Whether the very path was granted: who does that means it.
fn grants(profile: &Profile, path: &Path) -> bool {
    profile.read.iter().chain(&profile.write).any(|root| root == path)
}

/// A writable root without its protected names, whether they are there or not.
fn writable(root: &Path, profile: &Profile) -> String {
    let names = profile.protected.iter().map(|protected| root.join(&protected.name));
    let kept = names.filter(|path| !profile.write.contains(path));
    let except: String = kept.map(|path| format!(" (require-not {})", below(&path))).collect();
    format!("(allow file-write* (require-all {}{except}))", below(root))
}

fn below(path: &Path) -> String {
    let text = path.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"");
    format!("(subpath \"{text}\")")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;
    use crate::profile::{Kind, Protected};
    use expect_test::{Expect, expect};

    fn check(profile: &Profile, expected: Expect) {
        let text = seatbelt(profile, Path::new("/h"), Path::new("/t"), 3128);
        assert!(text.starts_with(BASE));
        let own: Vec<_> = text[BASE.len()..].lines().skip(SYSTEM.len()).collect();
        expected.assert_eq(&format!("{}\n", own.join("\n")));
    }

    fn profile() -> Profile {
        let protected = vec![Protected { name: ".git".into(), kind: Kind::Dir }];
        Profile { protected, ..Profile::new(Level::S4, Vec::new()) }
    }

    #[test]
    fn what_is_not_granted_is_denied() {
        check(
            &profile(),
            expect![[r#"
            (allow file-read* (subpath "/h"))
            (allow file-read* (subpath "/t"))
            (allow file-write* (subpath "/h"))
            (allow file-write* (subpath "/t"))
        "#]],
        );
    }

    #[test]
    fn protected_names_are_cut_out_and_masks_come_last() {
        let profile = Profile {
            read: vec!["/r".into()],
            write: vec!["/w".into()],
            masked: vec!["/r/.ssh".into(), "/r".into()],
            ..profile()
        };
        check(
            &profile,
            expect![[r#"
            (allow file-read* (subpath "/r"))
            (allow file-read* (subpath "/w"))
            (allow file-read* (subpath "/h"))
            (allow file-read* (subpath "/t"))
            (allow file-write* (subpath "/h"))
            (allow file-write* (subpath "/t"))
            (allow file-write* (require-all (subpath "/w") (require-not (subpath "/w/.git"))))
            (deny file-read* file-write* (subpath "/r/.ssh"))
        "#]],
        );
    }

    #[test]
    fn a_protected_name_that_was_granted_itself_stays() {
        let profile = Profile { write: vec!["/w".into(), "/w/.git".into()], ..profile() };
        let text = seatbelt(&profile, Path::new("/h"), Path::new("/t"), 1);
        assert!(text.contains("(require-all (subpath \"/w\"))"), "{text}");
    }

    #[test]
    fn the_network_is_all_or_the_proxy_or_nothing() {
        let with = |net| seatbelt(&Profile { net, ..profile() }, Path::new("/h"), Path::new("/t"), 3128);
        assert!(!with(Net::Off).contains("network"));
        assert!(with(Net::On).contains("(allow network*)"));
        let hosts = with(Net::Hosts(vec!["a.com".parse().unwrap()]));
        assert!(hosts.contains("(allow network-outbound (remote ip \"localhost:3128\"))"), "{hosts}");
        assert!(!hosts.contains("(allow network*)"));
    }

    #[test]
    fn a_path_cannot_end_its_own_quotes() {
        let profile = Profile { read: vec!["/a\") (allow default) (\"".into(), "/b\\".into()], ..profile() };
        let text = seatbelt(&profile, Path::new("/h"), Path::new("/t"), 1);
        assert!(text.contains(r#"(subpath "/a\") (allow default) (\"")"#), "{text}");
        assert!(text.contains(r#"(subpath "/b\\")"#), "{text}");
    }
}
