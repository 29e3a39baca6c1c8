//! What the workspace offers: its tools, prompts and resources, files by name among them, which are looked at again
//! after whatever may have changed them. Not here: what any of it does.

use super::prompts;
use super::resources::{self, Named};
use super::roots::Roots;
use super::tools::Tool;
use bytes::Bytes;
use gate::{Catalog, Hub, ItemKind, Offer, ServerName};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::task::TaskTracker;

const SERVER_INFO: &str =
    concat!(r#"{"name":"toolgate-workspace","title":"Workspace","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);
const CAPABILITIES: &[u8] = br#"{"tools":{},"resources":{"subscribe":true},"prompts":{},"completions":{}}"#;
/// Changes that come within this time are looked at together.
const TOGETHER: Duration = Duration::from_millis(200);

/// What is offered now.
pub struct Offering {
    server: ServerName,
    roots: Arc<Roots>,
    catalog: Arc<Catalog>,
    hub: Arc<Hub>,
    files: Mutex<Vec<Named>>,
    /// Somebody is about to look.
    looking: AtomicBool,
}

impl Offering {
    /// With the files that are there now.
    pub fn new(server: ServerName, roots: Arc<Roots>, catalog: Arc<Catalog>, hub: Arc<Hub>) -> Self {
        let files = Mutex::new(resources::named(&roots));
        Self { server, roots, catalog, hub, files, looking: AtomicBool::new(false) }
    }

    /// For the catalog.
    pub fn offer(&self) -> Offer {
        let tools = Tool::ALL.iter().map(|tool| tool.listed(&self.roots));
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let listed = tools.chain(prompts::listed()).chain(resources::listed(&files)).collect();
        Offer {
            listed,
            instructions: Some("The workspace: its files, patches to them, and commands in a sandbox.".into()),
            capabilities: Some(Bytes::from_static(CAPABILITIES)),
            server_info: Some(Bytes::from_static(SERVER_INFO.as_bytes())),
            serves_resources: true,
        }
    }

    /// Files may have changed: soon it is looked, and told if others are listed.
    pub fn look_again(self: &Arc<Self>, tasks: &TaskTracker) {
        if self.looking.swap(true, Ordering::AcqRel) {
            return;
        }
        let ours = self.clone();
        tasks.spawn(async move {
            tokio::time::sleep(TOGETHER).await;
            ours.looking.store(false, Ordering::Release);
            let roots = ours.roots.clone();
            if let Ok(files) = tokio::task::spawn_blocking(move || resources::named(&roots)).await {
                ours.put(files);
            }
        });
    }

    fn put(&self, files: Vec<Named>) {
        let before = {
            let mut now = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            if *now == files {
                return;
            }
            std::mem::replace(&mut *now, files.clone())
        };
        self.catalog.publish(vec![(self.server.clone(), Arc::new(self.offer()))]);
        // Another size is no other list to hear of.
        if !before.iter().map(|file| &file.path).eq(files.iter().map(|file| &file.path)) {
            self.hub.list_changed(ItemKind::Resource, &self.server);
        }
    }
}
