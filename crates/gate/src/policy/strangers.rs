//! Whose words may be a stranger's.

use super::Policy;
use crate::catalog::Item;

impl Policy {
    /// Whether what `item` answers may have been written by strangers: its server says that it deals with an open
    /// world, or is not believed in anything.
    pub fn taints(&self, item: &Item) -> bool {
        let trusted = self.servers.get(&item.server).is_some_and(|server| server.said.trusted);
        item.facts.open_world == Some(true) || !trusted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Facts;
    use crate::policy::ServerRules;
    use std::collections::HashMap;

    fn check(trusted: bool, open_world: Option<bool>, taints: bool) {
        let rules = ServerRules { trusted, ..ServerRules::default() };
        let policy = Policy::of_servers(HashMap::from([("s".into(), rules)]));
        let item = Item::for_test("s", "t", Facts { open_world, ..Facts::default() });
        assert_eq!(policy.taints(&item), taints, "{trusted} {open_world:?}");
    }

    #[test]
    fn the_open_world_and_servers_nobody_trusts_are_strangers() {
        check(true, None, false);
        check(true, Some(false), false);
        check(true, Some(true), true);
        check(false, Some(false), true);
    }
}
