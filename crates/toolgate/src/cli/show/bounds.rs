//! What a server is to be kept in, as its entry says it and by the names of its keys. Not here: what holds it.

use sandbox::{Limits, Net};
use serde_json::{Value, json};

use crate::config::Bounds;

/// By the names of the keys; `null` where nothing bounds.
pub fn json(bounds: &Bounds) -> Value {
    let Limits { processes, open_files, memory_bytes, cpu_seconds, .. } = bounds.limits;
    json!({
        "level": bounds.level.word(),
        "allow_degraded": bounds.allow_degraded.map(|level| level.word()),
        "net": match &bounds.net {
            Net::Off => json!(false),
            Net::On => json!(true),
            Net::Hosts(hosts) => hosts.iter().map(ToString::to_string).collect(),
        },
        "read": bounds.read,
        "write": bounds.write,
        "memory_mb": memory_bytes.map(|bytes| bytes >> 20),
        "cpu_sec": cpu_seconds,
        "processes": processes,
        "open_files": open_files,
    })
}

/// In one line: `S4, net = false, write = ["/p"], processes = 1024`.
pub fn line(bounds: &Bounds) -> String {
    let Value::Object(all) = json(bounds) else { return bounds.level.to_string() };
    let said = ["allow_degraded", "net", "read", "write", "memory_mb", "cpu_sec", "processes", "open_files"];
    let said = said.into_iter().filter_map(|key| Some((key, all.get(key)?)));
    let said = said.filter(|(_, value)| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()));
    let said = said.map(|(key, value)| format!("{key} = {value}"));
    std::iter::once(bounds.level.to_string()).chain(said).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandbox::Level;

    #[test]
    fn what_was_not_said_is_not_shown() {
        assert_eq!(line(&Bounds::default()), "S4, net = false, processes = 1024");
        let hosts = ["a.com", "*.b.com:80", "[::1]"].map(|host| host.parse().expect("a host"));
        let said = Bounds {
            level: Level::S4,
            allow_degraded: Some(Level::S3),
            net: Net::Hosts(hosts.into()),
            write: vec!["/p q".into()],
            ..Bounds::default()
        };
        let expected = "S4, allow_degraded = \"S3\", net = [\"a.com:443\",\"*.b.com:80\",\"[::1]:443\"], write = [\"/p q\"], \
                        processes = 1024";
        assert_eq!(line(&said), expected);
    }
}
