/* SPDX-License-Identifier: MIT */

/* The kit's promise is kept when a test behaves worst: these tests crash, ignore
 * signals, hold locks and take the broker's port away. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brokers.h"
#include "brokers/probe.h"
#include "kit_paths.h"

static const char *self; /* this program, to be run again as a child */

/* ---- children ------------------------------------------------------------ */

struct outcome {
	int status;      /* as from waitpid */
	char text[8192]; /* standard output and error, until all holders closed them */
};

/* A host holds its test's standard error: end of file means that it is gone. */
static struct outcome run(const char *const argv[])
{
	struct outcome o = { .status = -1 };
	size_t n = 0;
	ssize_t got;
	int out[2];
	pid_t pid;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		dup2(out[1], 1);
		dup2(out[1], 2);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(out[1]);
	while ((got = read(out[0], o.text + n, sizeof(o.text) - n - 1)) > 0)
		n += (size_t)got;
	close(out[0]);
	assert_int_equal(waitpid(pid, &o.status, 0), pid);
	return o;
}

static struct outcome shell(const char *format, ...)
{
	const char *argv[] = { "/bin/sh", "-c", NULL, NULL };
	struct outcome o;
	char *command;
	va_list args;

	va_start(args, format);
	assert_true(vasprintf(&command, format, args) > 0);
	va_end(args);
	argv[2] = command;
	o = run(argv);
	free(command);
	return o;
}

static struct outcome run_self(const char *what, const char *kind)
{
	const char *argv[] = { self, what, kind, NULL };

	return run(argv);
}

static bool file_contains(const char *path, const char *text)
{
	static char content[1 << 16];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, content, sizeof(content));

	if (fd >= 0)
		close(fd);
	return n > 0 && memmem(content, (size_t)n, text, strlen(text));
}

/* How many processes name this text in their command line or environment. */
static int processes_of(const char *text)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	char line[300], env[300];
	int count = 0;

	while ((entry = readdir(proc))) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		snprintf(line, sizeof(line), "/proc/%s/cmdline", entry->d_name);
		snprintf(env, sizeof(env), "/proc/%s/environ", entry->d_name);
		count += file_contains(line, text) || file_contains(env, text);
	}
	closedir(proc);
	return count;
}

static enum kit_kind kind_of(const char *name)
{
	return name[0] == 'k' ? KIT_KAFKA : name[0] == 'r' ? KIT_RABBITMQ : KIT_MOSQUITTO;
}

/* What this program does when it is run as a child. */
static int be_child(const char *what, const char *kind)
{
	struct kit_broker_options options = { 0 };
	struct kit_broker *b;

	if (!strcmp(what, "crash_with_group"))
		setpgid(0, 0);
	if (!strcmp(what, "misconfigured"))
		options.config = "utter_nonsense 1";
	b = kit_broker_start(kind_of(kind), &options);
	printf("%s\n", kit_broker_file(b, ""));
	fflush(stdout);
	if (!strcmp(what, "freeze_and_crash"))
		kit_broker_pause(b);
	if (!strcmp(what, "fault_shared")) {
		setenv("POSTA_TEST_MQTT", "127.0.0.1:1", 1);
		kit_broker_kill9(kit_broker_shared(KIT_MOSQUITTO));
	}
	if (!strcmp(what, "crash_with_group"))
		kill(0, SIGKILL);
	if (strcmp(what, "return"))
		raise(SIGKILL);
	return 0;
}

static void nothing_is_left_of(const char *kind, const char *what)
{
	struct outcome o = run_self(what, kind);

	if (WIFEXITED(o.status) && WEXITSTATUS(o.status) == 77)
		skip();
	o.text[strcspn(o.text, "\n")] = '\0';
	assert_non_null(strstr(o.text, "/posta-"));
	assert_int_equal(access(o.text, F_OK), -1);
	o.text[strlen(o.text) - 1] = '\0'; /* the slash */
	assert_int_equal(processes_of(o.text), 0);
}

static void mosquitto__test_killed__leaves_nothing(void **state)
{
	nothing_is_left_of("mosquitto", "crash");
}

static void kafka__test_killed__leaves_nothing(void **state)
{
	nothing_is_left_of("kafka", "crash");
}

static void rabbitmq__test_killed__leaves_nothing(void **state)
{
	nothing_is_left_of("rabbitmq", "crash");
}

static void frozen_broker__test_killed__leaves_nothing(void **state)
{
	nothing_is_left_of("mosquitto", "freeze_and_crash");
}

/* As a test runner does at a time-out. */
static void process_group__killed__leaves_nothing(void **state)
{
	nothing_is_left_of("mosquitto", "crash_with_group");
}

/* A broker's own helpers may outlive it: here "mosquitto" leaves one behind. */
static void orphans_of_the_broker__test_killed__are_killed(void **state)
{
	char dir[] = "/tmp/posta-kit-path-XXXXXX", program[64], path[4096];
	char *before = strdup(getenv("PATH"));
	FILE *f;

	assert_non_null(mkdtemp(dir));
	snprintf(program, sizeof(program), "%s/mosquitto", dir);
	f = fopen(program, "w");
	fprintf(f, "#!/bin/sh\n(NAMED=$2 sleep 1000 &)\nPATH=%s:/usr/sbin exec mosquitto \"$@\"\n", before);
	assert_int_equal(fchmod(fileno(f), 0700), 0);
	fclose(f);
	snprintf(path, sizeof(path), "%s:%s", dir, before);
	setenv("PATH", path, 1);
	nothing_is_left_of("mosquitto", "crash");
	setenv("PATH", before, 1);
	free(before);
	assert_int_equal(remove(program) | remove(dir), 0);
}

static void broker__never_stopped__leaves_nothing(void **state)
{
	nothing_is_left_of("mosquitto", "return");
}

static void broker__not_installed__skips_or_fails(void **state)
{
	const char *require = getenv("POSTA_TEST_REQUIRE");
	struct outcome skipped, failed;

	setenv("POSTA_TEST_RABBITMQ_HOME", "/nowhere", 1);
	unsetenv("POSTA_TEST_REQUIRE");
	skipped = run_self("crash", "rabbitmq");
	setenv("POSTA_TEST_REQUIRE", "1", 1);
	failed = run_self("crash", "rabbitmq");
	unsetenv("POSTA_TEST_RABBITMQ_HOME");
	if (!require)
		unsetenv("POSTA_TEST_REQUIRE");
	assert_true(WIFEXITED(skipped.status) && WEXITSTATUS(skipped.status) == 77);
	assert_true(WIFEXITED(failed.status) && WEXITSTATUS(failed.status) == 1);
	assert_non_null(strstr(failed.text, "rabbitmq-server is not installed"));
}

static void broker__misconfigured__says_why(void **state)
{
	struct outcome o = run_self("misconfigured", "mosquitto");

	assert_true(WIFEXITED(o.status) && WEXITSTATUS(o.status) == 1);
	assert_non_null(strstr(o.text, "ended while it started"));
	assert_non_null(strstr(o.text, "utter_nonsense"));
}

static void shared_broker__killed__fails_the_test(void **state)
{
	struct outcome o = run_self("fault_shared", "mosquitto");

	assert_true(WIFEXITED(o.status) && WEXITSTATUS(o.status) == 1);
	assert_non_null(strstr(o.text, "that others use too"));
}

/* ---- a broker of one's own ------------------------------------------------ */

static void broker__lock_held__is_not_inherited(void **state)
{
	char path[] = "/tmp/posta-kit-lock-XXXXXX";
	int fd = mkstemp(path), again;
	struct kit_broker *b;

	assert_int_equal(flock(fd, LOCK_EX), 0);
	b = kit_broker_start(KIT_MOSQUITTO, NULL);
	close(fd);
	again = open(path, O_RDWR);
	unlink(path);
	assert_int_equal(flock(again, LOCK_EX | LOCK_NB), 0);
	close(again);
	kit_broker_stop(b);
}

/* Binds the port; -1 if it has been taken already. */
static int take_port(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (!bind(fd, (struct sockaddr *)&a, sizeof(a)) && !listen(fd, 1))
		return fd;
	close(fd);
	return -1;
}

static void broker__port_taken_meanwhile__uses_another(void **state)
{
	struct kit_broker *b = kit_broker_begin(KIT_MOSQUITTO, NULL);
	int port = kit_broker_port(b), fd = take_port(port);

	kit_broker_wait(b);
	if (fd >= 0) /* else the broker was quicker */
		assert_int_not_equal(kit_broker_port(b), port);
	close(fd);
	assert_true(kit_probe_mosquitto(kit_broker_port(b), NULL, NULL));
	kit_broker_stop(b);
}

static void broker__test_ignores_signals__can_be_shut_down(void **state)
{
	sighandler_t old = signal(SIGTERM, SIG_IGN);
	struct kit_broker *b;
	sigset_t set, before;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &before);
	b = kit_broker_start(KIT_MOSQUITTO, NULL);
	alarm(20); /* the host would give up on SIGTERM after 30 s */
	kit_broker_shutdown(b);
	alarm(0);
	assert_false(kit_broker_runs(b));
	kit_broker_stop(b);
	sigprocmask(SIG_SETMASK, &before, NULL);
	signal(SIGTERM, old);
}

/* State letter and parent from /proc/PID/stat; false if there is no such process. */
static bool process_stat(long pid, char *letter, int *parent)
{
	char path[64], line[256];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	f = fopen(path, "r");
	ok = f && fgets(line, sizeof(line), f) && strrchr(line, ')') &&
	     sscanf(strrchr(line, ')') + 1, " %c %d", letter, parent) == 2;
	if (f)
		fclose(f);
	return ok;
}

static void broker__paused__stands_still_until_continued(void **state)
{
	struct kit_broker *b = kit_broker_start(KIT_MOSQUITTO, NULL);
	char letter;
	int parent;

	kit_broker_pause(b);
	assert_true(process_stat(kit_broker_pid(b), &letter, &parent));
	assert_int_equal(letter, 'T');
	assert_true(kit_broker_runs(b));
	kit_broker_cont(b);
	assert_true(kit_probe_mosquitto(kit_broker_port(b), NULL, NULL));
	kit_broker_pause(b);
	alarm(20); /* the host would give up on SIGTERM after 30 s */
	kit_broker_shutdown(b);
	alarm(0);
	assert_false(kit_broker_runs(b));
	kit_broker_stop(b);
}

static void host__killed__takes_its_broker_along(void **state)
{
	struct kit_broker *b = kit_broker_start(KIT_MOSQUITTO, NULL);
	long pid = kit_broker_pid(b);
	char *dir = kit_broker_file(b, ""), letter;
	int host, parent;

	assert_true(process_stat(pid, &letter, &host));
	kill(host, SIGKILL);
	for (int i = 0; i < 1000 && process_stat(pid, &letter, &parent); i++)
		poll(NULL, 0, 10);
	assert_false(process_stat(pid, &letter, &parent));
	kit_broker_stop(b);
	assert_int_equal(shell("rm -r %s", dir).status, 0);
	free(dir);
}

static void broker__started__leaves_no_inheritable_descriptor(void **state)
{
	bool open_before[64];
	struct kit_broker *b;

	for (int fd = 0; fd < 64; fd++)
		open_before[fd] = fcntl(fd, F_GETFD) >= 0;
	b = kit_broker_start(KIT_MOSQUITTO, NULL);
	for (int fd = 0; fd < 64; fd++)
		if (!open_before[fd] && fcntl(fd, F_GETFD) >= 0)
			assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	kit_broker_stop(b);
}

static void broker__stopped__is_gone_on_return(void **state)
{
	struct kit_broker *b = kit_broker_start(KIT_MOSQUITTO, NULL);
	char *dir = kit_broker_file(b, "");
	int port = kit_broker_port(b);

	kit_broker_stop(b);
	assert_int_equal(access(dir, F_OK), -1);
	assert_false(kit_probe_mosquitto(port, NULL, NULL));
	free(dir);
	kit_broker_stop(NULL);
}

static void mosquitto__password__is_asked_for(void **state)
{
	const struct kit_broker_options o = { .user = "ann", .password = "secret" };
	struct kit_broker *b = kit_broker_start(KIT_MOSQUITTO, &o);
	char url[64];

	snprintf(url, sizeof(url), "mqtt://ann:secret@127.0.0.1:%d", kit_broker_port(b));
	assert_string_equal(kit_broker_url(b), url);
	assert_false(kit_probe_mosquitto(kit_broker_port(b), NULL, NULL));
	assert_false(kit_probe_mosquitto(kit_broker_port(b), "ann", "wrong"));
	kit_broker_stop(b);
}

/* ---- what kill -9 must not lose ------------------------------------------- */

/* Sends MQTT packets in one go and returns the last byte of an answer of this
 * length, or -1. */
static int mqtt_talk(int port, const void *packets, size_t size, size_t answer_size)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	const struct timeval limit = { .tv_sec = 5 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unsigned char answer[64];
	bool ok;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	ok = !connect(fd, (struct sockaddr *)&a, sizeof(a)) && send(fd, packets, size, MSG_NOSIGNAL) == (ssize_t)size &&
	     recv(fd, answer, answer_size, MSG_WAITALL) == (ssize_t)answer_size;
	close(fd);
	return ok ? answer[answer_size - 1] : -1;
}

#define MQTT_CONNECT "\x10\x0c\0\4MQTT\4\2\0\x3c\0\0"

static void mosquitto__persistent__keeps_messages_over_kill9(void **state)
{
	/* PUBLISH, QoS 1, retain, topic "t", id 1, "!"; its PUBACK ends in the id. */
	static const char publish[] = MQTT_CONNECT "\x33\6\0\1t\0\1!";
	static const char subscribe[] = MQTT_CONNECT "\x82\6\0\2\0\1t\0";
	const struct kit_broker_options o = { .persistent = true };
	struct kit_broker *b = kit_broker_start(KIT_MOSQUITTO, &o);
	int port = kit_broker_port(b);

	assert_int_equal(mqtt_talk(port, publish, sizeof(publish) - 1, 4 + 4), 1);
	kit_broker_kill9(b);
	assert_false(kit_broker_runs(b));
	assert_int_equal(kit_broker_pid(b), 0);
	kit_broker_start_again(b);
	assert_int_equal(kit_broker_port(b), port);
	/* CONNACK, SUBACK (5 bytes), then PUBLISH (2 + 3 + 1): its payload. */
	assert_int_equal(mqtt_talk(port, subscribe, sizeof(subscribe) - 1, 4 + 5 + 6), '!');
	kit_broker_stop(b);
}

static void kafka__killed_and_started_again__keeps_messages(void **state)
{
	struct kit_broker *b = kit_broker_start(KIT_KAFKA, NULL);
	int port = kit_broker_port(b);
	struct outcome o;

	o = shell("echo kept | kcat -P -b 127.0.0.1:%d -t kept -X acks=all", port);
	assert_int_equal(o.status, 0);
	kit_broker_kill9(b);
	kit_broker_start_again(b);
	o = shell("timeout 20 kcat -C -b 127.0.0.1:%d -t kept -o beginning -c 1 -q", port);
	assert_string_equal(o.text, "kept\n");
	kit_broker_restart(b);
	assert_int_equal(kit_broker_port(b), port);
	kit_broker_stop(b);
}

static void rabbitmq__killed_and_started_again__keeps_definitions(void **state)
{
	static const char *const add[] = { "add_vhost", "added", NULL };
	static const char *const list[] = { "-q", "list_vhosts", NULL };
	const struct kit_broker_options o = { .user = "ann", .password = "secret", .vhost = "house" };
	struct kit_broker *b = kit_broker_start(KIT_RABBITMQ, &o);
	char url[64], *text;

	snprintf(url, sizeof(url), "amqp://ann:secret@127.0.0.1:%d/house", kit_broker_port(b));
	assert_string_equal(kit_broker_url(b), url);
	kit_broker_ctl(b, add);
	kit_broker_kill9(b);
	kit_broker_start_again(b);
	text = kit_broker_ctl_output(b, list);
	assert_non_null(strstr(text, "house"));
	assert_non_null(strstr(text, "added"));
	free(text);
	kit_broker_stop(b);
}

/* ---- TLS ------------------------------------------------------------------ */

/* Does a handshake succeed, with this certificate ("" for none)? TLS 1.2: in 1.3
 * a client learns only after its own side is done that it was refused. */
static bool handshake(struct kit_broker *b, enum kit_door door, const char *name)
{
	char *tls = kit_broker_file(b, "tls"), with[400] = "";
	struct outcome o;

	if (*name)
		snprintf(with, sizeof(with), "-cert %s/%s.pem -key %s/%s.key", tls, name, tls, name);
	o = shell("openssl s_client -tls1_2 -connect 127.0.0.1:%d -verify_ip 127.0.0.1 "
		  "-CAfile %s/ca.pem -verify_return_error %s < /dev/null > /dev/null 2>&1",
		  kit_broker_door(b, door), tls, with);
	free(tls);
	return o.status == 0;
}

static void every_kind__tls__knows_its_clients(void **state)
{
	struct kit_broker_options o = { .tls = true, .user = "ann", .password = "secret" };
	struct kit_broker *all[KIT_KIND_COUNT];

	for (int i = 0; i < KIT_KIND_COUNT; i++)
		all[i] = kit_broker_begin((enum kit_kind)i, &o);
	for (int i = 0; i < KIT_KIND_COUNT; i++) {
		kit_broker_wait(all[i]);
		assert_true(handshake(all[i], KIT_TLS, ""));
		if (i == KIT_RABBITMQ) {
			assert_false(handshake(all[i], KIT_TLS, "stranger"));
			continue;
		}
		assert_true(handshake(all[i], KIT_MTLS, "client"));
		assert_false(handshake(all[i], KIT_MTLS, "stranger"));
		assert_false(handshake(all[i], KIT_MTLS, ""));
	}
	for (int i = 0; i < KIT_KIND_COUNT; i++)
		kit_broker_stop(all[i]);
}

/* ---- the rest -------------------------------------------------------------- */

static void unique__called_often__never_repeats(void **state)
{
	char *names[100];

	for (int i = 0; i < 100; i++)
		names[i] = kit_unique("topic");
	for (int i = 0; i < 100; i++)
		for (int j = 0; j < i; j++)
			assert_string_not_equal(names[i], names[j]);
	assert_int_equal(strspn(names[0], "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(names[0]));
	for (int i = 0; i < 100; i++)
		free(names[i]);
}

static void with_brokers__command_ends__passes_its_status(void **state)
{
	struct outcome o;
	char dir[] = KIT_HOST;

	*strrchr(dir, '/') = '\0';
	/* Named ones are not started: this is quick. */
	o = shell("POSTA_TEST_KAFKA=h:1 POSTA_TEST_AMQP=h:2 POSTA_TEST_MQTT=h:3 "
		  "%s/with_brokers sh -c 'echo $POSTA_TEST_MQTT; exit 7'",
		  dir);
	assert_non_null(strstr(o.text, "h:3"));
	assert_int_equal(WEXITSTATUS(o.status), 7);
	o = shell("POSTA_TEST_KAFKA=h:1 POSTA_TEST_AMQP=h:2 "
		  "%s/with_brokers sh -c 'echo $POSTA_TEST_MQTT; kill -9 $$'",
		  dir);
	assert_non_null(strstr(o.text, "127.0.0.1:"));
	assert_int_equal(WEXITSTATUS(o.status), 128 + 9);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unique__called_often__never_repeats),
		cmocka_unit_test(broker__stopped__is_gone_on_return),
		cmocka_unit_test(broker__lock_held__is_not_inherited),
		cmocka_unit_test(broker__port_taken_meanwhile__uses_another),
		cmocka_unit_test(broker__test_ignores_signals__can_be_shut_down),
		cmocka_unit_test(broker__paused__stands_still_until_continued),
		cmocka_unit_test(broker__started__leaves_no_inheritable_descriptor),
		cmocka_unit_test(host__killed__takes_its_broker_along),
		cmocka_unit_test(orphans_of_the_broker__test_killed__are_killed),
		cmocka_unit_test(process_group__killed__leaves_nothing),
		cmocka_unit_test(broker__never_stopped__leaves_nothing),
		cmocka_unit_test(broker__not_installed__skips_or_fails),
		cmocka_unit_test(broker__misconfigured__says_why),
		cmocka_unit_test(shared_broker__killed__fails_the_test),
		cmocka_unit_test(frozen_broker__test_killed__leaves_nothing),
		cmocka_unit_test(mosquitto__test_killed__leaves_nothing),
		cmocka_unit_test(mosquitto__password__is_asked_for),
		cmocka_unit_test(mosquitto__persistent__keeps_messages_over_kill9),
		cmocka_unit_test(kafka__test_killed__leaves_nothing),
		cmocka_unit_test(kafka__killed_and_started_again__keeps_messages),
		cmocka_unit_test(rabbitmq__test_killed__leaves_nothing),
		cmocka_unit_test(rabbitmq__killed_and_started_again__keeps_definitions),
		cmocka_unit_test(every_kind__tls__knows_its_clients),
		cmocka_unit_test(with_brokers__command_ends__passes_its_status),
	};

	self = argv[0];
	if (argc == 3)
		return be_child(argv[1], argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
