//! The words of a command that Codex tells as one line. Not here: running it.

/// The words of a command line, as a shell would have them. One that no shell would take is one word.
pub fn argv(command: &str) -> Vec<String> {
    split(command).unwrap_or_else(|| vec![command.to_owned()])
}

fn split(command: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut chars) = (Vec::new(), None::<String>, command.chars());
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => loop {
                let word = word.get_or_insert_default();
                match chars.next()? {
                    '\'' => break,
                    c => word.push(c),
                }
            },
            '"' => loop {
                let word = word.get_or_insert_default();
                match chars.next()? {
                    '"' => break,
                    '\\' => match chars.next()? {
                        c @ ('"' | '\\' | '$' | '`') => word.push(c),
                        c => word.extend(['\\', c]),
                    },
                    c => word.push(c),
                }
            },
            '\\' => word.get_or_insert_default().push(chars.next()?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
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
