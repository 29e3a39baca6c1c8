//! The settings toolgate is judged with.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use bench::rpc::Era;

use crate::subject::Spec;

/// The name server number `index` is configured under.
pub fn server_name(index: usize) -> String {
    format!("s{index}")
}

/// toolgate's settings: everything as by default, the servers trusted, a secret in each environment.
pub fn config(spec: &Spec, upstream: &Path, addresses: &[SocketAddr]) -> String {
    let protocol = if spec.era == Era::Legacy { "legacy" } else { "modern" };
    let mut out = String::new();
    for index in 0..spec.servers {
        writeln!(out, "[mcp_servers.{}]", server_name(index)).expect("a String takes any write");
        match addresses.get(index) {
            Some(address) => writeln!(
                out,
                "url = \"http://{address}/mcp\"\nhttp_headers = {{ X-Api-Key = \"{SECRET}{index:04}\" }}"
            ),
            None => writeln!(
                out,
                "command = {:?}\nargs = [\"--stdio\", \"--tools\", \"{}\"{}]\nenv = {{ API_KEY = \"{SECRET}{index:04}\" }}",
                upstream.display().to_string(),
                spec.tools,
                fault(spec, index)
            ),
        }
        .expect("a String takes any write");
        let approve = if spec.approve { "default_tools_approval_mode = \"approve\"\n" } else { "" };
        writeln!(out, "protocol = \"{protocol}\"\ntrust = \"trusted\"\n{approve}").expect("a String takes any write");
    }
    out
}

/// Looked for in every answer, and never in one.
const SECRET: &str = "bench-secret-5f0c9a7be1d24c38-";

fn fault(spec: &Spec, index: usize) -> &'static str {
    match index {
        0 if spec.faulty => ", \"--hang\"",
        1 if spec.faulty => ", \"--exit\"",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::{Kind, Side};

    #[test]
    fn the_settings_name_each_server_its_fault_and_its_secret() {
        let spec = Spec {
            kind: Kind::Toolgate,
            face: Side::Stdio,
            back: Side::Stdio,
            era: Era::Legacy,
            servers: 3,
            tools: 20,
            faulty: true,
            approve: false,
            workspace: false,
        };
        let text = config(&spec, Path::new("/bin/up"), &[]);
        assert_eq!(text.matches("[mcp_servers.s").count(), 3);
        assert_eq!((text.matches("--hang").count(), text.matches("--exit").count()), (1, 1));
        assert!(text.contains("API_KEY") && text.contains("protocol = \"legacy\""));
        let http = config(&spec, Path::new("/bin/up"), &[([127, 0, 0, 1], 9).into()]);
        assert!(http.contains("url = \"http://127.0.0.1:9/mcp\""));
    }
}
