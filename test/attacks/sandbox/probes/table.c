/*
 * Tries what a hostile native skill would, one attack a line: its name, a tab, and 0 where it worked or the number of
 * the error it met (-1: it met none and did not work either). Nothing that it tries does harm where it works. Needs no
 * library: gcc -static.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *name, int worked) {
  printf("%s\t%d\n", name, worked ? 0 : errno ? errno : -1);
  fflush(stdout);
  errno = 0;
}

static void opens(const char *name, const char *path, int flags) {
  errno = 0;
  int file = open(path, flags | O_CLOEXEC | O_NONBLOCK, 0644);
  say(name, file >= 0);
  if (file >= 0) close(file);
}

static void reads(const char *name, const char *path) {
  char buffer[16];
  errno = 0;
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  say(name, file >= 0 && read(file, buffer, sizeof buffer) > 0);
  if (file >= 0) close(file);
}

static void lists(const char *name, const char *path) {
  errno = 0;
  DIR *folder = opendir(path);
  int entries = 0;
  if (folder != NULL)
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
      if (entry->d_name[0] != '.') entries += 1;
  say(name, entries > 0);
  if (folder != NULL) closedir(folder);
}

static void sockets(const char *name, int family, int type, int protocol) {
  errno = 0;
  int one = socket(family, type, protocol);
  say(name, one >= 0);
  if (one >= 0) close(one);
}

static void dials(const char *name, int family, const struct sockaddr *address, socklen_t size, int type) {
  errno = 0;
  int one = socket(family, type | SOCK_NONBLOCK, 0);
  int worked = 0;
  if (one >= 0) {
    worked = connect(one, address, size) == 0;
    if (!worked && errno == EINPROGRESS) {
      struct pollfd waiting = {one, POLLOUT, 0};
      int fault = 0;
      socklen_t length = sizeof fault;
      if (poll(&waiting, 1, 1500) != 1) errno = ETIMEDOUT;
      else {
        getsockopt(one, SOL_SOCKET, SO_ERROR, &fault, &length);
        errno = fault;
        worked = fault == 0;
      }
    }
    if (worked && type == SOCK_DGRAM) worked = send(one, "secret", 6, 0) == 6;
  }
  say(name, worked);
  if (one >= 0) close(one);
}

static void dials4(const char *name, const char *host, int port, int type) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, host, &address.sin_addr);
  dials(name, AF_INET, (struct sockaddr *)&address, sizeof address, type);
}

static void dials6(const char *name, const char *host, int port) {
  struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
  inet_pton(AF_INET6, host, &address.sin6_addr);
  dials(name, AF_INET6, (struct sockaddr *)&address, sizeof address, SOCK_STREAM);
}

/* A program that can be started is there to be executed; starting it would end this one. */
static void starts(const char *name, const char *path) {
  errno = 0;
  say(name, access(path, X_OK) == 0);
}

static void calls(const char *name, long result) { say(name, result >= 0); }

/* How far a thing goes before the kernel says no. */
static void counts(const char *name, long many) { printf("%s\t=%ld\n", name, many); fflush(stdout); errno = 0; }

static long fills(const char *path, long most) {
  static char block[1 << 20];
  int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  long bytes = 0;
  if (file < 0) return -1;
  while (bytes < most) {
    long went = write(file, block, sizeof block);
    if (went <= 0) break;
    bytes += went;
  }
  close(file);
  unlink(path);
  return bytes;
}

static long statusOf(const char *field) {
  char line[256];
  long value = -1;
  FILE *file = fopen("/proc/self/status", "r");
  if (file == NULL) return -1;
  while (fgets(line, sizeof line, file) != NULL)
    if (strncmp(line, field, strlen(field)) == 0) value = strtol(line + strlen(field), NULL, 16);
  fclose(file);
  return value;
}

static int holds(const char *path, const char *text) {
  static char buffer[65536];
  int file = open(path, O_RDONLY | O_CLOEXEC);
  long size = file < 0 ? 0 : read(file, buffer, sizeof buffer - 1);
  if (file >= 0) close(file);
  return size > 0 && memmem(buffer, size, text, strlen(text)) != NULL;
}

int main(int count, char **arguments) {
  if (count < 6) return 2;
  const char *home = arguments[1], *neighbour = arguments[2], *socketName = arguments[5];
  const int hub = atoi(arguments[3]), port = atoi(arguments[4]);
  char path[4096];
  long inherited = 0;
  /* The null device says nothing, whoever opened it. */
  struct stat found;
  for (int file = 3; file < 1024; file += 1)
    inherited += fstat(file, &found) == 0 && !(S_ISCHR(found.st_mode) && found.st_rdev == makedev(1, 3));

  reads("reads /etc/shadow", "/etc/shadow");
  lists("lists /root", "/root");
  lists("lists /home", "/home");
  lists("lists /root/.ssh", "/root/.ssh");
  snprintf(path, sizeof path, "%s/admin.token", home);
  reads("reads the token of the admin", path);
  lists("lists the home of the hub", home);
  reads("reads what lies beside the workspace", neighbour);
  snprintf(path, sizeof path, "/proc/%d/environ", hub);
  reads("reads the environment of the hub", path);
  snprintf(path, sizeof path, "/proc/%d/mem", hub);
  opens("opens the memory of the hub", path, O_RDONLY);
  snprintf(path, sizeof path, "/proc/%d/fd", hub);
  lists("lists the descriptors of the hub", path);
  say("finds a secret of the hub in /proc/1/environ", holds("/proc/1/environ", "HUB_SECRET"));
  opens("opens core_pattern for writing", "/proc/sys/kernel/core_pattern", O_WRONLY);
  opens("opens modprobe for writing", "/proc/sys/kernel/modprobe", O_WRONLY);
  opens("opens the sysrq trigger for writing", "/proc/sysrq-trigger", O_WRONLY);
  opens("opens kernel memory", "/proc/kcore", O_RDONLY);
  lists("lists /sys", "/sys");
  opens("opens /dev/kvm", "/dev/kvm", O_RDWR);
  opens("opens /dev/mem", "/dev/mem", O_RDONLY);
  opens("opens a disk", "/dev/vda", O_RDONLY);
  opens("opens /dev/net/tun", "/dev/net/tun", O_RDWR);
  opens("opens /dev/vsock", "/dev/vsock", O_RDWR);
  opens("opens a terminal", "/dev/tty", O_RDWR);
  opens("makes a file in /", "/evil", O_WRONLY | O_CREAT);
  opens("makes a file in /usr/bin", "/usr/bin/evil", O_WRONLY | O_CREAT);
  opens("makes a file in /etc", "/etc/evil", O_WRONLY | O_CREAT);
  opens("makes a file in /dev", "/dev/evil", O_WRONLY | O_CREAT);
  opens("makes a file in its package", "/skill/evil", O_WRONLY | O_CREAT);
  opens("opens its own program for writing", "/skill/attack", O_WRONLY);
  calls("changes the mode of /dev/null", chmod("/dev/null", 0666));
  starts("starts a shell", "/bin/sh");
  starts("starts env", "/usr/bin/env");
  starts("starts mount", "/bin/mount");

  dials4("dials a port of the host", "127.0.0.1", port, SOCK_STREAM);
  dials4("dials the hub's usual port", "127.0.0.1", 4750, SOCK_STREAM);
  dials4("dials the registry's usual port", "127.0.0.1", 4751, SOCK_STREAM);
  dials4("dials the local network", "10.0.0.1", 22, SOCK_STREAM);
  dials4("dials the metadata of the cloud", "169.254.169.254", 80, SOCK_STREAM);
  dials4("sends a datagram", "8.8.8.8", 53, SOCK_DGRAM);
  dials6("dials the host over IPv6", "::1", port);
  dials6("dials the host over a mapped address", "::ffff:127.0.0.1", port);
  dials6("dials the internet over IPv6", "2606:4700:4700::1111", 443);
  struct sockaddr_un local = {.sun_family = AF_UNIX};
  strncpy(local.sun_path + 1, socketName, sizeof local.sun_path - 2);
  dials("dials an abstract socket of the host", AF_UNIX, (struct sockaddr *)&local,
        offsetof(struct sockaddr_un, sun_path) + 1 + strlen(socketName), SOCK_STREAM);
  strcpy(local.sun_path, "/var/run/docker.sock");
  dials("dials docker", AF_UNIX, (struct sockaddr *)&local, sizeof local, SOCK_STREAM);
  snprintf(local.sun_path, sizeof local.sun_path, "%s/hub/admin.sock", home);
  dials("dials the admin socket", AF_UNIX, (struct sockaddr *)&local, sizeof local, SOCK_STREAM);
  sockets("opens a vsock", 40, SOCK_STREAM, 0);
  sockets("opens a netlink socket", AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  sockets("opens an audit socket", AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);
  sockets("opens a packet socket", AF_PACKET, SOCK_RAW, 0);
  sockets("opens a raw socket", AF_INET, SOCK_RAW, IPPROTO_ICMP);
  sockets("opens a Bluetooth socket", AF_BLUETOOTH, SOCK_RAW, 0);

  const struct { const char *name; unsigned long flag; } namespaces[] = {
      {"user", CLONE_NEWUSER}, {"mount", CLONE_NEWNS},      {"process", CLONE_NEWPID}, {"network", CLONE_NEWNET},
      {"ipc", CLONE_NEWIPC},   {"host name", CLONE_NEWUTS}, {"cgroup", CLONE_NEWCGROUP}, {"time", 0x80}};
  for (unsigned long index = 0; index < sizeof namespaces / sizeof *namespaces; index += 1) {
    char name[64];
    snprintf(name, sizeof name, "unshares the %s namespace", namespaces[index].name);
    calls(name, syscall(SYS_unshare, namespaces[index].flag));
    if (namespaces[index].flag == 0x80) continue;
    snprintf(name, sizeof name, "clones into a new %s namespace", namespaces[index].name);
    long child = syscall(SYS_clone, namespaces[index].flag | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(0);
    calls(name, child);
  }
  unsigned long long clone3[8] = {CLONE_NEWUSER, 0, 0, 0, SIGCHLD};
  long child = syscall(435, clone3, sizeof clone3);
  if (child == 0) _exit(0);
  calls("clones into a new user namespace by clone3", child);
  int own = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
  calls("enters a namespace", setns(own, 0));
  close(own);

  calls("mounts a tmpfs", mount("none", "/tmp", "tmpfs", 0, NULL));
  calls("makes the root writable", mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
  calls("makes /proc writable", mount(NULL, "/proc", NULL, MS_REMOUNT | MS_BIND, NULL));
  calls("unmounts /proc", umount2("/proc", MNT_DETACH));
  calls("mounts by the new calls", syscall(430, "tmpfs", 0));
  calls("clones a mount", syscall(428, AT_FDCWD, "/", 1));
  calls("changes its root", chroot("/tmp"));
  calls("pivots its root", syscall(SYS_pivot_root, "/tmp", "/tmp"));

  calls("traces the first process", ptrace(PTRACE_ATTACH, 1, NULL, NULL));
  pid_t victim = fork();
  if (victim == 0) for (;;) pause();
  calls("traces its own child", ptrace(PTRACE_ATTACH, victim, NULL, NULL));
  kill(victim, SIGKILL);
  waitpid(victim, NULL, 0);
  char byte;
  struct iovec here = {&byte, 1}, there = {&byte, 1};
  calls("reads the memory of the first process", process_vm_readv(1, &here, 1, &there, 1, 0));
  calls("writes the memory of the first process", process_vm_writev(1, &here, 1, &there, 1, 0));
  calls("signals the hub", kill(hub, 0));
  calls("takes a descriptor of the first process", syscall(438, syscall(434, 1, 0), 0, 0));

  calls("joins a session key ring", syscall(SYS_keyctl, 1, "evil"));
  calls("reads the key ring of the user", syscall(SYS_keyctl, 0, -4, 1));
  calls("adds a key", syscall(SYS_add_key, "user", "evil", "x", 1, -4));
  calls("requests a key", syscall(SYS_request_key, "user", "evil", NULL, -4));

  char ring[256] = {0};
  calls("sets up io_uring", syscall(425, 4, ring));
  calls("registers with io_uring", syscall(427, 0, 0, NULL, 0));
  calls("loads a kernel program", syscall(SYS_bpf, 5, ring, sizeof ring));
  calls("opens performance counters", syscall(SYS_perf_event_open, ring, 0, -1, -1, 0));
  calls("catches page faults", syscall(SYS_userfaultfd, O_CLOEXEC));
  calls("catches page faults in user mode", syscall(SYS_userfaultfd, O_CLOEXEC | 1));
  calls("watches file systems", syscall(SYS_fanotify_init, 0, 0));
  calls("loads a module", syscall(SYS_init_module, ring, sizeof ring, ""));
  calls("loads another kernel", syscall(SYS_kexec_load, 0, 0, NULL, 0));
  calls("restarts the machine", syscall(SYS_reboot, 0xfee1dead, 672274793, 0x89abcdef, 0));
  struct timeval now;
  gettimeofday(&now, NULL);
  calls("sets the clock", settimeofday(&now, NULL));
  struct timex clock = {.modes = ADJ_FREQUENCY};
  calls("adjusts the clock", adjtimex(&clock));
  calls("names the machine", sethostname("evil", 4));
  calls("opens a file by handle", syscall(SYS_open_by_handle_at, AT_FDCWD, ring, 0));
  calls("switches swap on", syscall(SYS_swapon, "/tmp/swap", 0));
  calls("reads the kernel log", syscall(SYS_syslog, 3, ring, sizeof ring));
  calls("asks for I/O ports", syscall(SYS_iopl, 3));
  calls("changes its personality", syscall(SYS_personality, 0x0040000));
  calls("makes shared memory that no limit counts", syscall(SYS_shmget, 0, 1 << 20, 01600));
  calls("types into its terminal", ioctl(0, TIOCSTI, "x"));
  int terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal >= 0) {
    calls("types into a terminal of its own", ioctl(terminal, TIOCSTI, "x"));
    close(terminal);
  }

  close(open("/workspace/evil", O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
  calls("makes a program that runs as its owner", chmod("/workspace/evil", 04755));
  calls("makes a device", mknod("/workspace/disk", S_IFBLK | 0600, makedev(254, 0)));
  calls("gives a file away", chown("/workspace/evil", 0, 0));
  calls("becomes root", setuid(0));
  calls("becomes another group", setgid(0));
  gid_t group = 0;
  calls("joins a group", setgroups(1, &group));
  struct rlimit more = {1 << 20, 1 << 20};
  calls("raises its limits", setrlimit(RLIMIT_NOFILE, &more));
  calls("raises its priority", setpriority(0, 0, -20));
  int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  say("makes itself hard to kill", score >= 0 && write(score, "-1000", 5) == 5);

  counts("NoNewPrivs", statusOf("NoNewPrivs:"));
  counts("CapEff", statusOf("CapEff:"));
  counts("CapBnd", statusOf("CapBnd:"));
  counts("Seccomp", statusOf("Seccomp:"));
  counts("descriptors beyond three", inherited);
  counts("bytes into /tmp", fills("/tmp/fill", 1L << 28));
  counts("bytes into /dev/shm", fills("/dev/shm/fill", 1L << 28));
  long files = 0;
  while (files < 1 << 17 && open("/dev/null", O_RDONLY) >= 0) files += 1;
  for (int file = 3; file < (1 << 17) + 3 && file < files + 3; file += 1) close(file);
  counts("open files", files);
  long children = 0;
  while (children < 4096) {
    pid_t one = fork();
    if (one < 0) break;
    if (one == 0) for (;;) pause();
    children += 1;
  }
  counts("children", children);
  return 0;
}
