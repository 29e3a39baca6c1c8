// Tries forbidden operations: ROOT TCP UDP PID. A line for each: its word, and `open`, `held`, or `skipped` and why.
import fs from "node:fs";
import net from "node:net";
import dgram from "node:dgram";
import { spawnSync } from "node:child_process";

const [root, tcp, udp, pid] = process.argv.slice(2);
const at = (name) => `${root}/${name}`;
const say = (word, outcome, why = "") => console.log(`${word} ${outcome} ${why}`.trim());

function attempt(word, action) {
  try {
    action();
    say(word, "open");
  } catch (error) {
    say(word, "held", error.code);
  }
}

/** Waits for the first of two events. */
function hear(word, make, good) {
  return new Promise((resolve) => {
    const done = (outcome, why) => {
      say(word, outcome, why);
      resolve();
    };
    try {
      const heard = make((error) => (error ? done("held", error.code) : done("open")));
      heard?.on("error", (error) => done("held", error.code));
      if (good) heard.on(good, () => done("open"));
    } catch (error) {
      done("held", error.code);
    }
  });
}

attempt("read_outside", () => fs.readFileSync(at("outside/canary")));
attempt("list_outside", () => fs.readdirSync(at("outside/dir")));
attempt("read_through_link", () => fs.readFileSync(at("work/link")));
attempt("read_masked", () => fs.readFileSync(at("read/secret/key")));
attempt("write_outside", () => fs.appendFileSync(at("outside/canary"), "more"));
attempt("truncate_outside", () => fs.truncateSync(at("outside/empty")));
attempt("create_outside", () => fs.writeFileSync(at("outside/new"), ""));
attempt("make_dir_outside", () => fs.mkdirSync(at("outside/newdir")));
attempt("link_symbolic_outside", () => fs.symlinkSync("x", at("outside/newlink")));
attempt("remove_outside", () => fs.unlinkSync(at("outside/removable")));
attempt("move_outside", () => fs.renameSync(at("work/mine"), at("outside/moved")));
attempt("link_outside", () => fs.linkSync(at("outside/empty"), at("work/hard")));
attempt("write_read_only", () => fs.appendFileSync(at("read/file"), "more"));
attempt("execute_outside", () => {
  const ran = spawnSync(at("outside/program"));
  if (ran.error) throw ran.error;
});
attempt("stat_outside", () => fs.statSync(at("outside/canary")));
attempt("chmod_outside", () => fs.chmodSync(at("outside/canary"), 0o600));
attempt("touch_outside", () => fs.utimesSync(at("outside/canary"), 1, 1));
attempt("write_protected", () => fs.appendFileSync(at("work/.git/config"), "more"));
attempt("create_protected", () => fs.mkdirSync(at("work/.codex")));
attempt("create_protected_file", () => fs.appendFileSync(at("work/.mcp.json"), "more"));
attempt("replace_protected", () => fs.renameSync(at("work/.git"), at("work/elsewhere")));
attempt("write_kernel_settings", () => fs.appendFileSync("/proc/sys/kernel/core_pattern", "more"));
await hear("connect_tcp", () => net.connect(Number(tcp), "127.0.0.1"), "connect");
await hear("listen_tcp", () => net.createServer().listen(0, "127.0.0.1"), "listening");
await hear("send_udp", (sent) => {
  const socket = dgram.createSocket("udp4");
  socket.send("x", Number(udp), "127.0.0.1", sent);
  return socket;
});
await hear("connect_unix", () => net.connect(at("outside/stream")), "connect");
say("send_unix", "skipped", "node has no datagrams between processes");
await hear("connect_abstract", () => net.connect(`\0${root}`), "connect");
attempt("signal", () => process.kill(Number(pid), 0));
attempt("see_process", () => fs.readFileSync(`/proc/${pid}/cmdline`));
for (const word of ["enter_namespace", "open_mount", "use_io_uring", "use_keys"]) {
  say(word, "skipped", "node makes no system calls by itself");
}
process.exit(0);
