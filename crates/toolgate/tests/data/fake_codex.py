#!/usr/bin/env python3
"""A Codex CLI without a model. `$CODEX_HOME/fake.json` says how it behaves:

  mode      ok | slow | hang | auth | model | quota | network | silent | split | big | lines
  version   what `--version` says
  legacy    no events, no `exec review`: the plain output of the first releases
  lost      `exec resume` finds no thread
  stranger  `exec resume` begins a new thread without a word

Each run is logged as a line of `$CODEX_HOME/fake.log`."""
import json, os, sys, time

home = os.environ["CODEX_HOME"]
try:
    how = json.load(open(os.path.join(home, "fake.json")))
except FileNotFoundError:
    how = {}
args, mode, legacy = sys.argv[1:], how.get("mode", "ok"), how.get("legacy", False)


def log(**fields):
    with open(os.path.join(home, "fake.log"), "a") as file:
        file.write(json.dumps(fields) + "\n")


def out(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


EXEC = """Run Codex non-interactively

Commands:
  resume  Resume a previous session
%s  help    Print this message

Options:
  -c, --config <key=value>
  -s, --sandbox <SANDBOX_MODE>
  -C, --cd <DIR>
      --skip-git-repo-check
%s"""
MAIN = "Codex CLI\n\nCommands:\n  exec    Run\n  review  Review\n\nOptions:\n      --search\n"

if args == ["--version"]:
    out("codex-cli " + how.get("version", "0.169.0"))
    sys.exit(0)
if args == ["--help"]:
    log(args=args)
    out(MAIN.rstrip())
    sys.exit(0)
if args == ["exec", "--help"]:
    log(args=args)
    out(EXEC % (("", "      --full-auto\n") if legacy else ("  review  Review\n", "      --json\n")))
    sys.exit(0)

prompt = sys.stdin.buffer.read().decode()
names = ["CODEX_MCP_CALLBACK_URI", "OPENAI_API_KEY", "MY_KEY", "UNASKED"]
log(args=args, prompt=prompt, cwd=os.getcwd(), pid=os.getpid(), env={n: os.environ[n] for n in names if n in os.environ})
resumed = args[args.index("resume") + 1] if "resume" in args else None
if resumed and how.get("lost"):
    sys.stderr.write("Error: thread/resume failed: no rollout found for thread id %s\n" % resumed)
    sys.exit(1)
thread = "th_%d" % os.getpid() if resumed is None or how.get("stranger") else resumed


def event(**fields):
    if not legacy:
        out(json.dumps(fields, ensure_ascii=False))


def fail(message):
    if legacy:
        sys.stderr.write("ERROR: " + message + "\n")
    event(type="error", message=message)
    event(type="turn.failed", error={"message": message})
    sys.exit(1)


if legacy:
    sys.stderr.write("OpenAI Codex v0.39.0\n--------\nsession id: %s\n--------\nuser\n%s\n" % (thread, prompt))
event(type="thread.started", thread_id=thread)
event(type="turn.started")
if mode == "slow":
    for number in range(5):
        event(type="item.completed", item={"type": "reasoning", "text": "step %d" % number})
        time.sleep(0.15)
elif mode == "hang":
    if os.fork() == 0:
        os.setsid()
    time.sleep(600)
elif mode == "auth":
    fail("unexpected status 401 Unauthorized: bad key, url: http://127.0.0.1:1/v1/responses")
elif mode == "model":
    fail("The model `nope` does not exist")
elif mode == "quota":
    fail("exceeded retry limit, last status: 429 Too Many Requests")
elif mode == "network":
    fail("error sending request for url (http://127.0.0.1:1/)")
elif mode == "silent":
    sys.exit(7)
answer = "answer to: " + prompt[-60:]
if mode == "big":
    answer = "x" * (11 << 20)
if mode == "split":
    line = json.dumps({"type": "item.completed", "item": {"type": "agent_message", "text": "é漢字🙂"}}, ensure_ascii=False)
    for byte in (line + "\n").encode():
        os.write(1, bytes([byte]))
    event(type="turn.completed", usage={})
    sys.exit(0)
if legacy:
    out(answer)
event(type="item.completed", item={"type": "agent_message", "text": answer})
event(type="turn.completed", usage={"input_tokens": 100, "output_tokens": 10})
