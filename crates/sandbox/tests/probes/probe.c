/* Tries forbidden operations: ROOT TCP UDP PID. A line for each: its word, and `open` or `held`. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *root;

static const char *at(const char *name) {
    static char paths[4][4096];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

static void say(const char *word, int open) {
    printf("%s %s %s\n", word, open ? "open" : "held", open ? "" : strerrorname_np(errno));
}

static int opens(const char *path, int flags) {
    int fd = open(path, flags, 0600);
    char byte = 'x';
    if (fd < 0) return 0;
    if ((flags & O_ACCMODE) != O_RDONLY && !(flags & O_TRUNC) && write(fd, &byte, 1) != 1) return 0;
    close(fd);
    return 1;
}

static int lists(const char *path) {
    DIR *dir = opendir(path);
    return dir && readdir(dir);
}

static int runs(const char *path) {
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        execl(path, path, (char *)NULL);
        _exit(127);
    }
    waitpid(child, &status, 0);
    errno = EACCES;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int internet(int type, int port, int how) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, type, 0);
    if (fd < 0) return 0;
    struct sockaddr *where = (struct sockaddr *)&address;
    if (how == 'c') return connect(fd, where, sizeof address) == 0;
    if (how == 'l') return bind(fd, where, sizeof address) == 0 && listen(fd, 1) == 0;
    return sendto(fd, "x", 1, 0, where, sizeof address) == 1;
}

static int local(int type, const char *path, int hidden) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path + hidden, path, sizeof address.sun_path - 2);
    socklen_t size = offsetof(struct sockaddr_un, sun_path) + hidden + strlen(path) + !hidden;
    int fd = socket(AF_UNIX, type, 0);
    if (fd < 0) return 0;
    if (type == SOCK_STREAM) return connect(fd, (struct sockaddr *)&address, size) == 0;
    return sendto(fd, "x", 1, 0, (struct sockaddr *)&address, size) == 1;
}

/* Arguments that lead to nothing: only a filter says that they are forbidden. */
static int calls(long number, long a, long b, long c) {
    return syscall(number, a, b, c, 0, 0) != -1 || (errno != EPERM && errno != ENOSYS);
}

int main(int count, char **words) {
    if (count != 5) return 2;
    root = words[1];
    int tcp = atoi(words[2]), udp = atoi(words[3]), pid = atoi(words[4]);
    const struct timespec times[2] = {{1, 0}, {1, 0}};
    struct stat found;
    char seen[64];
    say("read_outside", opens(at("outside/canary"), O_RDONLY));
    say("list_outside", lists(at("outside/dir")));
    say("read_through_link", opens(at("work/link"), O_RDONLY));
    say("read_masked", opens(at("read/secret/key"), O_RDONLY));
    say("write_outside", opens(at("outside/canary"), O_WRONLY | O_APPEND));
    say("truncate_outside", truncate(at("outside/empty"), 0) == 0);
    say("create_outside", opens(at("outside/new"), O_WRONLY | O_CREAT));
    say("make_dir_outside", mkdir(at("outside/newdir"), 0700) == 0);
    say("link_symbolic_outside", symlink("x", at("outside/newlink")) == 0);
    say("remove_outside", unlink(at("outside/removable")) == 0);
    say("move_outside", rename(at("work/mine"), at("outside/moved")) == 0);
    say("link_outside", link(at("outside/empty"), at("work/hard")) == 0);
    say("write_read_only", opens(at("read/file"), O_WRONLY | O_APPEND));
    fflush(stdout);
    say("execute_outside", runs(at("outside/program")));
    say("stat_outside", stat(at("outside/canary"), &found) == 0);
    say("chmod_outside", chmod(at("outside/canary"), 0600) == 0);
    say("touch_outside", utimensat(AT_FDCWD, at("outside/canary"), times, 0) == 0);
    say("write_protected", opens(at("work/.git/config"), O_WRONLY | O_APPEND));
    say("create_protected", mkdir(at("work/.codex"), 0700) == 0);
    say("create_protected_file", opens(at("work/.mcp.json"), O_WRONLY | O_CREAT));
    say("replace_protected", rename(at("work/.git"), at("work/elsewhere")) == 0);
    say("write_kernel_settings", opens("/proc/sys/kernel/core_pattern", O_WRONLY | O_TRUNC));
    say("connect_tcp", internet(SOCK_STREAM, tcp, 'c'));
    say("listen_tcp", internet(SOCK_STREAM, 0, 'l'));
    say("send_udp", internet(SOCK_DGRAM, udp, 's'));
    say("connect_unix", local(SOCK_STREAM, at("outside/stream"), 0));
    say("send_unix", local(SOCK_DGRAM, at("outside/datagram"), 0));
    say("connect_abstract", local(SOCK_STREAM, root, 1));
    say("signal", kill(pid, 0) == 0);
    snprintf(seen, sizeof seen, "/proc/%d/cmdline", pid);
    say("see_process", opens(seen, O_RDONLY));
    say("enter_namespace", calls(SYS_setns, -1, 0, 0));
    say("open_mount", calls(SYS_open_tree, -1, 0, 0));
    say("use_io_uring", calls(SYS_io_uring_setup, 0, 0, 0));
    say("use_keys", calls(SYS_keyctl, -1, 0, 0));
    return 0;
}
