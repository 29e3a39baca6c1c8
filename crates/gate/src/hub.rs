//! What servers say outside any call: that a list or a resource changed, and log lines.

use crate::mask::{Masks, Unmasked};
use crate::words::{ItemKind, ServerName, Wire};
use std::sync::Arc;
use tokio::sync::broadcast;

/// Something every face may want to pass on.
#[derive(Debug, Clone)]
pub enum Notice {
    /// What a server lists has changed.
    ListChanged(ItemKind, ServerName),
    /// A resource changed.
    ResourceUpdated {
        /// Whose.
        server: ServerName,
        /// Which, as the server spells it.
        uri: Arc<str>,
        /// The whole notification, masked.
        wire: Wire,
    },
    /// A log line that belongs to no call, masked.
    Log(ServerName, Wire),
}

/// Sends notices to all listeners. A listener that lags misses some and is told so by its receiver.
pub struct Hub {
    masks: Arc<Masks>,
    sender: broadcast::Sender<Notice>,
}

impl Hub {
    /// A hub whose listeners may lag `depth` notices behind.
    pub fn new(masks: Arc<Masks>, depth: usize) -> Self {
        Self { masks, sender: broadcast::channel(depth).0 }
    }

    /// From now on, what is said.
    pub fn listen(&self) -> broadcast::Receiver<Notice> {
        self.sender.subscribe()
    }

    /// A server's list changed.
    pub fn list_changed(&self, kind: ItemKind, server: &ServerName) {
        self.send(Notice::ListChanged(kind, server.clone()));
    }

    /// A server says that the resource at `uri` changed.
    pub fn resource_updated(&self, server: &ServerName, uri: &str, said: Unmasked) {
        let wire = self.masks.apply(said).wire;
        self.send(Notice::ResourceUpdated { server: server.clone(), uri: uri.into(), wire });
    }

    /// A server logged something that belongs to no call.
    pub fn log(&self, server: &ServerName, said: Unmasked) {
        let wire = self.masks.apply(said).wire;
        self.send(Notice::Log(server.clone(), wire));
    }

    fn send(&self, notice: Notice) {
        // Nobody listening is not a failure: there may be no session.
        let _ = self.sender.send(notice);
    }
}
