//! The reference server: what a correct peer does, on rmcp.
//!
//! It offers exactly what the official conformance suite looks for, so that the suite can be run
//! against it directly and through a gateway. Misbehaviour is not here but in [`crate::hostile`].
#![expect(deprecated, reason = "legacy peers still sample, log and list roots")]

mod calls;
mod catalogue;
mod rounds;
pub mod serve;
mod tasks;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use rmcp::model::*;
use rmcp::service::{RequestContext, SubscriptionContext, SubscriptionSink};
use rmcp::task_manager::TaskManager;
use rmcp::{ErrorData, Peer, RoleServer, ServerHandler};
use serde_json::json;

use catalogue::Catalogue;
use rounds::{Turn, Visit};

const TTL_MS: u64 = 60_000;

/// The protocol revisions a fixture speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Era {
    /// Up to 2025-11-25: a handshake, then requests.
    Legacy,
    /// 2026-07-28: every request describes itself.
    Modern,
    /// Whichever the client chooses.
    Both,
}

/// The handler behind `fixture-server`. Clones share their subscriptions and tasks.
#[derive(Clone)]
pub struct Reference {
    era: Era,
    shared: Arc<Shared>,
}

struct Shared {
    catalogue: Catalogue,
    tasks: TaskManager,
    listeners: Mutex<Listeners>,
}

/// Who is told about changes.
#[derive(Default)]
struct Listeners {
    next: u64,
    /// Modern `subscriptions/listen` streams.
    streams: BTreeMap<u64, SubscriptionSink>,
    /// Legacy `resources/subscribe`, by resource.
    legacy: Vec<(String, Peer<RoleServer>)>,
}

impl Reference {
    /// A server of the given era without subscribers or tasks.
    pub fn new(era: Era) -> Self {
        let shared = Shared { catalogue: Catalogue::read(), tasks: TaskManager::new(), listeners: Mutex::default() };
        Self { era, shared: Arc::new(shared) }
    }

    fn catalogue(&self) -> &Catalogue {
        &self.shared.catalogue
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.shared.listeners.lock().expect("no listener panics")
    }

    fn streams(&self) -> Vec<SubscriptionSink> {
        self.listeners().streams.values().cloned().collect()
    }

    fn read(&self, uri: &str) -> Option<ResourceContents> {
        if let Some(contents) = self.catalogue().contents.get(uri) {
            return Some(contents.clone());
        }
        let id = uri.strip_prefix("test://template/")?.strip_suffix("/data")?;
        let text = json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
        Some(ResourceContents::text(text.to_string(), uri).with_mime_type("application/json"))
    }
}

impl ServerHandler for Reference {
    fn get_info(&self) -> ServerInfo {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_resources_list_changed()
            .enable_completions()
            .enable_logging()
            .enable_tasks()
            .build();
        ServerInfo::new(capabilities)
            .with_server_info(Implementation::new("fixture-server", env!("CARGO_PKG_VERSION")))
            .with_instructions("Tools, prompts and resources for conformance tests.")
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        let modern = |version: &ProtocolVersion| *version == ProtocolVersion::V_2026_07_28;
        let known = ProtocolVersion::KNOWN_VERSIONS.iter().cloned();
        match self.era {
            Era::Both => Cow::Borrowed(ProtocolVersion::KNOWN_VERSIONS),
            Era::Modern => Cow::Owned(known.filter(modern).collect()),
            Era::Legacy => Cow::Owned(known.filter(|version| !modern(version)).collect()),
        }
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        if self.era == Era::Modern {
            return Err(ErrorData::method_not_found::<InitializeResultMethod>());
        }
        context.peer.set_peer_info(request.clone());
        self.negotiate_initialize(&request)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.catalogue().tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let result = ListToolsResult::with_all_items(self.catalogue().tools.clone());
        Ok(result.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.call(request, context).await
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let result = ListResourcesResult::with_all_items(self.catalogue().resources.clone());
        Ok(result.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let result = ListResourceTemplatesResult::with_all_items(self.catalogue().templates.clone());
        Ok(result.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri.as_str();
        let contents = self.read(uri).ok_or_else(|| {
            let data = json!({ "uri": uri });
            ErrorData::resource_not_found(format!("no resource {uri}"), Some(data))
        })?;
        let result = ReadResourceResult::new(vec![contents]);
        Ok(result.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Public).into())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.listeners().legacy.push((request.uri.to_string(), context.peer));
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.listeners().legacy.retain(|(uri, _)| *uri != request.uri);
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.supported_by(&self.get_info().capabilities))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let key = {
            let mut listeners = self.listeners();
            listeners.next += 1;
            let key = listeners.next;
            listeners.streams.insert(key, context.sink().clone());
            key
        };
        context.cancelled().await;
        self.listeners().streams.remove(&key);
        Ok(())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let result = ListPromptsResult::with_all_items(self.catalogue().prompts.clone());
        Ok(result.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        if let Some(rounds) = self.catalogue().rounds.get(&request.name) {
            let visit = Visit {
                name: &request.name,
                responses: request.input_responses.as_ref(),
                state: request.request_state.as_deref(),
                meta: &context.meta,
            };
            return Ok(match rounds.turn(&visit)? {
                Turn::Ask(question) => question.into(),
                Turn::Done(text) => GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)]).into(),
            });
        }
        let arguments = calls::texts(request.arguments.as_ref());
        let messages = self
            .catalogue()
            .messages(&request.name, &arguments)
            .ok_or_else(|| ErrorData::invalid_params(format!("no prompt {}", request.name), None))?;
        Ok(GetPromptResult::new(messages).into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let typed = &request.argument.value;
        let values = ["paris", "park", "party", "1", "2", "3"]
            .into_iter()
            .filter(|value| value.starts_with(typed))
            .map(Into::into)
            .collect();
        let info = CompletionInfo::new(values).map_err(|error| ErrorData::internal_error(error, None))?;
        Ok(CompleteResult::new(info))
    }

    async fn set_level(&self, _: SetLevelRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        Ok(GetTaskResult::new(self.shared.tasks.get_task(&request.task_id)?))
    }

    async fn update_task(&self, request: UpdateTaskParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.shared.tasks.update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(&self, request: CancelTaskParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.shared.tasks.cancel_task(&request.task_id)
    }
}
