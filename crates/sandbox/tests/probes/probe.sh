# Tries forbidden operations: ROOT TCP UDP PID. A line for each: its word, and `open`, `held`, or `skipped` and why.
root=$1 tcp=$2 udp=$3 pid=$4
try() { word=$1; shift; if "$@" >/dev/null 2>&1; then echo "$word open"; else echo "$word held"; fi; }
append() { echo more >>"$1"; }
cut_off() { true >"$1"; }
try read_outside cat "$root/outside/canary"
try list_outside ls "$root/outside/dir"
try read_through_link cat "$root/work/link"
try read_masked cat "$root/read/secret/key"
try write_outside append "$root/outside/canary"
try truncate_outside cut_off "$root/outside/empty"
try create_outside append "$root/outside/new"
try make_dir_outside mkdir "$root/outside/newdir"
try link_symbolic_outside ln -s x "$root/outside/newlink"
try remove_outside unlink "$root/outside/removable"
try move_outside mv -T "$root/work/mine" "$root/outside/moved"
try link_outside ln "$root/outside/empty" "$root/work/hard"
try write_read_only append "$root/read/file"
try execute_outside "$root/outside/program"
try stat_outside stat "$root/outside/canary"
try chmod_outside chmod 600 "$root/outside/canary"
try touch_outside touch -d @1 "$root/outside/canary"
try write_protected append "$root/work/.git/config"
try create_protected mkdir "$root/work/.codex"
try create_protected_file append "$root/work/.mcp.json"
try replace_protected mv -T "$root/work/.git" "$root/work/elsewhere"
try write_kernel_settings append /proc/sys/kernel/core_pattern
for word in connect_tcp listen_tcp send_udp connect_unix send_unix connect_abstract; do
    echo "$word skipped a shell opens no sockets"
done
try signal kill -0 "$pid"
try see_process cat "/proc/$pid/cmdline"
for word in enter_namespace open_mount use_io_uring use_keys; do
    echo "$word skipped a shell makes no system calls by itself"
done
