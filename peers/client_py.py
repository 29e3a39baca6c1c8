"""A real client, on the Python SDK: connects, looks around, and prints one JSON report.

    python client_py.py [--mode MODE] [--bearer TOKEN] [--call TOOL] [--arguments JSON] [--calls JSON] [--read URI] --url URL
    python client_py.py [...] -- COMMAND [ARGUMENT...]

Run it with the interpreter that `cargo xtask peers` made: .work/peers/venv/bin/python.
"""

import argparse
import asyncio
import json
import os
import sys

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url")
    parser.add_argument("--bearer")
    parser.add_argument("--mode", default="auto", help="auto, legacy, or a protocol version")
    parser.add_argument("--call")
    parser.add_argument("--arguments", type=json.loads, default={})
    parser.add_argument("--calls", type=json.loads, default=[], help="a list of {name, arguments}")
    parser.add_argument("--read")
    parser.add_argument("command", nargs="*")
    return parser.parse_args()


def target(given):
    """What the client is to connect to."""
    if given.url is None:
        if not given.command:
            sys.exit("neither --url nor a command was given")
        command, *args = given.command
        return StdioServerParameters(command=command, args=args, env=dict(os.environ))
    if given.bearer is None:
        return given.url
    headers = {"Authorization": f"Bearer {given.bearer}"}
    return streamable_http_client(given.url, http_client=httpx2.AsyncClient(headers=headers, timeout=60))


def plain(model):
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


async def attempt(step):
    """What a step came to: its value, or the error in its place."""
    try:
        return await step
    except MCPError as error:
        return {"error": plain(error.error)}


async def names(page_of, member):
    """All pages of a list, by name."""
    found, cursor = [], None
    while True:
        page = await page_of(cursor=cursor)
        found += [item.name for item in getattr(page, member)]
        cursor = page.next_cursor
        if cursor is None:
            return found


async def dumped(step):
    return plain(await step)


async def look_around(client, given, report):
    capabilities = client.server_capabilities
    report["version"] = client.protocol_version
    report["server"] = plain(client.server_info) if client.server_info else None
    report["capabilities"] = plain(capabilities)
    if capabilities.tools:
        report["tools"] = await attempt(names(client.list_tools, "tools"))
    if given.call:
        report["call"] = await attempt(dumped(client.call_tool(given.call, given.arguments)))
    if given.calls:
        report["calls"] = [await attempt(dumped(client.call_tool(**call))) for call in given.calls]
    if capabilities.resources:
        report["resources"] = await attempt(names(client.list_resources, "resources"))
    if given.read:
        report["read"] = await attempt(dumped(client.read_resource(given.read)))
    if capabilities.prompts:
        report["prompts"] = await attempt(names(client.list_prompts, "prompts"))


def innermost(error):
    """Task groups wrap what went wrong in groups of one."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return error


async def main():
    given = options()
    report = {"client": "python"}
    try:
        async with Client(target(given), mode=given.mode) as client:
            await look_around(client, given, report)
    except Exception as error:  # whatever it is belongs into the report
        report["error"] = {"message": f"{type(error).__name__}: {innermost(error)}"}
    print(json.dumps(report, indent=2))
    return 1 if "error" in report else 0


sys.exit(asyncio.run(main()))
