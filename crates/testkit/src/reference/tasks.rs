//! The tools of the tasks extension.

use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock, CreateTaskResult,
    ElicitRequest, ElicitRequestParams, InputRequest,
};
use rmcp::task_manager::{TaskContext, TaskExit, TaskManager, TaskOptions};
use serde_json::{Value, json};

/// Served in place for a client without the extension.
const OPTIONAL: [&str; 2] = ["slow_compute", "protocol_error_job"];
/// Refused for a client without the extension.
const REQUIRED: [&str; 4] = ["failing_job", "confirm_delete", "multi_input", "test_tool_with_task"];

pub(super) fn is_task_tool(name: &str) -> bool {
    name == "greet" || OPTIONAL.contains(&name) || REQUIRED.contains(&name)
}

/// Serves one of the task tools. `name_given` is what earlier rounds collected.
pub(super) async fn call(
    manager: &TaskManager,
    request: CallToolRequestParams,
    client: Option<ClientCapabilities>,
    name_given: Option<String>,
) -> Result<CallToolResponse, ErrorData> {
    let tasks = client.is_some_and(|capabilities| capabilities.supports_tasks());
    let job = Job::new(&request, name_given);
    if REQUIRED.contains(&&*job.tool) && !tasks {
        let wanted = ClientCapabilities::builder().enable_tasks().build();
        return Err(ErrorData::missing_required_client_capability(wanted));
    }
    if job.tool == "greet" || !tasks {
        return job.run(None).await.map(Into::into).map_err(into_error);
    }
    let task = manager.spawn(TaskOptions::default(), |context| Box::pin(async move { job.run(Some(context)).await }));
    Ok(CreateTaskResult::new(task).into())
}

/// One call of a task tool, whether it runs as a task or in place.
struct Job {
    tool: String,
    arguments: Value,
    name_given: Option<String>,
}

impl Job {
    fn new(request: &CallToolRequestParams, name_given: Option<String>) -> Self {
        Self { tool: request.name.to_string(), arguments: json!(request.arguments), name_given }
    }

    fn text(&self, key: &str) -> &str {
        self.arguments[key].as_str().unwrap_or("nobody")
    }

    async fn run(self, context: Option<TaskContext>) -> Result<CallToolResult, TaskExit> {
        match (self.tool.as_str(), context) {
            ("greet", _) => Ok(success(format!("Hello, {}!", self.text("name")))),
            ("slow_compute", context) => self.compute(context).await,
            ("failing_job", _) => {
                pause(1000).await;
                Ok(CallToolResult::error(vec![ContentBlock::text("this job always fails")]))
            }
            ("protocol_error_job", _) => {
                pause(200).await;
                let error = ErrorData::internal_error("this job always breaks the protocol", None);
                Err(TaskExit::Error(error))
            }
            ("confirm_delete", Some(context)) => self.confirm(&context).await,
            ("multi_input", Some(context)) => gather(&context).await,
            _ => Ok(success(format!("Hello, {}!", self.name_given.as_deref().unwrap_or("nobody")))),
        }
    }

    async fn compute(&self, context: Option<TaskContext>) -> Result<CallToolResult, TaskExit> {
        let seconds = self.arguments["seconds"].as_f64().unwrap_or(1.0).clamp(0.0, 3600.0);
        let work = tokio::time::sleep(Duration::from_secs_f64(seconds));
        match context {
            None => work.await,
            Some(context) => tokio::select! {
                () = context.cancelled() => return Err(TaskExit::Cancelled),
                () = work => {}
            },
        }
        Ok(success(format!("{} took {seconds} s", self.text("label"))))
    }

    async fn confirm(&self, context: &TaskContext) -> Result<CallToolResult, TaskExit> {
        let question = form(&format!("Delete {}?", self.text("filename")), "confirm", "boolean");
        let answer = context.request_input("confirm", question).await?;
        let confirmed = &answer["content"]["confirm"];
        Ok(success(format!("confirmed: {confirmed}")))
    }
}

async fn gather(context: &TaskContext) -> Result<CallToolResult, TaskExit> {
    let (a, b) = tokio::try_join!(
        context.request_input("input-a", form("Value A?", "value", "string")),
        context.request_input("input-b", form("Value B?", "value", "string")),
    )?;
    let (a, b) = (&a["content"]["value"], &b["content"]["value"]);
    Ok(success(format!("a = {a}, b = {b}")))
}

fn form(message: &str, property: &str, kind: &str) -> InputRequest {
    let schema = json!({"type": "object", "properties": {property: {"type": kind}}, "required": [property]});
    InputRequest::Elicitation(ElicitRequest::new(ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: message.into(),
        requested_schema: serde_json::from_value(schema).expect("a valid form"),
    }))
}

fn success(text: String) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

async fn pause(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

fn into_error(exit: TaskExit) -> ErrorData {
    match exit {
        TaskExit::Error(error) => error,
        TaskExit::Cancelled => ErrorData::internal_error("cancelled", None),
    }
}
