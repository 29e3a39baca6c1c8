//! Forms that servers must not put to people: those that ask for a secret, and those that pass for ours. Only what a
//! form calls its fields is looked at; what it says in its message is for people to judge.

use crate::rounds::KEY;
use mcp::view;

/// Words that name a secret.
const SECRETS: [&str; 15] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "apikey",
    "credential",
    "credentials",
    "otp",
    "cvv",
    "cvc",
    "pin",
    "mnemonic",
];
/// Words that name one when `key` follows.
const KEYS: [&str; 7] = ["api", "private", "access", "secret", "signing", "encryption", "ssh"];

/// The field that asks for a secret in the parameters of an `elicitation/create`, if one does.
pub(crate) fn secret_field(params: &str) -> Option<String> {
    let properties = view::path(params, &["requestedSchema", "properties"])?;
    let fields = view::members(properties).ok()?;
    fields.iter().find_map(|field| {
        let name = view::string(field.key.of(properties))?;
        let title = view::member(field.value.of(properties), "title").and_then(view::string);
        let asks = names_secret(&name) || title.is_some_and(|title| names_secret(&title));
        asks.then(|| name.into_owned())
    })
}

/// What is wrong with what a server asks for in an answer, if something is: a raw `inputRequests`.
pub(crate) fn foul(requests: &str) -> Option<String> {
    let asked = view::members(requests).ok()?;
    asked.iter().find_map(|one| {
        if view::string(one.key.of(requests)).is_some_and(|key| key == KEY) {
            return Some("passes its question for one of the gate".to_owned());
        }
        let field = secret_field(view::member(one.value.of(requests), "params")?)?;
        Some(format!("asks for a secret in a form (`{}`), which no server may", gate::pin::elided(&field, 80)))
    })
}

fn names_secret(name: &str) -> bool {
    let words = words(name);
    words.iter().any(|word| SECRETS.contains(&word.as_str()))
        || words.windows(2).any(|pair| KEYS.contains(&pair[0].as_str()) && pair[1] == "key")
}

/// The words of a name, however it joins them, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower = false;
    for c in name.chars() {
        if !c.is_alphabetic() || c.is_uppercase() && lower {
            words.push(String::new());
        }
        if c.is_alphabetic() {
            words.last_mut().expect("never empty").extend(c.to_lowercase());
        }
        lower = c.is_lowercase();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_that_asks_for_a_secret_is_known_by_its_fields() {
        let check = |field: &str, want: bool| {
            let params =
                format!(r#"{{"requestedSchema":{{"properties":{{"name":{{}},"{field}":{{"type":"string"}}}}}}}}"#);
            assert_eq!(secret_field(&params).is_some(), want, "{field}");
        };
        for secret in [
            "github_password",
            "Password",
            "apiKey",
            "API_KEY",
            "api-key",
            "accessToken",
            "card cvv",
            "otp2",
            "SSH key",
        ] {
            check(secret, true);
        }
        let alone = r#"{"message":"?","requestedSchema":{"properties":{"github_password":{}}}}"#;
        assert_eq!(secret_field(alone).as_deref(), Some("github_password"));
        for harmless in
            ["email", "max_tokens", "opinion", "shipping", "key", "passenger", "secretary", "spin", "keyboard"]
        {
            check(harmless, false);
        }
        let titled = r#"{"requestedSchema":{"properties":{"a":{"title":"Your password"}}}}"#;
        assert_eq!(secret_field(titled).as_deref(), Some("a"));
        assert_eq!(secret_field(r#"{"mode":"url","url":"https://x"}"#), None);
    }

    #[test]
    fn what_a_server_asks_in_rounds_is_held_against_the_same() {
        assert_eq!(
            foul(r#"{"q":{"method":"elicitation/create","params":{"message":"?"}},"r":{"method":"roots/list"}}"#),
            None
        );
        let secret = r#"{"q":{"params":{"requestedSchema":{"properties":{"token":{}}}}}}"#;
        assert!(foul(secret).is_some_and(|what| what.contains("`token`")));
        assert!(foul(r#"{"toolgate\/approval":{}}"#).is_some_and(|what| what.contains("gate")));
    }
}
