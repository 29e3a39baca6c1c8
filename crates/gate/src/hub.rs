//! What servers say outside any call: that a list or a resource changed, and log lines.

use crate::mask::{Masks, Unmasked};
use crate::words::{ItemKind, ServerName, Wire};
use arc_swap::ArcSwap;
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

/// The longest message that is passed on outside a call, in bytes: a server must not be able to fill the memory
/// with what nobody asked for.
const LONGEST_NOTICE: usize = 256 << 10;

/// Sends notices to all listeners. A listener that lags misses some and is told so by its receiver.
pub struct Hub {
    masks: ArcSwap<Masks>,
    sender: broadcast::Sender<Notice>,
}

impl Hub {
    /// A hub whose listeners may lag `depth` notices behind.
    pub fn new(masks: Arc<Masks>, depth: usize) -> Self {
        Self { masks: ArcSwap::new(masks), sender: broadcast::channel(depth).0 }
    }

    /// What masks servers' words outside calls.
    pub fn masks(&self) -> Arc<Masks> {
        self.masks.load_full()
    }

    /// From now on by other masks.
    pub(crate) fn renew(&self, masks: Arc<Masks>) {
        self.masks.store(masks);
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
        if let Some(wire) = self.masked(server, said) {
            self.send(Notice::ResourceUpdated { server: server.clone(), uri: uri.into(), wire });
        }
    }

    /// A server logged something that belongs to no call.
    pub fn log(&self, server: &ServerName, said: Unmasked) {
        if let Some(wire) = self.masked(server, said) {
            self.send(Notice::Log(server.clone(), wire));
        }
    }

    fn masked(&self, server: &ServerName, said: Unmasked) -> Option<Wire> {
        if said.bytes() > LONGEST_NOTICE {
            tracing::debug!(target: "mcp::client", %server, bytes = said.bytes(), "a notification was too long");
            return None;
        }
        Some(self.masks.load().apply(server, said).wire)
    }

    fn send(&self, notice: Notice) {
        // Nobody listening is not a failure: there may be no session.
        let _ = self.sender.send(notice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{Parts, ReplyKind};

    #[test]
    fn what_nobody_asked_for_is_passed_on_only_while_it_is_short() {
        let hub = Hub::new(Arc::new(Masks::new(&[])), 4);
        let mut notices = hub.listen();
        for bytes in [LONGEST_NOTICE + 1, 5] {
            let wire = Wire { json: vec![b'1'; bytes].into(), parts: Parts::default() };
            hub.log(&"s".into(), Unmasked::message(wire, ReplyKind::Result));
        }
        assert!(matches!(notices.try_recv(), Ok(Notice::Log(_, wire)) if wire.json.len() == 5));
    }
}
