//! The mock MCP server's answers, made without parsing more of a request than needed.

use std::collections::HashMap;
use std::sync::Arc;

use crate::payload;
use crate::rpc::{LEGACY, MODERN};
use crate::scan::{at, contains, member, unquote};

/// The state behind the answers: the ready-made tool list and the large payloads made so far.
pub struct Mock {
    tools: String,
    big: HashMap<(usize, bool), Arc<String>>,
    eras: Eras,
}

/// Which eras the server understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Eras {
    /// The handshake only.
    Legacy,
    /// Self-describing requests only.
    Modern,
    /// Either, request by request.
    Both,
}

impl Mock {
    /// A server with `tools` tools.
    pub fn new(tools: usize, eras: Eras) -> Self {
        Mock { tools: payload::tools(tools), big: HashMap::new(), eras }
    }

    /// Appends every message that answers `message`, one per line: progress first, then the answer.
    /// A notification gets none.
    pub fn answer(&mut self, message: &[u8], out: &mut Vec<u8>) {
        let (Some(id), Some(method)) = (member(message, "id"), member(message, "method")) else {
            return;
        };
        let modern = contains(message, b"io.modelcontextprotocol/protocolVersion");
        match unquote(method) {
            b"tools/call" => self.call(id, message, modern, out),
            b"tools/list" => {
                let cache = if modern { r#""ttlMs":60000,"cacheScope":"public","# } else { "" };
                result(id, modern, &[cache, r#""tools":"#, &self.tools], out);
            }
            b"initialize" if self.eras != Eras::Modern => result(id, false, &[&initialized()], out),
            b"server/discover" if self.eras != Eras::Legacy => result(id, true, &[&discovered()], out),
            b"ping" => result(id, false, &[], out),
            _ => error(id, -32601, "method not found", out),
        }
    }

    fn call(&mut self, id: &[u8], message: &[u8], modern: bool, out: &mut Vec<u8>) {
        let Some(params) = member(message, "params") else {
            return error(id, -32602, "params missing", out);
        };
        match unquote(member(params, "name").unwrap_or_default()) {
            b"echo" | b"write" => {
                let text = at(params, &["arguments", "text"]).unwrap_or(b"\"\"");
                begin_result(id, modern, out);
                out.extend_from_slice(br#""content":[{"type":"text","text":"#);
                out.extend_from_slice(text);
                out.extend_from_slice(b"}]}}\n");
            }
            b"big" => self.big(id, params, modern, out),
            b"slow" => {
                progress(params, out);
                result(id, modern, &[r#""content":[{"type":"text","text":"slow done"}]"#], out);
            }
            _ => error(id, -32602, "unknown tool", out),
        }
    }

    fn big(&mut self, id: &[u8], params: &[u8], modern: bool, out: &mut Vec<u8>) {
        let bytes = at(params, &["arguments", "bytes"])
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(1024usize);
        let structured = at(params, &["arguments", "structured"]) == Some(b"true");
        let make = if structured { payload::structured } else { payload::text };
        let body = self.big.entry((bytes, structured)).or_insert_with(|| Arc::new(make(bytes))).clone();
        let text = r#""content":[{"type":"text","text":"#;
        if structured {
            let parts = [text, r#""structured"}],"structuredContent":"#, &body];
            result(id, modern, &parts, out);
        } else {
            result(id, modern, &[text, &body, "}]"], out);
        }
    }
}

fn progress(params: &[u8], out: &mut Vec<u8>) {
    let Some(token) = at(params, &["_meta", "progressToken"]) else {
        return;
    };
    for step in 1..=payload::PROGRESS_STEPS {
        out.extend_from_slice(br#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"#);
        out.extend_from_slice(token);
        let rest = format!(r#","progress":{step},"total":{}}}}}"#, payload::PROGRESS_STEPS);
        out.extend_from_slice(rest.as_bytes());
        out.push(b'\n');
    }
}

fn initialized() -> String {
    format!(
        r#""protocolVersion":"{LEGACY}","capabilities":{{"tools":{{}}}},"serverInfo":{{"name":"bench-upstream","version":"1"}}"#
    )
}

fn discovered() -> String {
    format!(
        r#""supportedVersions":["{MODERN}"],"capabilities":{{"tools":{{}}}},"ttlMs":60000,"cacheScope":"public","_meta":{{"io.modelcontextprotocol/serverInfo":{{"name":"bench-upstream","version":"1"}}}}"#
    )
}

fn begin_result(id: &[u8], modern: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(crate::rpc::ID_PREFIX);
    out.extend_from_slice(id);
    out.extend_from_slice(br#","result":{"#);
    if modern {
        out.extend_from_slice(br#""resultType":"complete","#);
    }
}

fn result(id: &[u8], modern: bool, parts: &[&str], out: &mut Vec<u8>) {
    begin_result(id, modern, out);
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
    if modern && parts.is_empty() {
        out.pop();
    }
    out.extend_from_slice(b"}}\n");
}

fn error(id: &[u8], code: i32, message: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(crate::rpc::ID_PREFIX);
    out.extend_from_slice(id);
    out.extend_from_slice(format!(r#","error":{{"code":{code},"message":"{message}"}}}}"#).as_bytes());
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::{self, Era};
    use serde_json::Value;

    fn ask(message: &str) -> Vec<Value> {
        let mut out = Vec::new();
        Mock::new(20, Eras::Both).answer(message.as_bytes(), &mut out);
        let text = String::from_utf8(out).expect("answers are UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("an answer is JSON")).collect()
    }

    #[test]
    fn echo_gives_back_what_it_was_given() {
        let answers = ask(&rpc::call(Era::Legacy, 4, "echo", r#"{"text":"a\"b"}"#, false));
        assert_eq!(answers[0]["id"], 4);
        assert_eq!(answers[0]["result"]["content"][0]["text"], "a\"b");
    }

    #[test]
    fn a_modern_answer_says_that_it_is_complete() {
        for message in [rpc::list(Era::Modern, 1, None), rpc::hello(Era::Modern, 1)] {
            assert_eq!(ask(&message)[0]["result"]["resultType"], "complete");
            assert_eq!(ask(&message)[0]["result"]["ttlMs"], 60000);
        }
    }

    #[test]
    fn slow_reports_progress_only_when_asked() {
        let with = ask(&rpc::call(Era::Legacy, 9, "slow", "{}", true));
        assert_eq!(with.len(), payload::PROGRESS_STEPS + 1);
        assert_eq!(with[0]["params"]["progressToken"], 9);
        assert_eq!(ask(&rpc::call(Era::Legacy, 9, "slow", "{}", false)).len(), 1);
    }

    #[test]
    fn big_results_hold_their_payload_in_either_shape() {
        let text = ask(&rpc::call(Era::Legacy, 1, "big", r#"{"bytes":2000}"#, false));
        assert_eq!(text[0]["result"]["content"][0]["text"].to_string().len(), payload::text(2000).len());
        let rows = ask(&rpc::call(Era::Modern, 1, "big", r#"{"bytes":2000,"structured":true}"#, false));
        assert!(rows[0]["result"]["structuredContent"]["rows"].is_array());
    }

    #[test]
    fn a_notification_gets_no_answer() {
        assert!(ask(rpc::INITIALIZED).is_empty());
    }
}
