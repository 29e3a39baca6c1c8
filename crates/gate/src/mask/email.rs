//! Mail addresses.

/// Names of files and units that stand behind an at sign too, and are no domain.
const NOT_DOMAINS: [&[u8]; 26] = [
    b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp", b"js", b"mjs", b"cjs", b"ts", b"tsx", b"jsx", b"json", b"css",
    b"html", b"yml", b"yaml", b"toml", b"lock", b"tgz", b"service", b"socket", b"timer", b"target", b"mount", b"local",
];

/// The address around the at sign at `at`, if it is one: where it begins and ends.
pub(super) fn around(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let start = local_start(text, at)?;
    let end = domain_end(text, at + 1)?;
    // `git@host:path` names no person.
    let service = &text[start..at] == b"git" && matches!(text.get(end), Some(b':' | b'/'));
    (!service).then_some((start, end))
}

fn local_start(text: &[u8], at: usize) -> Option<usize> {
    let is_local = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'');
    let len = text[..at].iter().rev().take(64).take_while(|byte| is_local(byte) || **byte >= 0x80).count();
    let local = &text[at - len..at];
    let skipped = local.iter().take_while(|byte| matches!(byte, b'.' | b'-' | b'\'' | b'+' | b'%')).count();
    (skipped < len && !local.ends_with(b".")).then_some(at - len + skipped)
}

fn domain_end(text: &[u8], start: usize) -> Option<usize> {
    let len =
        text[start..].iter().take(255).take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-')).count();
    let domain = &text[start..start + len];
    let trailing = domain.iter().rev().take_while(|byte| matches!(byte, b'.' | b'-')).count();
    let domain = &domain[..len - trailing];
    let mut labels = domain.split(|byte| *byte == b'.');
    let top = labels.next_back()?;
    let name = labels.next_back()?;
    let empty = name.is_empty() || labels.any(<[u8]>::is_empty);
    let known = NOT_DOMAINS.iter().any(|no| no.eq_ignore_ascii_case(top));
    let alphabetic = top.len() >= 2 && top.len() <= 24 && top.iter().all(u8::is_ascii_alphabetic);
    (!empty && !known && alphabetic).then_some(start + domain.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: Option<&str>) {
        let at = text.find('@').expect("an at sign");
        let got = around(text.as_bytes(), at).map(|(start, end)| &text[start..end]);
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn addresses_are_found_whole() {
        check("mail jane.doe+x@mail.example.org.", Some("jane.doe+x@mail.example.org"));
        check("<o'neil@example.com>", Some("o'neil@example.com"));
        check("a@b.io, c", Some("a@b.io"));
    }

    #[test]
    fn what_only_looks_like_one_is_left() {
        for text in [
            "git@github.com:o/r.git",
            "left-pad@1.3.0",
            "@scope/pkg@2.0.1",
            "icon@2x.png",
            "getty@tty1.service",
            "a@b",
            "x @y.com",
        ] {
            check(text, None);
        }
    }
}
