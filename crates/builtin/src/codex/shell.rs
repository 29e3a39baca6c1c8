//! The words of a command that Codex tells as one line, which it joined with the same library. Not here: running it.

/// The words of a command line, as a shell would have them. One that no shell would take is one word.
pub fn argv(command: &str) -> Vec<String> {
    shlex::split(command).unwrap_or_else(|| vec![command.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::argv;

    #[test]
    fn words_are_split_as_a_shell_would() {
        let check = |line: &str, words: &[&str]| assert_eq!(argv(line), words, "{line}");
        check("/bin/bash -lc 'touch made'", &["/bin/bash", "-lc", "touch made"]);
        check(r#"a "b \"c\" \n" d\ e '' "#, &["a", r#"b "c" \n"#, "d e", ""]);
        check(r#"x'y'"z""#, &["xyz"]);
        check("not 'closed", &["not 'closed"]);
        check("", &[]);
    }
}
