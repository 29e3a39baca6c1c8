"""A real client, on the Python SDK, that uses everything of a workspace, and prints one JSON report.

    python workspace_py.py MODE DIRECTORY COMMAND [ARGUMENT...]

MODE is `legacy` or a protocol version, DIRECTORY the workspace, which holds `src/main.rs`. The SDK holds every structured
result against the schema that its tool declares. Run it with the interpreter that `cargo xtask peers` made.
"""

import asyncio
import json
import os
import pathlib
import sys

from mcp import Client, StdioServerParameters
from mcp.types import ListRootsResult, PromptReference, ResourceTemplateReference, ResourceUpdatedNotification, Root

PATCH = """*** Begin Patch
*** Update File: src/main.rs
-fn main() {}
+fn main() { run() }
*** Add File: src/run.rs
+pub fn run() {}
*** End Patch
"""
MAIN = "project:///src/main.rs"


def plain(model):
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


async def tools(client, report):
    listed = await client.list_tools()
    report["tools"] = [tool.name for tool in listed.tools]
    report["calls"] = {}
    for name, arguments in [
        ("write_file", {"path": "docs/a.md", "content": "one\ntwo\n", "create_dirs": True}),
        ("read_file", {"path": "docs/a.md", "offset": 2}),
        ("list_directory", {"recursive": True}),
        ("apply_patch", {"patch": PATCH}),
        ("execute_command", {"command": ["cat", "src/run.rs"]}),
    ]:
        report["calls"][name] = plain(await client.call_tool(name, arguments))
    report["refused"] = plain(await client.call_tool("read_file", {"path": "../secret"}))


async def progress_and_cancel(client, directory, report):
    heard = []

    async def hear(progress, total, message):
        heard.append(message)

    command = "for i in 1 2 3; do echo step $i; sleep 0.3; done"
    await client.call_tool("execute_command", {"command": command}, progress_callback=hear)
    report["progress"] = heard
    begun, ended = directory / "begun", directory / "ended"
    # It says that it was ended, if it is given the time to.
    command = f"trap 'touch {ended.name}; exit' TERM; touch {begun.name}; sleep 600 & wait"
    call = asyncio.ensure_future(client.call_tool("execute_command", {"command": command}))
    await until(begun.exists)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    report["cancelled"] = await until(ended.exists)


async def until(holds):
    for _ in range(600):
        if holds():
            return True
        await asyncio.sleep(0.05)
    return False


async def resources(client, mode, directory, updates, report):
    listed = await client.list_resources()
    report["resources"] = {str(resource.uri): resource.size for resource in listed.resources}
    templates = await client.list_resource_templates()
    report["templates"] = [template.uri_template for template in templates.resource_templates]
    report["read"] = plain(await client.read_resource(MAIN))
    path = {"name": "path", "value": "src/m"}
    template = ResourceTemplateReference(type="ref/resource", uri=report["templates"][0])
    report["completed"] = plain(await client.complete(template, path))
    main = directory / "src/main.rs"
    if mode == "legacy":
        await client.subscribe_resource(MAIN)
        report["updated"] = await written_until(main, lambda: MAIN in updates)
        return
    async with client.listen(resource_subscriptions=[MAIN]) as subscription:
        event = asyncio.ensure_future(anext(aiter(subscription)))
        await written_until(main, event.done)
        report["updated"] = str(event.result().uri) == MAIN


async def written_until(path, holds):
    """A change may come before anybody watches, so there are several."""
    for number in range(100):
        path.write_text(f"// {number}\n")
        for _ in range(10):
            if holds():
                return True
            await asyncio.sleep(0.05)
    return False


async def prompts(client, report):
    report["prompts"] = [prompt.name for prompt in (await client.list_prompts()).prompts]
    report["prompt"] = plain(await client.get_prompt("document", {"path": "src/run.rs", "style": "rustdoc"}))
    framework = {"name": "framework", "value": "py"}
    prompt = PromptReference(type="ref/prompt", name="generate_tests")
    report["usual"] = plain(await client.complete(prompt, framework))


async def main():
    mode, directory, command, *args = sys.argv[1:]
    directory = pathlib.Path(directory)
    report, updates, asked = {}, [], []

    async def roots(context):
        asked.append(True)
        return ListRootsResult(roots=[Root(uri=directory.resolve().as_uri())])

    async def hear(message):
        if isinstance(message, ResourceUpdatedNotification):
            updates.append(str(message.params.uri))

    server = StdioServerParameters(command=command, args=args, env=dict(os.environ), cwd=directory)
    async with Client(server, mode=mode, list_roots_callback=roots, message_handler=hear) as client:
        report["version"] = client.protocol_version
        await tools(client, report)
        await progress_and_cancel(client, directory, report)
        await prompts(client, report)
        await resources(client, mode, directory, updates, report)
    report["asked_for_roots"] = len(asked)
    print(json.dumps(report))


asyncio.run(main())
