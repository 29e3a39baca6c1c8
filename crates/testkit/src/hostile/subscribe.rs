//! Who is told about changes: legacy subscriptions and modern listening streams.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use super::outlet::Outlet;
use super::wire::notification;

/// Everybody who listens.
#[derive(Default)]
pub(super) struct Listeners {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Where legacy clients hear what no request of theirs asked for.
    broadcast: Vec<Arc<dyn Outlet>>,
    /// Resources with a legacy subscription.
    resources: BTreeSet<String>,
    streams: Vec<Stream>,
}

/// One `subscriptions/listen`.
#[derive(Clone)]
struct Stream {
    /// The id of the request, JSON text.
    id: String,
    filter: Value,
    outlet: Arc<dyn Outlet>,
}

impl Listeners {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no listener panics")
    }

    pub fn add_broadcast(&self, outlet: Arc<dyn Outlet>) {
        self.inner().broadcast.push(outlet);
    }

    pub fn subscribe(&self, uri: &str) {
        self.inner().resources.insert(uri.into());
    }

    pub fn unsubscribe(&self, uri: &str) {
        self.inner().resources.remove(uri);
    }

    /// Opens a stream and acknowledges it there.
    pub fn listen(&self, id: &str, filter: Value, outlet: &Arc<dyn Outlet>) {
        let stream = Stream { id: id.into(), filter, outlet: Arc::clone(outlet) };
        let filter = &stream.filter;
        let params = format!(r#"{{"_meta":{{{}}},"notifications":{filter}}}"#, stream.mark());
        // Nobody announces anything in between: the acknowledgement comes first, and nothing is missed.
        let mut inner = self.inner();
        outlet.send(&notification("notifications/subscriptions/acknowledged", &params));
        inner.streams.push(stream);
    }

    /// Closes the stream of that request; its last message, if there was one.
    pub fn close(&self, id: &str) -> Option<String> {
        let mut inner = self.inner();
        let index = inner.streams.iter().position(|stream| stream.id == id)?;
        let stream = inner.streams.remove(index);
        Some(format!(r#""_meta":{{{}}}"#, stream.mark()))
    }

    /// Sends what belongs to no request to whoever of the legacy clients hears it.
    pub fn broadcast(&self, message: &str) -> bool {
        let all = self.inner().broadcast.clone();
        let heard = all.iter().filter(|outlet| outlet.send(message)).count();
        self.inner().broadcast.retain(|outlet| !outlet.gone());
        heard > 0
    }

    /// Announces a changed list: `tools`, `prompts` or `resources`.
    pub fn list_changed(&self, list: &str) {
        let method = format!("notifications/{list}/list_changed");
        let wanted = |filter: &Value| filter[format!("{list}ListChanged")] == true;
        self.announce(&method, "", wanted);
        self.broadcast(&notification(&method, "{}"));
    }

    pub fn resource_updated(&self, uri: &str) {
        let method = "notifications/resources/updated";
        let wanted =
            |filter: &Value| filter["resourceSubscriptions"].as_array().is_some_and(|all| all.contains(&json!(uri)));
        self.announce(method, &format!(r#","uri":{}"#, json!(uri)), wanted);
        if self.inner().resources.contains(uri) {
            self.broadcast(&notification(method, &json!({ "uri": uri }).to_string()));
        }
    }

    fn announce(&self, method: &str, more: &str, wanted: impl Fn(&Value) -> bool) {
        let streams = self.inner().streams.clone();
        for stream in streams.iter().filter(|stream| wanted(&stream.filter)) {
            let params = format!(r#"{{"_meta":{{{}}}{more}}}"#, stream.mark());
            stream.outlet.send(&notification(method, &params));
        }
    }
}

impl Stream {
    /// The member of `_meta` that names the stream.
    fn mark(&self) -> String {
        format!(r#""io.modelcontextprotocol/subscriptionId":{}"#, self.id)
    }
}
