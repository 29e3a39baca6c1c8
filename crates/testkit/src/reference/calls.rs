//! The tools of the reference server.

use std::collections::BTreeMap;
use std::time::Duration;

use rmcp::model::*;
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::json;

use super::rounds::{Turn, Visit, answer};
use super::{Reference, tasks};

type Context = RequestContext<RoleServer>;
type Answer = Result<CallToolResult, ErrorData>;

impl Reference {
    pub(super) async fn call(
        &self,
        request: CallToolRequestParams,
        context: Context,
    ) -> Result<CallToolResponse, ErrorData> {
        let name = request.name.to_string();
        if let Some(rounds) = self.catalogue().rounds.get(&name) {
            let visit = Visit {
                name: &name,
                responses: request.input_responses.as_ref(),
                state: request.request_state.as_deref(),
                meta: &context.meta,
            };
            match rounds.turn(&visit)? {
                Turn::Ask(question) => return Ok(question.into()),
                Turn::Done(text) if !tasks::is_task_tool(&name) => return Ok(said(text).into()),
                Turn::Done(_) => {}
            }
        }
        if tasks::is_task_tool(&name) {
            let given = name_given(&request);
            let client = context.client_capabilities();
            return tasks::call(&self.shared.tasks, request, client, given).await;
        }
        if name == "test_streaming_elicitation" {
            let rounds = &self.catalogue().rounds["test_input_required_result_elicitation"];
            let question = InputRequiredResult::from_input_requests(rounds.rounds[0].clone());
            return Ok(question.into());
        }
        self.answer(&name, &request, &context).await.map(Into::into)
    }

    async fn answer(&self, name: &str, request: &CallToolRequestParams, context: &Context) -> Answer {
        let catalogue = self.catalogue();
        if let Some(answer) = catalogue.answers.get(name) {
            return Ok(answer.clone());
        }
        let arguments = texts(request.arguments.as_ref());
        let argument = |key: &str| arguments.get(key).cloned();
        if let Some(form) = catalogue.forms.get(name) {
            let message = argument("message").unwrap_or_else(|| form.message.clone());
            return Ok(elicit(context, message, form.schema.clone()).await);
        }
        match name {
            "test_tool_with_progress" => Ok(progress(context).await),
            "test_tool_with_logging" => Ok(log_thrice(context).await),
            "test_logging_tool" => Ok(log_when_asked(context).await),
            "test_sampling" => Ok(sample(context, &argument("prompt").unwrap_or_default()).await),
            "test_reconnection" => {
                pause().await;
                Ok(said("the answer came late"))
            }
            "test_missing_capability" => with_sampling(context),
            "test_custom_header" => {
                argument("value").map(said).ok_or_else(|| ErrorData::invalid_params("value must be a string", None))
            }
            "json_schema_2020_12_tool" => Ok(said(json!(request.arguments).to_string())),
            "test_trigger_tool_change" => Ok(self.tools_changed(context).await),
            "test_trigger_prompt_change" => Ok(self.prompts_changed(context).await),
            "test_trigger_resource_update" => Ok(self.resource_changed(&argument("uri").unwrap_or_default()).await),
            _ => Err(ErrorData::invalid_params(format!("no tool {name}"), None)),
        }
    }

    async fn tools_changed(&self, context: &Context) -> CallToolResult {
        for stream in self.streams() {
            drop(stream.notify_tool_list_changed().await);
        }
        if is_legacy(context) {
            drop(context.peer.notify_tool_list_changed().await);
        }
        said("announced")
    }

    async fn prompts_changed(&self, context: &Context) -> CallToolResult {
        for stream in self.streams() {
            drop(stream.notify_prompt_list_changed().await);
        }
        if is_legacy(context) {
            drop(context.peer.notify_prompt_list_changed().await);
        }
        said("announced")
    }

    async fn resource_changed(&self, uri: &str) -> CallToolResult {
        for stream in self.streams() {
            drop(stream.notify_resource_updated(uri).await);
        }
        let legacy = self.listeners().legacy.clone();
        for (_, peer) in legacy.iter().filter(|(subscribed, _)| subscribed == uri) {
            let update = ResourceUpdatedNotificationParam::new(uri);
            drop(peer.notify_resource_updated(update).await);
        }
        said("announced")
    }
}

/// The string arguments by name.
pub(super) fn texts(arguments: Option<&JsonObject>) -> BTreeMap<String, String> {
    let text = |(key, value): (&String, &serde_json::Value)| Some((key.clone(), value.as_str()?.into()));
    arguments.into_iter().flatten().filter_map(text).collect()
}

fn said(text: impl Into<String>) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

fn failed(text: impl ToString) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(text.to_string())])
}

fn is_legacy(context: &Context) -> bool {
    context.protocol_version().is_some_and(|version| version < ProtocolVersion::V_2026_07_28)
}

fn name_given(request: &CallToolRequestParams) -> Option<String> {
    let answer = answer(request.input_responses.as_ref(), "user_name")?;
    Some(answer.get("content")?["name"].as_str()?.into())
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

async fn progress(context: &Context) -> CallToolResult {
    for step in [0.0, 50.0, 100.0] {
        if let Some(token) = context.meta.get_progress_token() {
            let note =
                ProgressNotificationParam::new(token, step).with_total(100.0).with_message(format!("{step} of 100"));
            drop(context.peer.notify_progress(note).await);
        }
        pause().await;
    }
    said("progress reported")
}

async fn log(context: &Context, level: LoggingLevel, text: &str) {
    let note = LoggingMessageNotificationParam::new(level, json!(text)).with_logger("fixture-server");
    drop(context.peer.notify_logging_message(note).await);
}

async fn log_thrice(context: &Context) -> CallToolResult {
    for text in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
        log(context, LoggingLevel::Info, text).await;
        pause().await;
    }
    said("three messages logged")
}

async fn log_when_asked(context: &Context) -> CallToolResult {
    if let Some(level) = context.meta.log_level() {
        log(context, level, "the request named this level").await;
    }
    said("done")
}

async fn sample(context: &Context, prompt: &str) -> CallToolResult {
    let question = CreateMessageRequestParams::new(vec![SamplingMessage::user_text(prompt)], 100);
    match context.peer.create_message(question).await {
        Ok(answer) => {
            let text = answer.message.content.first().and_then(|block| block.as_text());
            said(format!("LLM response: {}", text.map_or("", |text| &text.text)))
        }
        Err(error) => failed(error),
    }
}

async fn elicit(context: &Context, message: String, requested_schema: ElicitationSchema) -> CallToolResult {
    let question = ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema };
    match context.peer.create_elicitation(question).await {
        Ok(answer) => said(format!("User response: {}", json!(answer))),
        Err(error) => failed(error),
    }
}

fn with_sampling(context: &Context) -> Answer {
    let capabilities = context.meta.client_capabilities().unwrap_or_default();
    if capabilities.sampling.is_some() {
        return Ok(said("you can sample"));
    }
    let wanted = ClientCapabilities::builder().enable_sampling().build();
    Err(ErrorData::missing_required_client_capability(wanted))
}
