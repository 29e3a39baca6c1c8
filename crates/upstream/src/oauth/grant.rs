//! The token endpoint: a code or a refresh token for an access token.

use super::error::LoginError;
use super::net::{Net, NetError, Page};
use super::registration::{Client, Method, code_of};
use base64::Engine;
use http::HeaderValue;
use serde::Deserialize;
use thiserror::Error;
use url::Url;

/// What was granted.
pub(super) struct Grant {
    pub access: String,
    pub refresh: Option<String>,
    pub expires_in_secs: Option<u64>,
    /// Where they differ from those asked for.
    pub scopes: Option<Vec<String>>,
}

/// Why nothing was.
#[derive(Debug, Error)]
pub(super) enum GrantError {
    /// It cannot be had: asking again with the same is no use.
    #[error("it was refused: {0}")]
    Refused(&'static str),
    /// It may be had later.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The answer makes no sense.
    #[error("the answer of the token endpoint cannot be used: {0}")]
    Answer(&'static str),
}

impl From<GrantError> for LoginError {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::Refused(code) => Self::Refused { what: "the code", code },
            GrantError::Net(why) => Self::Fetch { what: "a token", why },
            GrantError::Answer(why) => Self::Document { what: "the answer of the token endpoint", why },
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: String,
    expires_in: Option<serde_json::Value>,
    refresh_token: Option<String>,
    scope: Option<String>,
}

/// Asks for a grant with `form`, as `client`.
pub(super) async fn ask(
    net: &Net,
    endpoint: &Url,
    client: &Client,
    form: &[(&str, &str)],
) -> Result<Grant, GrantError> {
    let page = post(net, endpoint, client, form).await?;
    match page.status {
        200 => read(&page),
        // RFC 6749 knows these two; whatever else goes wrong may be right again soon.
        400 | 401 => Err(GrantError::Refused(code_of(&page))),
        status => Err(NetError::Status(status).into()),
    }
}

/// Posts a form with what proves who the client is.
pub(super) async fn post(net: &Net, endpoint: &Url, client: &Client, form: &[(&str, &str)]) -> Result<Page, NetError> {
    let mut form = form.to_vec();
    let secret = client.secret.as_deref().unwrap_or_default();
    let authorization = match client.method {
        Method::ClientSecretBasic => Some(basic(&client.id, secret)),
        Method::ClientSecretPost => {
            form.extend([("client_id", client.id.as_str()), ("client_secret", secret)]);
            None
        }
        Method::None => {
            form.push(("client_id", &client.id));
            None
        }
    };
    net.post_form(endpoint, &form, authorization).await
}

fn basic(id: &str, secret: &str) -> HeaderValue {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let both = base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret)));
    let mut value = HeaderValue::try_from(format!("Basic {both}")).expect("base64 is ASCII");
    value.set_sensitive(true);
    value
}

fn read(page: &Page) -> Result<Grant, GrantError> {
    let answer: Answer =
        serde_json::from_slice(&page.body).map_err(|_| GrantError::Answer("it lacks something or is no JSON"))?;
    if !answer.token_type.eq_ignore_ascii_case("bearer") {
        return Err(GrantError::Answer("its token is not for bearers"));
    }
    if bearer(&answer.access_token).is_none() {
        return Err(GrantError::Answer("its token cannot be sent"));
    }
    // Some servers write the number as text.
    let seconds = answer.expires_in.and_then(|raw| raw.as_u64().or_else(|| raw.as_str()?.parse().ok()));
    let scopes = answer.scope.map(|scope| scope.split_whitespace().map(str::to_owned).collect());
    Ok(Grant { access: answer.access_token, refresh: answer.refresh_token, expires_in_secs: seconds, scopes })
}

/// The header with a token, if one can hold it.
pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    if token.is_empty() || !token.bytes().all(|byte| (0x21..0x7f).contains(&byte)) {
        return None;
    }
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, want: Result<(&str, Option<u64>), &str>) {
        let page = Page { status: 200, body: body.as_bytes().to_vec() };
        let got = read(&page).map(|grant| (grant.access, grant.expires_in_secs)).map_err(|error| error.to_string());
        match want {
            Ok((token, expires)) => assert_eq!(got, Ok((token.to_owned(), expires))),
            Err(why) => assert!(got.as_ref().is_err_and(|error| error.contains(why)), "{got:?}"),
        }
    }

    #[test]
    fn an_answer_is_read_or_said_to_be_useless() {
        check(r#"{"access_token":"a","token_type":"bearer","expires_in":5}"#, Ok(("a", Some(5))));
        check(r#"{"access_token":"a","token_type":"Bearer","expires_in":"60"}"#, Ok(("a", Some(60))));
        check(r#"{"access_token":"a","token_type":"Bearer"}"#, Ok(("a", None)));
        check(r#"{"access_token":"a","token_type":"DPoP"}"#, Err("not for bearers"));
        check(r#"{"access_token":"a b","token_type":"Bearer"}"#, Err("cannot be sent"));
        check(r#"{"access_token":"a\r\nX: y","token_type":"Bearer"}"#, Err("cannot be sent"));
        check(r#"{"access_token":"a"}"#, Err("lacks something"));
        check("<html>", Err("no JSON"));
    }

    #[test]
    fn a_client_proves_itself_with_both_parts_encoded() {
        assert_eq!(basic("a:b", "c d").to_str().unwrap(), "Basic YSUzQWI6Yytk");
    }
}
