// A real client, on the TypeScript SDK: connects, looks around, and prints one JSON report.
//
//   node client_ts.mjs [--bearer TOKEN] [--call TOOL] [--arguments JSON] [--calls JSON] [--read URI] --url URL
//   node client_ts.mjs [...] -- COMMAND [ARGUMENT...]
//
// CALLS are a list of {"name", "arguments"}. The SDK is the one that `cargo xtask peers` installed, or that PEERS points to.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const peers = process.env.PEERS
  ? pathToFileURL(`${process.env.PEERS}/`)
  : new URL("../.work/peers/", import.meta.url);
const require = createRequire(peers);
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = require("@modelcontextprotocol/sdk/client/stdio.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    url: { type: "string" },
    bearer: { type: "string" },
    call: { type: "string" },
    arguments: { type: "string", default: "{}" },
    calls: { type: "string", default: "[]" },
    read: { type: "string" },
  },
});

function transport() {
  if (values.url) {
    const headers = values.bearer ? { Authorization: `Bearer ${values.bearer}` } : {};
    return new StreamableHTTPClientTransport(new URL(values.url), { requestInit: { headers } });
  }
  const [command, ...args] = positionals;
  if (!command) throw new Error("neither --url nor a command was given");
  return new StdioClientTransport({ command, args, env: process.env, stderr: "inherit" });
}

// What a step came to: its value, or the error in its place.
async function attempt(step) {
  try {
    return await step();
  } catch (error) {
    return { error: { code: error.code, message: error.message } };
  }
}

// All pages of a list, by name.
async function names(list, member) {
  const found = [];
  let cursor;
  do {
    const page = await list(cursor === undefined ? {} : { cursor });
    found.push(...page[member].map((item) => item.name));
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return found;
}

const client = new Client({ name: "peers-client-ts", version: "1" });
const report = { client: "typescript" };
let failed = false;
try {
  await client.connect(transport());
  const capabilities = client.getServerCapabilities();
  report.server = client.getServerVersion();
  report.capabilities = capabilities;
  if (capabilities.tools) report.tools = await attempt(() => names((p) => client.listTools(p), "tools"));
  if (values.call) {
    const call = { name: values.call, arguments: JSON.parse(values.arguments) };
    report.call = await attempt(() => client.callTool(call));
  }
  const calls = JSON.parse(values.calls);
  if (calls.length > 0) report.calls = [];
  for (const call of calls) report.calls.push(await attempt(() => client.callTool(call)));
  if (capabilities.resources) {
    report.resources = await attempt(() => names((p) => client.listResources(p), "resources"));
  }
  if (values.read) report.read = await attempt(() => client.readResource({ uri: values.read }));
  if (capabilities.prompts) report.prompts = await attempt(() => names((p) => client.listPrompts(p), "prompts"));
  await client.close();
} catch (error) {
  failed = true;
  report.error = { code: error.code, message: error.message };
}
console.log(JSON.stringify(report, null, 2));
process.exitCode = failed ? 1 : 0;
