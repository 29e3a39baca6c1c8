//! Names that look like others.

use unicode_security::skeleton as confusable;

/// Names that no server may have: toolgate's own, and the prefix of every tool name on some clients.
const RESERVED: [&str; 5] = ["codex", "mcp", "toolgate", "workspace", "system"];

/// What a name looks like: names that a person may take for each other have the same skeleton. Case, characters
/// that look alike in Unicode, and what cannot be seen make no difference.
pub fn skeleton(name: &str) -> String {
    let seen: String = name.chars().filter(|c| !super::hidden(*c)).flat_map(char::to_lowercase).collect();
    // Once more in lower case: `0` looks like `O`, and `O` shall be what `o` is.
    confusable(&seen).flat_map(char::to_lowercase).collect()
}

/// Whether two different names look alike.
pub fn alike(a: &str, b: &str) -> bool {
    a != b && skeleton(a) == skeleton(b)
}

/// Whether `server` looks like a name that toolgate keeps for itself.
pub(super) fn reserved(server: &str) -> bool {
    RESERVED.contains(&server) || RESERVED.iter().any(|name| alike(server, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(a: &str, b: &str, want: bool) {
        assert_eq!(alike(a, b), want, "{a} and {b}: {} and {}", skeleton(a), skeleton(b));
    }

    #[test]
    fn what_people_take_for_the_same_looks_alike() {
        check("github", "gıthub", true);
        check("github", "GitHub", true);
        check("github", "github\u{200b}", true);
        check("github", "gith\u{443}b", false);
        check("paypal", "p\u{430}ypal", true);
        check("files", "fi1es", true);
        check("tool0", "toolo", true);
        check("github", "gitlab", false);
        check("github", "github", false);
        assert!(reserved("Codex") && reserved("c\u{43e}dex") && !reserved("code"));
    }
}
