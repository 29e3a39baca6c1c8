// A real client, on the TypeScript SDK, that uses everything of a workspace, and prints one JSON report.
//
//   node workspace_ts.mjs DIRECTORY COMMAND [ARGUMENT...]
//
// DIRECTORY is the workspace, which holds `src/main.rs`. The SDK holds every structured result against the schema that
// its tool declares. It is the one that `cargo xtask peers` installed.
import { existsSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const require = createRequire(new URL("../.work/peers/", import.meta.url));
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = require("@modelcontextprotocol/sdk/client/stdio.js");
const { ListRootsRequestSchema, ResourceUpdatedNotificationSchema } = require("@modelcontextprotocol/sdk/types.js");

const PATCH = `*** Begin Patch
*** Update File: src/main.rs
-fn main() {}
+fn main() { run() }
*** Add File: src/run.rs
+pub fn run() {}
*** End Patch
`;
const MAIN = "project:///src/main.rs";

const [directory, command, ...args] = process.argv.slice(2);
const report = { calls: {}, asked_for_roots: 0 };
const updates = [];

async function until(holds) {
  for (let round = 0; round < 600; round++) {
    if (holds()) return true;
    await sleep(50);
  }
  return false;
}

const client = new Client({ name: "peers-workspace-ts", version: "1" }, { capabilities: { roots: { listChanged: true } } });
client.setRequestHandler(ListRootsRequestSchema, async () => {
  report.asked_for_roots += 1;
  return { roots: [{ uri: pathToFileURL(resolve(directory)).href }] };
});
client.setNotificationHandler(ResourceUpdatedNotificationSchema, (note) => updates.push(note.params.uri));

async function tools() {
  report.tools = (await client.listTools()).tools.map((tool) => tool.name);
  const calls = [
    ["write_file", { path: "docs/a.md", content: "one\ntwo\n", create_dirs: true }],
    ["read_file", { path: "docs/a.md", offset: 2 }],
    ["list_directory", { recursive: true }],
    ["apply_patch", { patch: PATCH }],
    ["execute_command", { command: ["cat", "src/run.rs"] }],
  ];
  for (const [name, given] of calls) report.calls[name] = await client.callTool({ name, arguments: given });
  report.refused = await client.callTool({ name: "read_file", arguments: { path: "../secret" } });
}

async function progressAndCancel() {
  const run = (line, options) => client.callTool({ name: "execute_command", arguments: { command: line } }, undefined, options);
  report.progress = [];
  const onprogress = (progress) => report.progress.push(progress.message);
  await run("for i in 1 2 3; do echo step $i; sleep 0.3; done", { onprogress });
  const stop = new AbortController();
  // It says that it was ended, if it is given the time to.
  const call = run("trap 'touch ended; exit' TERM; touch begun; sleep 600 & wait", { signal: stop.signal });
  call.catch(() => {});
  await until(() => existsSync(join(directory, "begun")));
  stop.abort();
  report.cancelled = await until(() => existsSync(join(directory, "ended")));
}

async function resources() {
  const listed = (await client.listResources()).resources;
  report.resources = Object.fromEntries(listed.map((resource) => [resource.uri, resource.size ?? null]));
  report.templates = (await client.listResourceTemplates()).resourceTemplates.map((template) => template.uriTemplate);
  report.read = await client.readResource({ uri: MAIN });
  const ref = { type: "ref/resource", uri: report.templates[0] };
  report.completed = await client.complete({ ref, argument: { name: "path", value: "src/m" } });
  await client.subscribeResource({ uri: MAIN });
  writeFileSync(join(directory, "src/main.rs"), "// another\n");
  report.updated = await until(() => updates.includes(MAIN));
}

async function prompts() {
  report.prompts = (await client.listPrompts()).prompts.map((prompt) => prompt.name);
  report.prompt = await client.getPrompt({ name: "document", arguments: { path: "src/run.rs", style: "rustdoc" } });
  const ref = { type: "ref/prompt", name: "generate_tests" };
  report.usual = await client.complete({ ref, argument: { name: "framework", value: "py" } });
}

await client.connect(new StdioClientTransport({ command, args, cwd: directory, env: process.env, stderr: "inherit" }));
await tools();
await progressAndCancel();
await prompts();
await resources();
await client.close();
console.log(JSON.stringify(report));
