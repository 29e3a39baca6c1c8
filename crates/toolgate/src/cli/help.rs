//! How the texts below the options are set: paragraphs are filled to the terminal's width by the parser, so the line
//! ends they have in the source are taken out. Examples and lists, which are indented, stay as they are.

use clap::Command;

/// `command` and all below it, with paragraphs in one line each, and examples as they are typed to `program`.
pub(super) fn filled(command: Command, program: &str) -> Command {
    let typed = |text: String| text.replace("  toolgate mcp ", &format!("  {program} mcp "));
    let text = command.get_after_help().map(|text| typed(fill(&text.to_string())));
    let command = command.mut_subcommands(|command| filled(command, program));
    match text {
        Some(text) => command.after_help(text),
        None => command,
    }
}

fn fill(text: &str) -> String {
    let mut out = String::new();
    let mut before = "";
    for line in text.lines() {
        let goes_on = |line: &str| !line.is_empty() && !line.starts_with(' ');
        let joins = goes_on(before) && goes_on(line) && !before.ends_with(':');
        if !out.is_empty() {
            out.push(if joins { ' ' } else { '\n' });
        }
        out.push_str(line);
        before = line;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_one_line_and_examples_stay() {
        let text = "Examples:\n  toolgate a\n  toolgate b\n\nA yes is asked for\nat the terminal.\nOnce.\n\nThe end";
        let want = "Examples:\n  toolgate a\n  toolgate b\n\nA yes is asked for at the terminal. Once.\n\nThe end";
        assert_eq!(fill(text), want);
        assert_eq!(fill(want), want);
    }

    #[test]
    fn the_texts_of_subcommands_are_filled_too() {
        let inner = Command::new("inner").after_help("one\ntwo");
        let mut outer = filled(Command::new("outer").subcommand(Command::new("middle").subcommand(inner)), "toolgate");
        outer.build();
        let inner = outer.find_subcommand("middle").and_then(|middle| middle.find_subcommand("inner"));
        assert_eq!(inner.and_then(Command::get_after_help).map(ToString::to_string).as_deref(), Some("one two"));
    }
}
