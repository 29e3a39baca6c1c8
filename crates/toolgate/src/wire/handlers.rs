//! Declared tools with programs, put together as a server inside this process. Not here: running the programs.

use std::sync::Arc;

use super::bounds;
use crate::config::{self, Config, Env, Server, Stdio};
use builtin::handlers::{Handler, Settings, Template, serve};

/// The server of these tools. Its programs are always kept in bounds: in the tightest there are, where its entry says
/// nothing of them. `digest` names its settings.
pub(super) fn within(
    config: &Config,
    server: &Server,
    stdio: &Stdio,
    env: &Env,
    digest: String,
) -> upstream::Transport {
    let tools: Vec<Handler> = server.declared.iter().map(handler).collect();
    let programs: Vec<&str> = tools.iter().filter_map(|tool| Some(tool.exec.as_ref()?.program())).collect();
    let profile = bounds::of_handlers(config, server, stdio, &programs, env);
    let at_least = profile.allow_degraded.map(|least| format!(" (or less, down to {least})")).unwrap_or_default();
    let sandbox = format!("{}{at_least}", profile.level);
    let settings = Arc::new(Settings {
        name: server.name.clone(),
        version: server.version.clone(),
        env: config::child_env(server, env).into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
        cwd: stdio.cwd.clone(),
        profile,
        limit: server.tool_timeout,
        tools,
    });
    let serve = move |stream| -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(serve(settings.clone(), super::helper(), stream))
    };
    upstream::Transport::Within(upstream::WithinOptions { serve: Arc::new(serve), digest, sandbox })
}

fn handler(tool: &config::DeclaredTool) -> Handler {
    Handler {
        name: tool.name.clone(),
        definition: serde_json::from_str(&tool.definition()).unwrap_or_default(),
        // It was read when the configuration was.
        exec: tool.exec.as_ref().and_then(|words| Template::new(words, &tool.input_schema).ok()),
    }
}
