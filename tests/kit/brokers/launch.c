/* SPDX-License-Identifier: MIT */

/* The test's side of the host process (host.c). */

#include "brokers/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brokers.h"
#include "kit_paths.h" /* KIT_HOST, KIT_SCRIPTS: written by the build */

extern char **environ;

/* ---- the end of a test that cannot go on -------------------------------- */

static void print_tail(const struct kit_broker *b)
{
	char *path = kit_broker_file(b, "log");
	FILE *f = fopen(path, "re");
	char line[1024];

	if (f && !fseek(f, 0, SEEK_END)) {
		long size = ftell(f);

		fseek(f, size > 4000 ? size - 4000 : 0, SEEK_SET);
		while (fgets(line, sizeof(line), f))
			fprintf(stderr, "  | %s", line);
	}
	if (f)
		fclose(f);
	free(path);
}

/* _exit: whatever the test registered is of no use now, and a leak report would
 * hide the reason. The host sees our end of the socket close. */
_Noreturn void kit__end_test(struct kit_broker *b, int status, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "kit: %s: ", b ? b->kind->name : "brokers");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	if (b && b->dir[0])
		print_tail(b);
	fflush(stderr);
	if (b && b->host) {
		close(b->socket);
		waitpid(b->host, NULL, 0);
	}
	_exit(status);
}

void *kit__must(void *memory)
{
	if (!memory)
		kit__end_test(NULL, 1, "no memory");
	return memory;
}

char *kit__copy(const char *text)
{
	return text ? kit__must(strdup(text)) : NULL;
}

/* ---- the host process --------------------------------------------------- */

static void put(char **env, size_t *n, const char *name, const char *value)
{
	if (value && asprintf(&env[(*n)++], "%s=%s", name, value) < 0)
		kit__end_test(NULL, 1, "no memory");
}

static void put_number(char **env, size_t *n, const char *name, int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", value);
	put(env, n, name, value > 0 ? text : NULL);
}

/* Our environment, less any KIT_ variable in it, and the options as such. */
char **kit__environment(const struct kit_broker_options *o)
{
	static const char *const certificates[] = {
		[KIT_CERT_EXPIRED] = "expired", [KIT_CERT_ELSEWHERE] = "elsewhere"
	};
	size_t n = 0;
	char **env;

	while (environ[n])
		n++;
	env = kit__must(calloc(n + 16, sizeof(*env)));
	n = 0;
	for (char **e = environ; *e; e++)
		if (strncmp(*e, "KIT_", 4))
			env[n++] = kit__copy(*e);
	put(env, &n, "KIT_CONFIG", o->config);
	put(env, &n, "KIT_USER", o->user);
	put(env, &n, "KIT_PASSWORD", o->password);
	put(env, &n, "KIT_VHOST", o->vhost);
	put(env, &n, "KIT_VERSION", o->version);
	put(env, &n, "KIT_PERSISTENT", o->persistent ? "1" : NULL);
	put(env, &n, "KIT_TLS", o->tls ? "1" : NULL);
	put(env, &n, "KIT_CERTIFICATE", certificates[o->certificate]);
	put(env, &n, "KIT_AUTO_CREATE", o->no_auto_create ? "false" : NULL);
	put_number(env, &n, "KIT_PARTITIONS", o->partitions);
	put_number(env, &n, "KIT_MAX_BYTES", o->message_bytes_max);
	return env;
}

void kit__free_environment(char **env)
{
	for (char **e = env; e && *e; e++)
		free(*e);
	free(env);
}

/* A clean start for the child: the test may have blocked or ignored signals, and
 * a broker which ignores SIGTERM could not be stopped politely. */
static pid_t spawn(const char *path, const char *const argv[], char **env, int stdin_fd, int stdout_fd)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t set;
	pid_t pid;
	int err;

	posix_spawn_file_actions_init(&actions);
	if (stdin_fd >= 0)
		posix_spawn_file_actions_adddup2(&actions, stdin_fd, 0);
	if (stdout_fd >= 0)
		posix_spawn_file_actions_adddup2(&actions, stdout_fd, 1);
	posix_spawnattr_init(&attr);
	sigemptyset(&set);
	posix_spawnattr_setsigmask(&attr, &set);
	sigfillset(&set);
	posix_spawnattr_setsigdefault(&attr, &set);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
	err = posix_spawn(&pid, path, &actions, &attr, (char *const *)argv, env);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	if (err)
		kit__end_test(NULL, 1, "%s: %s", path, strerror(err));
	return pid;
}

/* One message of the host; false when the host is gone. */
static bool hear(struct kit_broker *b, char text[KIT_MESSAGE])
{
	ssize_t n;

	do {
		n = recv(b->socket, text, KIT_MESSAGE - 1, 0);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	text[n] = '\0';
	return true;
}

static void learn_address(struct kit_broker *b)
{
	char text[KIT_MESSAGE];
	int *p = b->ports;

	if (!hear(b, text) || sscanf(text, "%159s %d %d %d %d %d %d", b->dir, &p[0], &p[1], &p[2], &p[3], &p[4],
				     &p[5]) != 1 + KIT_PORTS)
		kit__end_test(b, 1, "the host process did not start");
}

void kit__launch(struct kit_broker *b)
{
	char script[512];
	const char *argv[] = { KIT_HOST, script, b->kind->helper ? "helper" : NULL, NULL };
	int pair[2];

	snprintf(script, sizeof(script), "%s/%s.sh", KIT_SCRIPTS, b->kind->name);
	/* Close-on-exec: no program which the test starts may keep it open. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		kit__end_test(b, 1, "socketpair: %s", strerror(errno));
	b->host = spawn(KIT_HOST, argv, b->env, pair[1], -1);
	close(pair[1]);
	b->socket = pair[0];
	learn_address(b);
}

void kit__dismiss(struct kit_broker *b)
{
	int status;

	close(b->socket);
	while (waitpid(b->host, &status, 0) < 0 && errno == EINTR)
		;
	b->host = 0;
}

struct kit_state kit__ask(struct kit_broker *b, const char *order)
{
	char text[KIT_MESSAGE];
	struct kit_state s;

	if (!b->host)
		kit__end_test(b, 1, "\"%s\" of a broker that others use too", order);
	if (send(b->socket, order, strlen(order), MSG_NOSIGNAL) < 0 || !hear(b, text) ||
	    sscanf(text, "%15s %ld", s.word, &s.number) != 2)
		kit__end_test(b, 1, "the host process is gone");
	return s;
}

bool kit__is(struct kit_state s, const char *word)
{
	return !strcmp(s.word, word);
}

/* ---- rabbitmqctl --------------------------------------------------------- */

static char *read_all(int fd)
{
	size_t n = 0, room = 4096;
	char *text = kit__must(malloc(room));
	ssize_t got;

	while ((got = read(fd, text + n, room - n - 1)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			break;
		n += (size_t)got;
		if (n + 1 == room)
			text = kit__must(realloc(text, room *= 2));
	}
	text[n] = '\0';
	return text;
}

char *kit__run_ctl(const struct kit_broker *b, const char *const arguments[], int *status)
{
	const char *argv[32] = { KIT_SCRIPTS "/rabbitmq.sh", "ctl", b->dir };
	int out[2], n = 3;
	char *text;
	pid_t pid;

	while (*arguments && n < 31)
		argv[n++] = *arguments++;
	if (pipe2(out, O_CLOEXEC))
		kit__end_test(NULL, 1, "pipe: %s", strerror(errno));
	pid = spawn(argv[0], argv, environ, -1, out[1]);
	close(out[1]);
	text = read_all(out[0]);
	close(out[0]);
	while (waitpid(pid, status, 0) < 0 && errno == EINTR)
		;
	return text;
}
