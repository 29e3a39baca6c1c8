//! From layers to a [`Config`]: who shadows whom, which entry is bad, what the gate's own settings are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use gate::policy::{self, Level};

use super::codex::{Codex, CodexOwn};
use super::env::Env;
use super::fields::Fields;
use super::govern::PolicySettings;
use super::governing::{WrittenApprovals, WrittenAudit, WrittenData, WrittenPolicy};
use super::layers::{Layer, Layers};
use super::lint;
use super::managed::Managed;
use super::managed_files::ManagedFile;
use super::node::{self, Node, Table, Value};
use super::place::{Origin, Place, Problem, ServerError, Source, similar};
use super::project;
use super::rules::Author;
use super::sections::{SECTIONS, gate, limits, section_keys};
use super::server::{self, Context, defines_transport};
use super::types::{Broken, Config, Server, Trust};
use super::workspace::Workspace;

/// Decides. Never fails: what is wrong is in `bad`, `broken` and `warnings`, and what is in `servers` can be used.
pub fn resolve(layers: Layers, env: &Env) -> Config {
    let Layers { home, workspace, mut layers, managed, files, project } = layers;
    let trusted = project.as_ref().is_some_and(|project| project.trusted);
    let readable = layers.iter().filter(|layer| layer.readable).flat_map(|layer| layer.table.values());
    let readable = readable.filter_map(|node| node.place.path().map(Path::to_owned)).collect();
    let mut resolving = Resolving { trusted, readable, ..Resolving::default() };
    let managed = resolving.managed(managed, env);
    let servers: Vec<_> = layers.iter_mut().map(|layer| (layer.source, resolving.servers_of(layer))).collect();
    resolving.not_of_a_project(&layers);
    let of_codex = layers.iter().find(|layer| layer.source == Source::Codex);
    let codex_own = of_codex.map(|layer| CodexOwn::of(&layer.table)).unwrap_or_default();
    // Everything else that governs is the user's alone.
    let own = layers.into_iter().filter(|layer| matches!(layer.source, Source::Toolgate | Source::Override));
    let own: Vec<_> = own.map(|layer| (layer.source, layer.table)).collect();
    let gate = resolving.section(&own, "gate", gate);
    let limits = resolving.section(&own, "limits", limits);
    let policy = resolving.policy(&own, &managed, workspace, env);
    let approvals = managed.approvals(resolving.section(&own, "approvals", WrittenApprovals::read).decided());
    // A server's own word replaces the default before the bounds apply to either.
    let open_data = resolving.section(&own, "data", WrittenData::read).decided();
    let audit = managed.audit(resolving.section(&own, "audit", WrittenAudit::read).decided());
    let codex = Codex { own: codex_own, ..resolving.section(&own, "codex", Codex::read) };
    let places = resolving.section(&own, "workspace", Workspace::read);
    resolving.own_keys(own);
    let entries = resolving.stack(servers);
    let names: Vec<_> = entries.keys().cloned().collect();
    let context =
        Context { env, gate: &gate, limits: &limits.server, data: &open_data, policy: &policy, managed: &managed };
    for error in lint::lookalikes(entries.iter().map(|(name, entry)| (name.as_str(), &entry.origin))) {
        resolving.spoil(error);
    }
    for (name, entry) in entries {
        resolving.server(&name, entry, &context, &names);
    }
    let data = managed.data(open_data);
    resolving.rules_in_vain(&policy);
    let Resolving { servers, bad, broken, warnings, lints, trusted: _, readable: _ } = resolving;
    let trust = project.into_iter().collect();
    Config {
        home,
        files,
        trust,
        servers,
        bad,
        broken,
        warnings,
        lints,
        gate,
        limits,
        policy,
        approvals,
        data,
        audit,
        codex,
        workspace: places,
    }
}

/// An entry as the layers make it together.
struct Entry {
    node: Node,
    origin: Origin,
}

#[derive(Default)]
struct Resolving {
    servers: BTreeMap<String, Server>,
    bad: Vec<ServerError>,
    broken: Vec<Broken>,
    warnings: Vec<Problem>,
    lints: Vec<Problem>,
    /// Whether the project's entries may be used.
    trusted: bool,
    /// The files that others can read.
    readable: BTreeSet<PathBuf>,
}

impl Resolving {
    fn managed(&mut self, files: Vec<ManagedFile>, env: &Env) -> Managed {
        let mut managed = Managed::default();
        for file in files {
            let problems = managed.add(file, env.filled("HOME"));
            self.grave(Source::Managed, problems);
        }
        managed
    }

    /// Rules that can never decide, and names of servers that are none. What else is odd about rules is told by
    /// `toolgate policy lint`, which knows the tools too.
    fn rules_in_vain(&mut self, settings: &PolicySettings) {
        let names = self.servers.keys().chain(self.bad.iter().map(|bad| &bad.name)).map(String::as_str);
        let servers = names.chain([OURSELVES]).map(|name| (name.into(), gate::ServerRules::default()));
        let source = gate::PolicySource {
            servers: servers.collect(),
            managed: settings.managed.clone(),
            rules: settings.rules.clone(),
            ..gate::PolicySource::default()
        };
        let known: [gate::Item; 0] = [];
        for finding in policy::lint(&source, &known).into_iter().filter(|finding| finding.level == Level::Error) {
            let of_managed = settings.managed.iter().any(|rule| rule.id == finding.rule);
            let layer = if of_managed { Source::Managed } else { Source::Toolgate };
            let place = Place::parse(&finding.place);
            self.grave(layer, [Problem::new(&place, format!("rule `{}` {}", finding.rule.0, finding.text))]);
        }
    }

    fn grave(&mut self, source: Source, problems: impl IntoIterator<Item = Problem>) {
        self.broken.extend(problems.into_iter().map(|problem| Broken { source, problem, grave: true }));
    }

    /// The rules of each layer add to those of the others: an override cannot take one away.
    fn policy(
        &mut self,
        layers: &[(Source, Table)],
        managed: &Managed,
        workspace: PathBuf,
        env: &Env,
    ) -> PolicySettings {
        let mut written = WrittenPolicy::default();
        for (source, table) in layers {
            let problems = written.add(table, Author { managed: false, home: env.filled("HOME") });
            self.grave(*source, problems);
        }
        PolicySettings {
            managed: managed.policy.rules.clone(),
            rules: written.rules,
            high_impact: written.high_impact,
            managed_high_impact: managed.policy.high_impact.clone(),
            require_decisions: written.require_decisions || managed.policy.require_decisions,
            team: managed.team.clone().or_else(|| env.filled("CODEX_TEAM").map(str::to_owned)),
            workspace,
        }
    }

    /// Takes the server tables out of a layer. A layer that does not parse yields none: what its parser made
    /// of the rest may lack a restriction, so the names found there are bad instead.
    fn servers_of(&mut self, layer: &mut Layer) -> Table {
        let found = match layer.table.remove("mcp_servers") {
            None => Table::new(),
            Some(Node { value: Value::Table(table), .. }) => table,
            Some(node) => {
                let message = format!("`mcp_servers`: invalid type: {}, expected a table", node.value.kind());
                layer.problems.push(Problem::new(&node.place, message));
                Table::new()
            }
        };
        let Some(first) = layer.problems.first().cloned() else {
            return found;
        };
        // What a project holds must not spoil what its user has.
        let found = if layer.source == Source::Project { Table::new() } else { found };
        let why = if layer.open { "its file is not believed" } else { "its file does not parse" };
        for name in found.into_keys() {
            let problem = Problem { message: format!("{why}: {}", first.message), ..first.clone() };
            self.spoil(ServerError { name, problem });
        }
        layer.table.clear();
        let source = layer.source;
        let grave = match source {
            Source::Project => false,
            Source::Codex | Source::Json => layer.open,
            Source::Toolgate | Source::Profile | Source::Override | Source::Managed => true,
        };
        self.broken.extend(layer.problems.drain(..).map(|problem| Broken { source, problem, grave }));
        Table::new()
    }

    fn spoil(&mut self, error: ServerError) {
        if self.bad.iter().all(|bad| bad.name != error.name) {
            self.bad.push(error);
        }
    }

    /// Lays the layers' server tables on each other. In a file, an entry that says how its server is reached
    /// replaces the one below; any other adds to it, and so does the command line.
    fn stack(&mut self, layers: Vec<(Source, Table)>) -> BTreeMap<String, Entry> {
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        for (source, table) in layers {
            for (name, node) in table {
                if matches!(source, Source::Codex | Source::Profile) {
                    self.warn_foreign(&name, &node);
                }
                let below = entries.remove(&name);
                entries.insert(name, lay(below, source, node));
            }
        }
        entries
    }

    fn warn_foreign(&mut self, name: &str, node: &Node) {
        let Value::Table(table) = &node.value else {
            return;
        };
        for (key, node) in table.iter().filter(|(key, node)| server::is_own(key, node)) {
            let why = if server::is_own_key(key, node) {
                "does not know this setting and drops or refuses it"
            } else {
                "does not resolve `${…}`"
            };
            let message = format!("`mcp_servers.{name}.{key}`: Codex {why}");
            self.warnings.push(Problem::new(&node.place, message).hint("move it to toolgate.toml"));
        }
    }

    fn server(&mut self, name: &str, entry: Entry, context: &Context<'_>, names: &[String]) {
        if self.bad.iter().any(|bad| bad.name == name) {
            return;
        }
        let adds_only = !defines_transport(&entry.node);
        let only_switches = entry.origin.source == Source::Toolgate
            && matches!(&entry.node.value, Value::Table(table) if table.keys().eq(["enabled"]));
        if entry.origin.source == Source::Project {
            return self.projects_server(name, entry, context);
        }
        for found in lint::literal_secrets(name, &entry.node) {
            let list = if found.certain { &mut self.warnings } else { &mut self.lints };
            // Each file is told of once.
            list.extend(
                found.problem.place.path().and_then(|path| self.readable.take(path)).map(|path| lint::readable(&path)),
            );
            list.push(found.problem);
        }
        match server::read(name, entry.node, entry.origin, context) {
            Ok((server, warnings)) => {
                self.warnings.extend(warnings);
                self.servers.insert(name.to_owned(), server);
            }
            Err(mut problem) => {
                let others = names.iter().map(String::as_str).filter(|other| *other != name);
                let meant = similar(name, others).filter(|_| adds_only);
                if only_switches && meant.is_none() {
                    // It is meant for a server that some project brings, and this is another.
                    let message = format!("`mcp_servers.{name}` switches a server that is not here");
                    return self.lints.push(Problem::new(&problem.place, message));
                }
                problem.hint = meant.or(problem.hint);
                self.spoil(ServerError { name: name.to_owned(), problem });
            }
        }
    }

    /// An entry of a project. Until the project is trusted nobody wants to know what else is odd about it.
    fn projects_server(&mut self, name: &str, entry: Entry, context: &Context<'_>) {
        let (node, mut warnings) = project::narrowed(name, entry.node);
        match server::read(name, node, entry.origin, context) {
            Ok((mut server, more)) => {
                warnings.extend(more);
                server.trust = Trust::Untrusted;
                if !self.trusted {
                    server.enabled = false;
                    server.barred.get_or_insert_with(project::barred);
                    warnings.clear();
                }
                self.servers.insert(name.to_owned(), server);
            }
            Err(problem) => self.spoil(ServerError { name: name.to_owned(), problem }),
        }
        self.warnings.extend(warnings);
    }

    /// A project cannot govern; whoever trusts one that tries is told so.
    fn not_of_a_project(&mut self, layers: &[Layer]) {
        if !self.trusted {
            return;
        }
        let keys = layers.iter().filter(|layer| layer.source == Source::Project).flat_map(|layer| &layer.table);
        for (key, node) in keys.filter(|(key, _)| SECTIONS.contains(&key.as_str())) {
            self.warnings.push(Problem::new(&node.place, format!("`{key}` is not taken from a project")));
        }
    }

    /// Reads one table of toolgate's own, laid together from its layers. A mistake spoils the whole of it:
    /// the defaults are used and the mistake is reported in `broken`.
    fn section<T: Default>(
        &mut self,
        layers: &[(Source, Table)],
        key: &str,
        read: fn(&mut Fields) -> Result<T, Problem>,
    ) -> T {
        let mut merged = Table::new();
        for (_, table) in layers {
            node::merge(&mut merged, table.iter().filter(|(name, _)| *name == key).map(own_clone).collect());
        }
        let Some(node) = merged.remove(key) else {
            return T::default();
        };
        let result = Fields::of(key, node).and_then(|mut fields| Ok((read(&mut fields)?, fields)));
        match result {
            Ok((value, fields)) => {
                self.warnings.extend(fields.unknown(section_keys(key)));
                value
            }
            Err(problem) => {
                self.grave(Source::Toolgate, [problem]);
                T::default()
            }
        }
    }

    /// What else stands in toolgate.toml.
    fn own_keys(&mut self, layers: Vec<(Source, Table)>) {
        let toolgate = layers.into_iter().filter(|(source, _)| *source == Source::Toolgate);
        for (key, node) in toolgate.flat_map(|(_, table)| table).filter(|(key, _)| !SECTIONS.contains(&key.as_str())) {
            let problem = Problem::new(&node.place, format!("unknown key `{key}` is ignored"));
            self.warnings.push(Problem { hint: similar(&key, SECTIONS.into_iter().chain(["mcp_servers"])), ..problem });
        }
    }
}

/// The built-in server, which rules may name.
const OURSELVES: &str = "toolgate";

fn own_clone((key, node): (&String, &Node)) -> (String, Node) {
    (key.clone(), node.clone())
}

/// Whether an entry stands for itself, and what is below it counts no more. A command line adds to what its author
/// wrote elsewhere, but not to what others did.
pub(super) fn replaces(below: Source, source: Source, node: &Node) -> bool {
    (source != Source::Override || below == Source::Project) && defines_transport(node)
}

fn lay(below: Option<Entry>, source: Source, node: Node) -> Entry {
    let alone = |node: Node| Origin { source, place: node.place, added: Vec::new(), shadowed: Vec::new() };
    let Some(mut below) = below else {
        return Entry { origin: alone(node.clone()), node };
    };
    if replaces(below.origin.source, source, &node) {
        let mut origin = alone(node.clone());
        origin.shadowed = below.origin.shadowed;
        origin.shadowed.push(below.origin.place);
        return Entry { node, origin };
    }
    below.origin.added.push(node.place.clone());
    let mut merged = Table::from([(String::new(), below.node)]);
    node::merge(&mut merged, Table::from([(String::new(), node)]));
    let (_, node) = merged.pop_first().expect("one entry was put in");
    Entry { node, origin: below.origin }
}
