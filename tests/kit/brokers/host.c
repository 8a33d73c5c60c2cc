/* SPDX-License-Identifier: MIT */

/*
 * host SCRIPT [helper]: the parent of one broker.
 *
 * Its descriptor 0 is a socket whose other end only the test holds. When that
 * end closes, for whatever reason, the broker is killed and its folder removed.
 * Nothing in here depends on the test behaving.
 *
 *   test                      host                             broker
 *   spawn ------------------> temporary folder, free ports
 *     <-- "DIR P0 P1 ..." --- SCRIPT prepare DIR P0 P1 ...
 *                             SCRIPT run DIR ----------------> exec
 *   "status" ---------------> waitpid
 *     <-- "up PID" ----------
 *   "kill9" ----------------> SIGKILL, waitpid
 *   end of file ------------> SIGKILL to all descendants, remove DIR
 *
 * The host is the reaper of all its descendants and knows them by parenthood,
 * so it never signals a number which might have passed to a stranger. Should
 * the host itself be killed, the kernel kills the broker (PR_SET_PDEATHSIG).
 * It stands in a session of its own: a Ctrl-C meant for the test, or a test
 * runner that kills the test's process group, does not reach it.
 */

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

static struct {
	const char *script;
	bool wants_helper;
	char dir[128];
	char ports[KIT_PORTS][12];
	pid_t broker; /* 0: not running */
	pid_t helper;
	int exit_status;    /* of the last broker that ended */
	int prepare_status; /* 0: prepared */
} host;

/* Where the socket is kept; descriptor 0 becomes /dev/null for the children. */
static int test_end = -1;

static void clean_up(void);

static void die(const char *what)
{
	fprintf(stderr, "kit host: %s: %s\n", what, strerror(errno));
	clean_up();
	exit(1);
}

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* True if the test has closed its end within these milliseconds. */
static bool test_is_gone(int ms)
{
	struct pollfd p = { .fd = test_end, .events = 0 };

	return poll(&p, 1, ms) > 0 && (p.revents & (POLLHUP | POLLERR | POLLNVAL));
}

/* A signal to the host means the same as the test's end of file. */
static void on_signal(int number)
{
	(void)number;
	shutdown(test_end, SHUT_RDWR);
}

/* ---- ports ------------------------------------------------------------- */

/*
 * Ports come from below the range which the kernel gives to outgoing
 * connections: from inside it, a client's connection could take a broker's port
 * while that broker is down for a restart.
 */
static int ephemeral_low(void)
{
	FILE *f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	int low = 32768;

	if (f) {
		if (fscanf(f, "%d", &low) != 1 || low < 20000)
			low = 32768;
		fclose(f);
	}
	return low;
}

static int bind_some_port(int low, int high, int *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unsigned int random;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int i = 0; fd >= 0 && i < 1000; i++) {
		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			break;
		*port = low + (int)(random % (unsigned int)(high - low));
		a.sin_port = htons((unsigned short)*port);
		if (!bind(fd, (struct sockaddr *)&a, sizeof(a)))
			return fd;
	}
	die("no free port");
	return -1;
}

/* All are bound before the first is let go, so no two are the same. */
static void choose_ports(void)
{
	int fds[KIT_PORTS], port, high = ephemeral_low();

	for (int i = 0; i < KIT_PORTS; i++) {
		fds[i] = bind_some_port(10000, high, &port);
		snprintf(host.ports[i], sizeof(host.ports[i]), "%d", port);
	}
	for (int i = 0; i < KIT_PORTS; i++)
		close(fds[i]);
}

/* ---- children ---------------------------------------------------------- */

static void become_script(const char *verb, pid_t parent)
{
	char log[sizeof(host.dir) + 8];
	int fd;

	snprintf(log, sizeof(log), "%s/log", host.dir);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
		_exit(126);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(126);
	execl(host.script, host.script, verb, host.dir, host.ports[0], host.ports[1], host.ports[2], host.ports[3],
	      host.ports[4], host.ports[5], (char *)NULL);
	dprintf(2, "%s: %s\n", host.script, strerror(errno));
	_exit(127);
}

static pid_t spawn(const char *verb)
{
	pid_t self = getpid(), pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0)
		become_script(verb, self);
	return pid;
}

/* Takes note of every child that has ended. */
static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == host.broker) {
			host.broker = 0;
			host.exit_status = status;
		}
		if (pid == host.helper)
			host.helper = 0;
	}
}

/* False: still there after these milliseconds, or the test is gone. */
static bool broker_ends_within(int ms)
{
	long long end = now_ms() + ms;

	for (reap(); host.broker; reap())
		if (test_is_gone(5) || now_ms() > end)
			return false;
	return true;
}

static void prepare(void)
{
	host.broker = spawn("prepare");
	while (!broker_ends_within(1000))
		if (test_is_gone(0))
			return;
	host.prepare_status = WIFEXITED(host.exit_status) ? WEXITSTATUS(host.exit_status) : 128;
}

static void start(void)
{
	reap();
	if (host.broker || host.prepare_status)
		return;
	if (host.wants_helper && !host.helper)
		host.helper = spawn("helper");
	host.broker = spawn("run");
}

static void kill_broker(void)
{
	if (host.broker)
		kill(host.broker, SIGKILL);
	while (!broker_ends_within(1000))
		if (test_is_gone(0))
			return;
}

static void stop_politely(void)
{
	if (host.broker) {
		kill(host.broker, SIGTERM);
		kill(host.broker, SIGCONT); /* it may be frozen */
	}
	if (!broker_ends_within(30000))
		kill_broker();
}

/* The parent of a process, by /proc; 0 if it cannot be read. */
static pid_t parent_of(const char *pid)
{
	char path[300], line[512], *end;
	int parent = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	/* pid (name) state parent: the name may contain anything, ")" too */
	if (fgets(line, sizeof(line), f) && (end = strrchr(line, ')')))
		(void)!sscanf(end + 1, " %*c %d", &parent);
	fclose(f);
	return parent;
}

static void kill_children(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	while (proc && (entry = readdir(proc)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && parent_of(entry->d_name) == getpid())
			kill(atoi(entry->d_name), SIGKILL);
	if (proc)
		closedir(proc);
}

/* Grandchildren become children as their parents die: again until none is left. */
static void kill_descendants(void)
{
	long long end = now_ms() + 10000;
	const struct timespec pause = { .tv_nsec = 2000000 };

	do {
		kill_children();
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
			return;
		nanosleep(&pause, NULL);
	} while (now_ms() < end);
	fprintf(stderr, "kit host: a process of %s does not die\n", host.dir);
}

/* ---- folder ------------------------------------------------------------ */

static void make_folder(void)
{
	const char *base = getenv("TMPDIR"), *name = strrchr(host.script, '/');
	int kind_len;

	name = name ? name + 1 : host.script;
	kind_len = (int)strcspn(name, ".");
	/* A long path would not do for a broker's own sockets and node names. */
	if (!base || base[0] != '/' || strlen(base) > 60)
		base = "/tmp";
	snprintf(host.dir, sizeof(host.dir), "%s/posta-%.*s-XXXXXX", base, kind_len, name);
	if (!mkdtemp(host.dir)) {
		host.dir[0] = '\0';
		die("mkdtemp");
	}
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	remove(path);
	return 0;
}

static void clean_up(void)
{
	kill_descendants();
	if (host.dir[0])
		nftw(host.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- the conversation -------------------------------------------------- */

static void say(const char *text)
{
	send(test_end, text, strlen(text), MSG_NOSIGNAL);
}

static void say_hello(void)
{
	char text[KIT_MESSAGE];
	int n = snprintf(text, sizeof(text), "%s", host.dir);

	for (int i = 0; i < KIT_PORTS; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " %s", host.ports[i]);
	say(text);
}

static void say_status(void)
{
	char text[KIT_MESSAGE];

	reap();
	if (host.prepare_status)
		snprintf(text, sizeof(text), "unprepared %d", host.prepare_status);
	else if (host.broker)
		snprintf(text, sizeof(text), "up %d", (int)host.broker);
	else
		snprintf(text, sizeof(text), "down %d", host.exit_status);
	say(text);
}

/* Returns when all its threads stand still, or it has ended. */
static void freeze(void)
{
	int status;

	if (!host.broker || kill(host.broker, SIGSTOP))
		return;
	if (waitpid(host.broker, &status, WUNTRACED) == host.broker && !WIFSTOPPED(status)) {
		host.broker = 0;
		host.exit_status = status;
	}
}

static void obey(const char *order)
{
	reap();
	if (!strcmp(order, "kill9"))
		kill_broker();
	else if (!strcmp(order, "shutdown"))
		stop_politely();
	else if (!strcmp(order, "pause"))
		freeze();
	else if (!strcmp(order, "cont") && host.broker)
		kill(host.broker, SIGCONT);
	else if (!strcmp(order, "start"))
		start();
	say_status();
}

static void converse(void)
{
	char order[KIT_MESSAGE];
	ssize_t n;

	for (;;) {
		n = recv(test_end, order, sizeof(order) - 1, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		order[n] = '\0';
		obey(order);
	}
}

static void close_from(int first)
{
	if (!close_range((unsigned int)first, ~0U, 0))
		return;
	for (int fd = (int)sysconf(_SC_OPEN_MAX); fd >= first; fd--)
		close(fd);
}

/* Keeps the socket, makes descriptor 0 harmless, closes all that was inherited:
 * a lock which the test holds must not be held by its broker too. */
static void take_over_descriptors(void)
{
	int null, keep;

	close_from(3);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	keep = fcntl(0, F_DUPFD_CLOEXEC, 3);
	if (null < 0 || keep < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
		die("descriptors");
	close(null);
	test_end = keep;
}

static void handle_signals(void)
{
	struct sigaction a = { .sa_handler = on_signal };

	sigaction(SIGTERM, &a, NULL);
	sigaction(SIGINT, &a, NULL);
	sigaction(SIGHUP, &a, NULL);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s SCRIPT [helper]\n", argv[0]);
		return 2;
	}
	host.script = argv[1];
	host.wants_helper = argc > 2;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	take_over_descriptors();
	handle_signals();
	choose_ports();
	make_folder();
	say_hello();
	prepare();
	if (!test_is_gone(0))
		start();
	converse();
	clean_up();
	return 0;
}
