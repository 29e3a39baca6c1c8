//! A server that wants a login, and its authorization server, in one process: metadata, registration, PKCE, rotating
//! refresh tokens, revocation. Each request becomes a line of JSON in a log. Flags make it misbehave.

mod grants;
mod metadata;
mod protected;

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use clap::Parser;
use serde_json::{Value, json};

use grants::Grants;

/// How it behaves.
#[derive(Debug, Clone, Parser)]
pub struct Flags {
    /// Where each request is written down.
    #[arg(long)]
    log: PathBuf,
    /// Nobody can register.
    #[arg(long)]
    no_dcr: bool,
    /// Client ids may be URLs of metadata documents.
    #[arg(long)]
    cimd: bool,
    /// Seconds that a token is good for.
    #[arg(long, default_value_t = 3600)]
    expires: u64,
    /// There is no metadata of the resource.
    #[arg(long)]
    no_prm: bool,
    /// The person says no.
    #[arg(long)]
    deny: bool,
    /// Who the callback says it comes from; `none` for nobody.
    #[arg(long)]
    iss: Option<String>,
    /// Who the metadata says it is of.
    #[arg(long)]
    metadata_issuer: Option<String>,
    /// PKCE is not offered.
    #[arg(long)]
    no_pkce: bool,
    /// No refresh token is good.
    #[arg(long)]
    revoked: bool,
    /// No refresh token is given.
    #[arg(long)]
    no_refresh: bool,
    /// The resource that the metadata is about.
    #[arg(long)]
    resource: Option<String>,
    /// The address of the authorization endpoint.
    #[arg(long)]
    authorize: Option<String>,
    /// The address of the token endpoint.
    #[arg(long)]
    token: Option<String>,
    /// Where the metadata of the authorization server redirects to.
    #[arg(long)]
    redirect: Option<String>,
    /// A method at the token endpoint besides `none`; without `none`.
    #[arg(long)]
    method: Option<String>,
}

/// What it knows while it runs.
struct Fixture {
    flags: Flags,
    base: String,
    log: Mutex<File>,
    grants: Mutex<Grants>,
}

/// One request.
struct Asked {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
}

impl Asked {
    fn get<'a>(pairs: &'a [(String, String)], key: &str) -> &'a str {
        pairs.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value)
    }

    fn authorization(&self) -> &str {
        self.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Serves on a free port until the process ends; `tell` hears the URL of the protected endpoint.
///
/// # Errors
/// When the log cannot be written or nothing can be listened on.
pub fn run(flags: Flags, tell: impl FnOnce(&str) -> io::Result<()>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}", listener.local_addr()?);
        let log = File::options().create(true).append(true).open(&flags.log)?;
        tell(&format!("{base}/mcp"))?;
        let fixture = Fixture { flags, base, log: Mutex::new(log), grants: Mutex::default() };
        axum::serve(listener, Router::new().fallback(answer).with_state(Arc::new(fixture))).await
    })
}

async fn answer(
    State(fixture): State<Arc<Fixture>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let path = uri.path().to_owned();
    let asked = Asked { method, path, query: pairs(uri.query().unwrap_or_default().as_bytes()), headers, body };
    fixture.write_down(&asked);
    match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", path) if path.starts_with("/.well-known/") => fixture.metadata(path),
        ("GET", "/authorize") => fixture.authorize(&asked.query),
        ("POST", "/register") => fixture.register(&asked.body),
        ("POST", "/token") => fixture.token(&asked),
        ("POST", "/revoke") => fixture.revoke(&pairs(&asked.body)),
        (_, "/mcp") => fixture.protected(&asked),
        _ => json_answer(404, &json!({"error": "not found"})),
    }
}

impl Fixture {
    fn write_down(&self, asked: &Asked) {
        let line = json!({
            "method": asked.method.as_str(),
            "path": asked.path,
            "query": asked.query.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "authorization": asked.authorization(),
            "body": String::from_utf8_lossy(&asked.body),
        });
        let mut log = self.log.lock().expect("nobody panics with it");
        // A test that finds no line fails by itself.
        let _ = writeln!(log, "{line}");
    }

    fn grants(&self) -> MutexGuard<'_, Grants> {
        self.grants.lock().expect("nobody panics with it")
    }
}

/// The pairs of a form or a query.
fn pairs(text: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text).into_owned().collect()
}

fn json_answer(status: u16, body: &Value) -> Response<Body> {
    let answer = Response::builder().status(status).header("content-type", "application/json");
    answer.body(Body::from(body.to_string())).expect("a plain answer")
}

fn redirect(to: &str) -> Response<Body> {
    Response::builder().status(302).header("location", to).body(Body::empty()).expect("a plain answer")
}
