#!/usr/bin/env python3
"""A Codex CLI without a model. `$CODEX_HOME/fake.json` says how it behaves:

  mode      ok | slow | hang | auth | key | login | model | quota | network | silent | split | big | burst | busy | mute
  version   what `--version` says
  legacy    no events, no `exec review`: the plain output of the first releases
  lost      `exec resume` finds no thread
  stranger  `exec resume` begins a new thread without a word
  anonymous no run tells its thread
  help      what `--help` says on standard output
  complains what `--help` says on standard error
  server    it has an `app-server` as well, which `fake_appserver.py` beside it tells of

Its command line is as strict as that of the releases it stands for, its answer is plain text unless events are asked
for, and it keeps its threads: `$CODEX_HOME/threads/ID` has the prompts of the turns that came to their end.
Each run is logged as a line of `$CODEX_HOME/fake.log`, and its end as another if it got that far."""
import fcntl, json, os, random, subprocess, sys, time, uuid

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

if "server" in how:
    MAIN = MAIN.replace("  review", "  app-server  Serve\n  review")
    if args[:1] == ["app-server"]:
        sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
        sys.dont_write_bytecode = True
        import fake_appserver

        fake_appserver.serve(home, how, args, log)

if args == ["--version"]:
    out("codex-cli " + how.get("version", "0.169.0"))
    sys.exit(0)
if args == ["--help"]:
    log(args=args)
    sys.stderr.write(how.get("complains", ""))
    sys.stdout.write(how.get("help", MAIN))
    sys.exit(0)
if args == ["exec", "--help"]:
    log(args=args)
    out(EXEC % (("", "      --full-auto\n") if legacy else ("  review  Review\n", "      --json\n")))
    sys.exit(0)

VALUED = {"-c", "--config", "-s", "--sandbox", "-C", "--cd", "-m", "--model", "--base", "--commit", "--title", "-o"}
FLAGS = {"--skip-git-repo-check", "--search", "--uncommitted", "-h", "--help"} | {"--full-auto" if legacy else "--json"}


def usage(message):
    sys.stderr.write("error: %s\n\nUsage: codex exec [OPTIONS] [PROMPT]\n" % message)
    sys.exit(2)


def parse():
    """Flags with their values, and the words that are none."""
    flags, words, rest = {}, [], iter(args)
    for arg in rest:
        name, _, value = arg.partition("=") if arg.startswith("--") else (arg, "", "")
        if name in VALUED:
            flags.setdefault(name, []).append(value or next(rest, ""))
        elif name in FLAGS:
            flags[name] = True
        elif arg.startswith("-") and arg != "-":
            usage("unexpected argument '%s' found" % arg)
        else:
            words.append(arg)
    return flags, words


flags, words = parse()
commands = []
while words and words[0] in ("exec", "review", "resume"):
    commands.append(words.pop(0))
resumed = words.pop(0) if commands[-1:] == ["resume"] and words else None
if "-h" in flags or "--help" in flags or words[:1] == ["help"]:
    out(EXEC % ("", ""))
    sys.exit(0)
subjects = [name for name in ("--uncommitted", "--base", "--commit") if name in flags] + words[:1]
if "review" in commands and len(subjects) > 1:
    usage("the argument '%s' cannot be used with '%s'" % (subjects[0], "[PROMPT]" if words else subjects[1]))
if "review" in commands and not subjects:
    sys.stderr.write("Error: Specify --uncommitted, --base, --commit, or provide custom review instructions\n")
    sys.exit(1)


def trusted(place):
    return os.path.exists(os.path.join(place, ".git")) or (place != "/" and trusted(os.path.dirname(place)))


if "--skip-git-repo-check" not in flags and not trusted(flags.get("-C", flags.get("--cd", [os.getcwd()]))[0]):
    sys.stderr.write("Not inside a trusted directory and --skip-git-repo-check was not specified.\n")
    sys.exit(1)

piped = sys.stdin.buffer.read().decode()
prompt = piped if words[:1] == ["-"] else " ".join(words)
names = ["CODEX_MCP_CALLBACK_URI", "OPENAI_API_KEY", "MY_KEY", "UNASKED"]
log(args=args, prompt=prompt, cwd=os.getcwd(), pid=os.getpid(), env={n: os.environ[n] for n in names if n in os.environ})
threads = os.path.join(home, "threads")
os.makedirs(threads, exist_ok=True)
if resumed and (how.get("lost") or not os.path.exists(os.path.join(threads, resumed))) and not how.get("stranger"):
    sys.stderr.write("Error: thread/resume failed: no rollout found for thread id %s\n" % resumed)
    sys.exit(1)
thread = str(uuid.uuid4()) if resumed is None or how.get("stranger") else resumed
turns = open(os.path.join(threads, thread), "a+")
try:
    fcntl.flock(turns, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    log(overlap=thread, said=prompt)


def event(**fields):
    if "--json" in flags:
        out(json.dumps(fields, ensure_ascii=False))


def fail(message):
    if "--json" not in flags:
        sys.stderr.write("ERROR: " + message + "\n")
    event(type="error", message=message)
    event(type="turn.failed", error={"message": message})
    sys.exit(1)


FAILURES = {
    "auth": "unexpected status 401 Unauthorized: bad key, url: http://127.0.0.1:1/v1/responses",
    "key": "Missing environment variable: `SOME_API_KEY`.",
    "login": "Not logged in",
    "model": "The model `nope` does not exist",
    "quota": "exceeded retry limit, last status: 429 Too Many Requests",
    "network": "error sending request for url (http://127.0.0.1:1/)",
}

if "--json" not in flags and not how.get("anonymous"):
    version = how.get("version", "0.169.0")
    sys.stderr.write("OpenAI Codex v%s\n--------\nsession id: %s\n--------\nuser\n%s\n" % (version, thread, prompt))
if not how.get("anonymous"):
    event(type="thread.started", thread_id=thread)
event(type="turn.started")
if mode in ("slow", "burst"):
    for number in range(5):
        event(type="item.completed", item={"type": "reasoning", "text": "step %d" % number})
        if "--json" not in flags:
            sys.stderr.write("step %d\n" % number)
            sys.stderr.flush()
        time.sleep(0.15 if mode == "slow" else 0.02)
elif mode == "hang":
    if os.fork() == 0:
        os.setsid()
    time.sleep(600)
elif mode == "busy":
    # Something that would outlive it, in a session of its own, as a command of a model may be.
    subprocess.Popen(["sleep", "600"], start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(random.uniform(0.01, how.get("seconds", 0.2)))
elif mode == "silent":
    sys.exit(7)
elif mode in FAILURES:
    fail(FAILURES[mode])
elif mode == "mute":
    event(type="turn.completed", usage={})
    sys.exit(0)
answer = "answer to: " + prompt[-60:]
if mode == "big":
    answer = "x" * (11 << 20)
turns.write(json.dumps(prompt) + "\n")
turns.flush()
log(ended=thread, said=prompt)
if mode == "split":
    line = json.dumps({"type": "item.completed", "item": {"type": "agent_message", "text": "é漢字🙂"}}, ensure_ascii=False)
    for byte in (line if "--json" in flags else "é漢字🙂").encode() + b"\n":
        os.write(1, bytes([byte]))
        time.sleep(0.002)
    event(type="turn.completed", usage={})
    sys.exit(0)
if "--json" not in flags:
    out(answer)
event(type="item.completed", item={"type": "agent_message", "text": answer})
event(type="turn.completed", usage={"input_tokens": 100, "output_tokens": 10})
