"""What `fake_codex.py` does as `app-server`. `server` of `$CODEX_HOME/fake.json` says what its turns do:

  old    it knows no threads
  asks   what it wants leave for, one after another: {"command", "reason"}, {"patch": [CHANGE]}, {"tool"}
  hang   the turn does not end
  fail   the turn fails with this message

Each run is logged with the parameters of its requests, and each answer to a question."""
import json, os, subprocess, sys, uuid


def serve(home, how, args, log):
    doing = how["server"]
    threads = os.path.join(home, "threads")
    os.makedirs(threads, exist_ok=True)

    def send(**message):
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()

    def read():
        line = sys.stdin.readline()
        if not line:
            sys.exit(0)
        return json.loads(line)

    def item(thread, what, **item):
        send(method="item/" + what, params={"threadId": thread, "turnId": "turn-1", "item": item})

    def interrupted(thread):
        turn = {"id": "turn-1", "items": [], "status": "interrupted", "error": None}
        send(method="turn/completed", params={"threadId": thread, "turn": turn})

    def leave(thread, number, wanted):
        """The decision on one thing, or None if the turn was interrupted meanwhile."""
        base = {"threadId": thread, "turnId": "turn-1", "itemId": "item-%d" % number, "startedAtMs": 0}
        if "patch" in wanted:
            kind, method = "fileChange", "item/fileChange/requestApproval"
            more = {"changes": wanted["patch"]}
            asked = {"reason": wanted.get("reason"), "grantRoot": None}
        elif "tool" in wanted:
            kind, method, more = "mcpToolCall", "mcpServer/elicitation/request", {"tool": wanted["tool"], "server": "inner"}
            meta = {"codex_approval_kind": "mcp_tool_call", "tool_params": {"n": 1}}
            asked = {"serverName": "inner", "mode": "form", "_meta": meta, "message": "Allow inner to run %s?" % wanted["tool"]}
        else:
            kind, method = "commandExecution", "item/commandExecution/requestApproval"
            more = {"command": wanted.get("command"), "cwd": os.getcwd(), "commandActions": []}
            # Some releases tell the command in the item alone.
            asked = {"reason": wanted.get("reason"), **({} if wanted.get("bare") else more)}
        item(thread, "started", type=kind, id=base["itemId"], status="inProgress", **more)
        send(id="ask-%d" % number, method=method, params={**base, **asked})
        while True:
            message = read()
            if message.get("id") == "ask-%d" % number:
                break
            if message.get("method") == "turn/interrupt":
                log(interrupted=thread)
                send(id=message["id"], result={})
                return None
        result = message.get("result") or {"decision": "refused by an error"}
        decision = result.get("decision") or result.get("action")
        log(decision=decision, about=wanted)
        status = "completed" if decision == "accept" else "declined"
        item(thread, "completed", type=kind, id=base["itemId"], status=status, **more)
        return decision

    def turn(thread, prompt):
        send(method="turn/started", params={"threadId": thread, "turn": {"id": "turn-1", "status": "inProgress"}})
        user = {"type": "userMessage", "id": "item-0", "content": [{"type": "text", "text": prompt}]}
        item(thread, "completed", **user)
        decisions = []
        for number, wanted in enumerate(doing.get("asks", []), 1):
            decisions.append(leave(thread, number, wanted))
            if decisions[-1] in (None, "cancel"):
                return interrupted(thread)
        if "fail" in doing:
            error = {"message": doing["fail"]}
            send(method="error", params={"threadId": thread, "turnId": "turn-1", "error": error, "willRetry": False})
            turn = {"id": "turn-1", "items": [], "status": "failed", "error": error}
            return send(method="turn/completed", params={"threadId": thread, "turn": turn})
        if doing.get("hang"):
            subprocess.Popen(["sleep", "600"], start_new_session=True, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            log(hanging=thread)
            return
        with open(os.path.join(threads, thread), "a") as file:
            file.write(json.dumps(prompt) + "\n")
        text = "answer to: " + prompt[-60:] + "".join(" [%s]" % decision for decision in decisions)
        item(thread, "completed", type="agentMessage", id="item-9", text=text, phase=None)
        usage = {"totalTokens": 110, "inputTokens": 100, "cachedInputTokens": 0, "outputTokens": 10, "reasoningOutputTokens": 0}
        usage = {"total": usage, "last": usage, "modelContextWindow": 1000}
        send(method="thread/tokenUsage/updated", params={"threadId": thread, "turnId": "turn-1", "tokenUsage": usage})
        turn = {"id": "turn-1", "items": [], "status": "completed", "error": None}
        send(method="turn/completed", params={"threadId": thread, "turn": turn})

    opening = {}
    while True:
        message = read()
        method, params, number = message.get("method"), message.get("params") or {}, message.get("id")
        if method == "initialize":
            send(id=number, result={"userAgent": "fake"})
        elif method in ("thread/start", "thread/resume") and not doing.get("old"):
            opening = params
            thread = params.get("threadId") or str(uuid.uuid4())
            if method == "thread/resume" and (how.get("lost") or not os.path.exists(os.path.join(threads, thread))):
                send(id=number, error={"code": -32600, "message": "no rollout found for thread id " + thread})
                continue
            opened = {"thread": {"id": thread, "path": "/rollout"}, "model": params.get("model"), "modelProvider": "fake",
                      "cwd": params.get("cwd"), "approvalPolicy": params.get("approvalPolicy"), "approvalsReviewer": "user"}
            send(method="warning", params={"threadId": thread, "message": "of no account"})
            send(id=number, result=opened)
        elif method == "turn/start":
            prompt = params["input"][0]["text"]
            log(args=args, prompt=prompt, opening=opening, cwd=os.getcwd(), pid=os.getpid())
            send(id=number, result={"turn": {"id": "turn-1", "status": "inProgress"}})
            turn(params["threadId"], prompt)
        elif method == "turn/interrupt":
            log(interrupted=params["threadId"])
            send(id=number, result={})
            interrupted(params["threadId"])
        elif number is not None:
            send(id=number, error={"code": -32600, "message": "Invalid request: unknown variant `%s`" % method})
