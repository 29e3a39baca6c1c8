"""Tries forbidden operations: ROOT TCP UDP PID. A line for each: its word, and `open`, `held`, or `skipped` and why."""
import ctypes, errno, os, shutil, socket, subprocess, sys

root, tcp, udp, pid = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def at(name):
    return os.path.join(root, name)


def attempt(word, action):
    try:
        action()
    except OSError as error:
        print(word, "held", errno.errorcode.get(error.errno, error.errno))
    else:
        print(word, "open")


def append(name):
    with open(name, "a") as file:
        file.write("more")


def call(x86_64, aarch64, *arguments):
    number = {"x86_64": x86_64, "aarch64": aarch64}[os.uname().machine]
    if libc.syscall(number, *arguments) == -1 and ctypes.get_errno() in (errno.EPERM, errno.ENOSYS):
        raise OSError(ctypes.get_errno(), "refused")


def over(family, kind, address, action):
    with socket.socket(family, kind) as opened:
        opened.settimeout(5)
        action(opened, address)


def connect(opened, address):
    opened.connect(address)


def send(opened, address):
    opened.sendto(b"x", address)


def listen(opened, address):
    opened.bind(address)
    opened.listen()


attempt("read_outside", lambda: open(at("outside/canary")).read())
attempt("list_outside", lambda: os.listdir(at("outside/dir")))
attempt("read_through_link", lambda: open(at("work/link")).read())
attempt("read_masked", lambda: open(at("read/secret/key")).read())
attempt("write_outside", lambda: append(at("outside/canary")))
attempt("truncate_outside", lambda: os.truncate(at("outside/empty"), 0))
attempt("create_outside", lambda: append(at("outside/new")))
attempt("make_dir_outside", lambda: os.mkdir(at("outside/newdir")))
attempt("link_symbolic_outside", lambda: os.symlink("x", at("outside/newlink")))
attempt("remove_outside", lambda: os.unlink(at("outside/removable")))
attempt("move_outside", lambda: os.rename(at("work/mine"), at("outside/moved")))
attempt("link_outside", lambda: os.link(at("outside/empty"), at("work/hard")))
attempt("write_read_only", lambda: append(at("read/file")))
attempt("execute_outside", lambda: subprocess.run([at("outside/program")], check=True))
attempt("stat_outside", lambda: os.stat(at("outside/canary")))
attempt("chmod_outside", lambda: os.chmod(at("outside/canary"), 0o600))
attempt("touch_outside", lambda: os.utime(at("outside/canary"), (1, 1)))
attempt("write_protected", lambda: append(at("work/.git/config")))
attempt("create_protected", lambda: os.mkdir(at("work/.codex")))
attempt("create_protected_file", lambda: append(at("work/.mcp.json")))
attempt("replace_protected", lambda: os.rename(at("work/.git"), at("work/elsewhere")))
attempt("write_kernel_settings", lambda: append("/proc/sys/kernel/core_pattern"))
loopback = ("127.0.0.1", tcp)
attempt("connect_tcp", lambda: over(socket.AF_INET, socket.SOCK_STREAM, loopback, connect))
attempt("listen_tcp", lambda: over(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0), listen))
attempt("send_udp", lambda: over(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", udp), send))
attempt("connect_unix", lambda: over(socket.AF_UNIX, socket.SOCK_STREAM, at("outside/stream"), connect))
attempt("send_unix", lambda: over(socket.AF_UNIX, socket.SOCK_DGRAM, at("outside/datagram"), send))
attempt("connect_abstract", lambda: over(socket.AF_UNIX, socket.SOCK_STREAM, b"\0" + root.encode(), connect))
attempt("signal", lambda: os.kill(pid, 0))
attempt("see_process", lambda: open(f"/proc/{pid}/cmdline").read())
attempt("enter_namespace", lambda: call(308, 268, -1, 0))
attempt("open_mount", lambda: call(428, 428, -1, 0, 0))
attempt("use_io_uring", lambda: call(425, 425, 0, 0))
attempt("use_keys", lambda: call(250, 219, -1, 0, 0))
