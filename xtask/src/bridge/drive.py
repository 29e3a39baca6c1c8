"""Drives one Codex CLI through `toolgate mcp serve --profile bridge`, with a model of its own behind it.

    drive.py TOOLGATE CODEX SCRATCH

Prints one line of JSON for each thing that was tried: {"what", "held", "why"}. The model is an HTTP server in this
process; what it says is decided by words of the prompt. Nothing leaves the machine."""
import json, os, re, shutil, signal, subprocess, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOOLGATE, CODEX, SCRATCH = sys.argv[1:4]
MARK = "TOOLGATE_BRIDGE_RUN"
PATIENCE = 120


class Model(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen = []
    failures = {
        "FAIL-401": (401, {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}),
        "FAIL-429": (429, {"error": {"message": "Rate limit reached", "type": "rate_limit_exceeded"}}),
        "FAIL-500": (500, {"error": {"message": "boom"}}),
    }

    def log_message(self, *_):
        pass

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def do_GET(self):
        self.answer(200, "application/json", b'{"object":"list","data":[],"models":[]}')

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        Model.seen.append(body)
        asked = last_words(body)
        if body.get("model") == "no-such-model":
            words = {"error": {"message": "The model `no-such-model` does not exist", "code": "model_not_found"}}
            return self.answer(400, "application/json", json.dumps(words).encode())
        for word, (status, said) in Model.failures.items():
            if word in asked:
                return self.answer(status, "application/json", json.dumps(said).encode())
        if "ESCALATE" in asked and not any(item.get("type") == "function_call_output" for item in since(body)):
            return self.answer(200, "text/event-stream", events("", len(Model.seen), escalation(body, asked)))
        if "HANG" in asked:
            time.sleep(PATIENCE)
        self.answer(200, "text/event-stream", events("answer to: " + asked[-60:], len(Model.seen)))


def last_words(body):
    """The newest message of the user that is no context which Codex adds."""
    said = [text for item in body.get("input", []) if item.get("role") == "user"
            for text in [part.get("text", "") for part in item.get("content", [])] if not text.lstrip().startswith("<")]
    return said[-1] if said else ""


def since(body):
    """What came after the newest message of the user."""
    items = body.get("input", [])
    last = max((at for at, item in enumerate(items) if item.get("role") == "user"), default=-1)
    return items[last + 1:]


def escalation(body, asked):
    """A call of whatever tool runs commands: outside of the sandbox."""
    command = "touch " + asked.split()[-1]
    leave = {"sandbox_permissions": "require_escalated", "justification": "it has to be there"}
    if any(tool.get("name") == "exec_command" for tool in body.get("tools", [])):
        name, arguments = "exec_command", {"cmd": command, **leave}
    elif any(tool.get("name") == "shell_command" for tool in body.get("tools", [])):
        name, arguments = "shell_command", {"command": command, **leave}
    else:
        name, arguments = "shell", {"command": ["sh", "-c", command], "with_escalated_permissions": True, **leave}
    return {"type": "function_call", "name": name, "arguments": json.dumps(arguments)}


def events(text, number, call=None):
    item = {"type": "message", "role": "assistant", "id": f"msg_{number}", "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}]}
    if call:
        item = {**call, "id": f"fc_{number}", "call_id": f"call_{number}", "status": "completed"}
    usage = {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 1,
             "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 2}
    response = {"id": f"resp_{number}", "object": "response"}
    all_events = [
        {"type": "response.created", "response": {**response, "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": item if call else {**item, "content": []}},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {**response, "status": "completed", "output": [item], "usage": usage}},
    ]
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in all_events).encode()


class Client:
    """A client that speaks MCP over the standard streams of a server."""

    def __init__(self, place, args=(), env=(), leave=None):
        command = [TOOLGATE, "mcp", "serve", "--profile", "bridge", *args]
        self.log = open(place.at("toolgate.err"), "ab")
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
                                      env={**place.env, **dict(env)}, cwd=place.at("work"), text=True)
        self.number, self.heard, self.answers, self.news = 0, threading.Condition(), {}, []
        self.leave, self.questions = leave, []
        threading.Thread(target=self.listen, daemon=True).start()
        able = {"elicitation": {}} if leave else {}
        hello = {"protocolVersion": "2025-06-18", "capabilities": able, "clientInfo": {"name": "bridge", "version": "1"}}
        self.wait(self.start("initialize", hello))
        self.send({"method": "notifications/initialized"})

    def send(self, message):
        self.child.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.child.stdin.flush()

    def listen(self):
        for line in self.child.stdout:
            message = json.loads(line)
            if "id" in message and "method" in message:
                self.questions.append(message["params"])
                self.send({"id": message["id"], "result": {"action": self.leave}})
                continue
            with self.heard:
                if "id" in message:
                    self.answers[message["id"]] = message
                else:
                    self.news.append(message)
                self.heard.notify_all()

    def start(self, method, params):
        self.number += 1
        self.send({"id": self.number, "method": method, "params": params})
        return self.number

    def wait(self, number, patience=PATIENCE):
        with self.heard:
            if not self.heard.wait_for(lambda: number in self.answers, patience):
                raise TimeoutError(f"no answer in {patience} s")
            message = self.answers[number]
        if "error" in message:
            raise AssertionError(f"error {json.dumps(message['error'])}")
        return message["result"]

    def begin(self, tool, **arguments):
        return self.start("tools/call", {"name": tool, "arguments": arguments, "_meta": {"progressToken": tool}})

    def call(self, tool, **arguments):
        return self.wait(self.begin(tool, **arguments))

    def close(self):
        self.child.stdin.close()
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()


class Place:
    """A home, and a repository with two commits and a change."""

    def __init__(self, url):
        self.root = os.path.realpath(SCRATCH)
        shutil.rmtree(self.root, ignore_errors=True)
        for name in ("home", "codex", "work"):
            os.makedirs(self.at(name))
        self.mark = f"{os.getpid()}-{self.root}"
        self.env = {"PATH": os.environ["PATH"], "HOME": self.at("home"), "CODEX_HOME": self.at("codex"), "LANG": "C.UTF-8",
                    "CODEX_BIN": CODEX, "MODEL_KEY": "none", "CODEX_DEFAULT_MODEL": "scripted", MARK: self.mark}
        self.provider(url)
        with open(self.at("codex/toolgate.toml"), "w") as file:
            file.write("[codex]\nenv_vars = [%s]\n" % json.dumps(MARK))
        git = "git -c user.name=a -c user.email=a@b "
        script = (f"git init -q -b main; echo one >a.txt; git add .; {git} commit -qm one; git checkout -qb topic;"
                  f"echo two >>a.txt; {git} commit -qam two; echo three >>a.txt")
        subprocess.run(["sh", "-ec", script], cwd=self.at("work"), env=self.env, check=True)
        self.head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=self.at("work"), text=True).strip()

    def at(self, name):
        return os.path.join(self.root, name)

    def provider(self, url):
        with open(self.at("codex/config.toml"), "w") as file:
            file.write(f'''model = "scripted"
model_provider = "scripted"
check_for_update_on_startup = false
model_supports_reasoning_summaries = true
[model_providers.scripted]
name = "scripted"
base_url = "{url}"
wire_api = "responses"
env_key = "MODEL_KEY"
request_max_retries = 0
stream_max_retries = 0
supports_websockets = false
[features]
enable_request_compression = false
[analytics]
enabled = false
''')

    def alive(self):
        """Which processes of this run there are: number, command line, and whether it is toolgate."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                environ = open(f"/proc/{pid}/environ", "rb").read()
                line = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")
                ours = os.path.samefile(f"/proc/{pid}/exe", TOOLGATE)
                zombie = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] == "Z"
            except OSError:
                continue
            if f"{MARK}={self.mark}".encode() in environ and not zombie:
                found.append((int(pid), b" ".join(line).decode(errors="replace")[:120], ours))
        return found

    def codexes(self):
        return [line for _, line, ours in self.alive() if not ours]


def text(result):
    return result["content"][0]["text"]


def meta(result):
    return result["content"][0].get("_meta", {})


def good(result, words=""):
    assert not result.get("isError"), f"it failed: {text(result)[:600]}"
    assert words in text(result), f"`{words}` is not in the answer: {text(result)[:600]}"
    return result


def bad(result, words):
    assert result.get("isError") is True, f"no error: {json.dumps(result)[:400]}"
    assert words in text(result), f"`{words}` is not in: {text(result)[:600]}"


def until(what, is_so, patience=20):
    end = time.monotonic() + patience
    while not is_so():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def sandbox_of(body, codex):
    """What Codex ran under: by its own record of the newest turn, else by what the model was told."""
    files = [os.path.join(at, name) for at, _, names in os.walk(os.path.join(codex, "sessions")) for name in names]
    turns = [line for line in open(max(files, key=os.path.getmtime)) if '"turn_context"' in line] if files else []
    noted = json.loads(turns[-1])["payload"].get("sandbox_policy") if turns else None
    if noted:
        return noted.get("type") or noted.get("mode")
    said = json.dumps(body)
    for pattern in (r"<sandbox_mode>([a-z-]+)<", r"`?sandbox_mode`? is `([a-z-]+)`"):
        found = re.findall(pattern, said)
        if found:
            return found[-1]
    found = [(said.rfind(word), word) for word in ("read-only", "workspace-write", "danger-full-access")]
    return max(found)[1]


def said_before(body):
    return [part.get("text") for item in body["input"] if item.get("role") in ("user", "assistant")
            for part in item.get("content", [])]


def asks(place):
    """Whether the release can ask: its `app-server` knows threads, and policies by the names of the command line."""
    said = subprocess.run([CODEX, "app-server", "--help"], env=place.env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if said.returncode or "app-server" not in said.stdout:
        return False
    hello = [{"id": 1, "method": "initialize", "params": {"clientInfo": {"name": "bridge", "version": "1"}}},
             {"method": "initialized"}, {"id": 2, "method": "thread/start", "params": {"approvalPolicy": "on-request"}}]
    server = subprocess.Popen([CODEX, "app-server"], env=place.env, cwd=place.at("work"), text=True, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    server.stdin.write("".join(json.dumps(message) + "\n" for message in hello))
    server.stdin.flush()
    answers = (json.loads(line) for line in server.stdout)
    answer = next(answer for answer in answers if answer.get("id") == 2 and "method" not in answer)
    server.stdin.close()
    server.wait(PATIENCE)
    return "result" in answer


def facts(place):
    """What the release is, from its own help: what it is driven by."""
    helps = [subprocess.run([CODEX, *words, "--help"], env=place.env, cwd=place.at("work"), capture_output=True, text=True,
                            stdin=subprocess.DEVNULL).stdout for words in ([], ["exec"])]
    has = lambda word: re.search(rf"(^|\s){word}(\s|,|=|$)", helps[1]) is not None
    yield "events", next((f"`{flag}`" for flag in ("--experimental-json", "--json") if has(flag)), "none")
    yield "`exec review`", "yes" if re.search(r"^  review ", helps[1], re.M) else "in words"
    yield "`--full-auto`", "yes" if has("--full-auto") else "gone"
    yield "asks for leave", "yes" if asks(place) else "refuses"
    yield "`codex mcp-server`", "yes" if re.search(r"^  mcp-server ", helps[0], re.M) else "no"


class Tries:
    def __init__(self, place, url):
        self.place, self.url, self.client = place, url, Client(place)

    def last(self):
        return Model.seen[-1]

    def box(self):
        return sandbox_of(self.last(), self.place.at("codex"))

    # A turn.

    def codex_new(self):
        """`codex`: a new thread"""
        result = good(self.client.call("codex", prompt="hello there"), "answer to: hello there")
        assert text(result) == "answer to: hello there", text(result)
        assert meta(result).get("threadId"), f"no thread: {meta(result)}"
        assert self.last()["model"] == "scripted", self.last()["model"]

    def codex_words(self):
        """a prompt that looks like a flag, a command, or is 300 KiB long"""
        for prompt in ("--help", "resume", "-", "é🙂 \"quoted\" $HOME\nsecond line"):
            good(self.client.call("codex", prompt=prompt))
            assert prompt in said_before(self.last())[-1], said_before(self.last())[-1]
        long = "y" * 300_000
        good(self.client.call("codex", prompt=long))
        assert long in said_before(self.last())[-1]

    def codex_parameters(self):
        """model, reasoningEffort, workingDirectory, fullAuto, callbackUri"""
        os.makedirs(self.place.at("work/sub"), exist_ok=True)
        result = good(self.client.call("codex", prompt="p", model="gpt-5", reasoningEffort="high", fullAuto=True,
                                       workingDirectory=self.place.at("work/sub"), callbackUri="http://127.0.0.1/cb"))
        body = self.last()
        assert body["model"] == "gpt-5" and meta(result)["model"] == "gpt-5", body["model"]
        assert body.get("reasoning", {}).get("effort") == "high", body.get("reasoning")
        assert self.place.at("work/sub") in json.dumps(body), "the directory"
        assert self.box() == "workspace-write", self.box()

    def no_repository(self):
        """outside of any repository"""
        os.makedirs(self.place.at("home/plain"), exist_ok=True)
        good(self.client.call("codex", prompt="p", workingDirectory=self.place.at("home/plain")), "answer to: p")

    def sandboxes(self):
        """sandbox read-only and workspace-write, for a new thread and a resumed one; more is refused"""
        for first, second in (("read-only", "workspace-write"), ("workspace-write", "read-only")):
            session = "box-" + first
            good(self.client.call("codex", prompt="p", sandbox=first, sessionId=session))
            assert self.box() == first, f"new: {self.box()}, not {first}"
            good(self.client.call("codex", prompt="q", sandbox=second, sessionId=session))
            assert self.box() == second, f"resumed: {self.box()}, not {second}"
        before = len(Model.seen)
        bad(self.client.call("codex", prompt="p", sandbox="danger-full-access"), "sandbox")
        assert len(Model.seen) == before, "it ran all the same"

    def sessions(self):
        """a session: the second turn knows the first, after a restart of toolgate too"""
        first = good(self.client.call("codex", prompt="turn one", sessionId="s-1"))
        second = good(self.client.call("codex", prompt="turn two", sessionId="s-1"), "answer to: turn two")
        said = said_before(self.last())
        assert "turn one" in said and "answer to: turn one" in said, f"the model was shown {said}"
        assert meta(first)["threadId"] == meta(second)["threadId"], (meta(first), meta(second))
        self.client.close()
        self.client = Client(self.place)
        third = good(self.client.call("codex", prompt="turn three", sessionId="s-1"), "answer to: turn three")
        assert "answer to: turn two" in said_before(self.last()), said_before(self.last())
        assert meta(third)["threadId"] == meta(first)["threadId"], meta(third)
        assert "note" not in meta(third), meta(third)

    def switches(self):
        """a resumed session with another model, effort and directory"""
        good(self.client.call("codex", prompt="one", sessionId="s-2"))
        good(self.client.call("codex", prompt="two", sessionId="s-2", model="gpt-5", reasoningEffort="low",
                              workingDirectory=self.place.at("work/sub")))
        body = self.last()
        assert (body["model"], body.get("reasoning", {}).get("effort")) == ("gpt-5", "low"), (body["model"], body.get("reasoning"))
        assert "one" in said_before(body), said_before(body)

    def listing(self):
        """`listSessions`"""
        sessions = json.loads(text(good(self.client.call("listSessions"))))
        counts = {session["id"]: session["turnCount"] for session in sessions}
        assert counts.get("s-1") == 3, counts

    def reply(self):
        """`codex-reply` by thread id"""
        thread = meta(good(self.client.call("codex", prompt="begin")))["threadId"]
        result = good(self.client.call("codex-reply", threadId=thread, prompt="go on"), "answer to: go on")
        assert result["structuredContent"] == {"threadId": thread, "content": "answer to: go on"}, result
        assert "begin" in said_before(self.last()), said_before(self.last())

    def lost(self):
        """a thread that is not there: told so; a session whose thread is gone begins afresh"""
        bad(self.client.call("codex-reply", threadId="01999999-0000-7000-8000-000000000000", prompt="x"), "Session not found")
        bad(self.client.call("codex-reply", threadId="no-such-name", prompt="x"), "Session not found")
        good(self.client.call("codex", prompt="before", sessionId="s-3"))
        for name in os.listdir(self.place.at("codex")):
            if name == "sessions" or re.match(r"(state|logs|session|thread|goals|memories).*\.sqlite", name) or name == "session_index.jsonl":
                path = self.place.at("codex/" + name)
                shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
        result = good(self.client.call("codex", prompt="after", sessionId="s-3"), "Task: after")
        assert "began afresh" in meta(result).get("note", ""), meta(result)

    def leave(self):
        """leave in the middle of a turn: asked for and given, or not, where the release has an `app-server`; else refused"""
        file = self.place.at("codex/toolgate.toml")
        before = open(file).read()
        with open(file, "a") as more:
            more.write('approvals = "ask"\n[approvals]\nby_client = true\nnotify = false\n')
        try:
            for action in ("accept", "decline"):
                client = Client(self.place, leave=action)
                good(client.call("codex", prompt="ESCALATE " + action + "ed"), "answer to: ESCALATE")
                client.close()
                done = os.path.exists(self.place.at("work/" + action + "ed"))
                if not asks(self.place):
                    assert not client.questions and not done, "it was done without leave"
                    continue
                assert len(client.questions) == 1, f"{len(client.questions)} questions"
                assert f"touch {action}ed" in client.questions[0]["message"], client.questions
                assert done == (action == "accept"), f"{action}, and it was {'' if done else 'not '}done"
        finally:
            with open(file, "w") as same:
                same.write(before)

    # The other tools.

    def review(self, words, **arguments):
        before = len(Model.seen)
        result = good(self.client.call("review", **arguments), "answer to: ")
        bodies = Model.seen[before:]
        assert bodies, "the model was not asked"
        said = "\n".join(filter(None, said_before(bodies[-1])))
        for word in words:
            assert word in said, f"the model was not told `{word}`: {said[-1500:]}"
        assert self.box() == "read-only", f"sandbox {self.box()}"
        return result

    def review_uncommitted(self):
        """`review`: uncommitted"""
        self.review(["staged"], uncommitted=True)
        self.review(["staged"])

    def review_base(self):
        """`review`: base"""
        assert meta(self.review(["main"], base="main"))["base"] == "main"

    def review_commit(self):
        """`review`: commit, with and without title"""
        self.review([self.place.head[:7]], commit=self.place.head)
        self.review([self.place.head[:7], "The Title"], commit=self.place.head, title="The Title")

    def review_prompt(self):
        """`review`: prompt alone"""
        self.review(["look for errors"], prompt="look for errors")

    def review_base_prompt(self):
        """`review`: base and prompt, commit and prompt"""
        self.review(["main", "look for errors"], base="main", prompt="look for errors")
        self.review([self.place.head[:7], "look for errors"], commit=self.place.head, prompt="look for errors")

    def review_wrong(self):
        """`review`: uncommitted and prompt refused"""
        bad(self.client.call("review", uncommitted=True, prompt="p"), "cannot be combined")

    def search(self):
        """`websearch`: the model has a search tool that reaches the web"""
        good(self.client.call("websearch", query="rust news", numResults=3), "3 key findings")
        tools = [tool for tool in self.last().get("tools", []) if str(tool.get("type")).startswith("web_search")]
        assert tools, "the model has no search tool"
        assert tools[0].get("external_web_access") is not False, f"it may not look further than a cache: {tools[0]}"

    def help(self):
        """`help`, `ping`"""
        good(self.client.call("help"), "Usage: codex")
        assert text(good(self.client.call("ping", message="x"))) == "x"

    def progress(self):
        """progress while it works"""
        before = len(self.client.news)
        good(self.client.call("codex", prompt="p"))
        told = [news["params"]["message"] for news in self.client.news[before:] if news["method"] == "notifications/progress"]
        assert len(told) >= 2 and told[0].startswith("Starting Codex"), told
        assert not any("{" in message for message in told), f"raw output: {told}"

    def structured(self):
        """structured content, and the results of Codex's own old server"""
        for args, env, expected in (
            ((), {"STRUCTURED_CONTENT_ENABLED": "1"}, {"threadId", "model", "content"}),
            (("--contract", "codex"), {}, {"threadId", "content"}),
        ):
            client = Client(self.place, args, env)
            result = client.call("codex", prompt="p")
            client.close()
            assert set(good(result)["structuredContent"]) == expected, result

    # What goes wrong.

    def fails(self, words, **arguments):
        bad(self.client.call("codex", sessionId="failed", **arguments), words)
        listed = text(self.client.call("listSessions"))
        assert '"failed"' not in listed, "a turn was kept"

    def fail_401(self):
        """401"""
        self.fails("Authentication failed: Please run `codex login`", prompt="FAIL-401")

    def fail_key(self):
        """the key of the provider is not set"""
        client = Client(self.place, env={"MODEL_KEY": ""})
        bad(client.call("codex", prompt="p"), "Authentication failed")
        result = client.call("review")
        client.close()
        bad(result, "Set MODEL_KEY where this server is started")

    def fail_429(self):
        """429"""
        self.fails("a limit of the account is reached", prompt="FAIL-429")

    def fail_500(self):
        """500"""
        self.fails("Failed to execute codex command", prompt="FAIL-500")

    def fail_model(self):
        """a model that does not exist"""
        self.fails("Invalid model: no-such-model", prompt="p", model="no-such-model")
        bad(self.client.call("review", base="main", model="no-such-model"), "Invalid model: no-such-model")

    def fail_network(self):
        """nobody at the address of the model"""
        self.place.provider("http://127.0.0.1:9/v1")
        client = Client(self.place, env={"CODEX_TOOL_TIMEOUT_MS": "20000"})
        try:
            result = client.call("codex", prompt="p")
            assert result.get("isError") is True, result
            reasons = ("the model could not be reached", "it took longer than")
            assert any(reason in text(result) for reason in reasons), text(result)[:600]
            assert "Codex said" in text(result), f"it does not say why: {text(result)}"
        finally:
            client.close()
            self.place.provider(self.url)

    def timeout(self):
        """a model that never answers: ended after `timeout_sec`, nothing left over"""
        client = Client(self.place, env={"CODEX_TOOL_TIMEOUT_MS": "4000"})
        result = client.call("codex", prompt="HANG")
        until("a process is left", lambda: not self.place.codexes())
        client.close()
        bad(result, "took longer than 4 s")

    def cancel(self):
        """cancelled: nothing left over, and the session goes on"""
        before = len(Model.seen)
        number = self.client.begin("codex", prompt="HANG", sessionId="s-1")
        until("the run to begin", lambda: len(Model.seen) > before, 60)
        assert self.place.codexes(), "no process is found even while it runs"
        self.client.send({"method": "notifications/cancelled", "params": {"requestId": number}})
        until(f"left over: {self.place.codexes()}", lambda: not self.place.codexes())
        good(self.client.call("codex", prompt="after the cancel", sessionId="s-1"), "after the cancel")

    def killed(self):
        """toolgate killed with signal 9: nothing left over"""
        client, before = Client(self.place), len(Model.seen)
        client.begin("codex", prompt="HANG")
        until("the run to begin", lambda: len(Model.seen) > before, 60)
        client.child.send_signal(signal.SIGKILL)
        client.child.wait()
        until(f"left over: {self.place.codexes()}", lambda: not self.place.codexes())

    ALL = [codex_new, codex_words, codex_parameters, no_repository, sandboxes, sessions, switches, listing, reply, leave,
           review_uncommitted, review_base, review_commit, review_prompt, review_base_prompt, review_wrong, search, help,
           progress, structured, fail_401, fail_key, fail_429, fail_500, fail_model, fail_network, timeout, cancel, killed, lost]


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    place = Place(url)
    tries = Tries(place, url)
    for what, fact in facts(place):
        print(json.dumps({"what": what, "fact": fact}), flush=True)
    only = os.environ.get("ONLY", "")
    for what in Tries.ALL:
        if only and what.__name__ not in only.split(","):
            continue
        began, why = time.monotonic(), None
        try:
            what(tries)
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
        print(json.dumps({"what": what.__doc__, "held": why is None, "why": why, "seconds": round(time.monotonic() - began, 1)}), flush=True)
    tries.client.close()
    left = place.alive()
    print(json.dumps({"what": "nothing left over at the end", "held": not left, "why": str(left) if left else None}), flush=True)
    for pid, _, _ in left:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
