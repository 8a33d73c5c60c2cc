/* SPDX-License-Identifier: MIT */
/* The command as a user has it: its output and its exit status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char output[65536];

/* Runs it through a shell; both its outputs are in output. Returns: its exit status. */
static int posta(const char *arguments)
{
	char command[2048];
	const char *program = getenv("POSTA");
	assert_non_null(program);
	snprintf(command, sizeof command, "exec 2>&1; '%s' %s", program, arguments);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	size_t len = fread(output, 1, sizeof output - 1, pipe);
	output[len] = '\0';
	int status = pclose(pipe);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void assert_says(const char *words)
{
	if (!strstr(output, words))
		fail_msg("no \"%s\" in: %s", words, output);
}

/* Returns: its path, in memory of this function. */
static const char *file_with(const char *text)
{
	static char path[64];
	snprintf(path, sizeof path, "/tmp/posta-cli-XXXXXX");
	FILE *file = fdopen(mkstemp(path), "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	return path;
}

static int posta_on(const char *arguments, const char *text)
{
	char all[256];
	const char *path = file_with(text);
	snprintf(all, sizeof all, "%s %s", arguments, path);
	int status = posta(all);
	unlink(path);
	return status;
}

#define GOOD                                                                                                           \
	"brokers: { a: 'memory:a' }\nroutes: [ { name: r, from: { broker: a, topic: x }, to: { broker: a, topic: y } " \
	"} ]\n"

static void help__each_command__is_told(void **state)
{
	static const char *const commands[] = { "run", "check", "pub", "sub" };
	char arguments[64];
	assert_int_equal(posta("--help"), 0);
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		assert_says(commands[i]);
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		snprintf(arguments, sizeof arguments, "%s --help", commands[i]);
		assert_int_equal(posta(arguments), 0);
		assert_says("Exit status");
	}
	assert_int_equal(posta("--version"), 0);
	assert_says("posta ");
}

static void usage__wrong__is_status_2(void **state)
{
	static const char *const wrong[] = { "",
					     "fly",
					     "run",
					     "check",
					     "check a b",
					     "run --workers 0 x",
					     "run --no x",
					     "pub memory:",
					     "sub memory:",
					     "sub -n 0 memory: x",
					     "pub memory: filter:x" };
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		if (posta(wrong[i]) != 2)
			fail_msg("posta %s is not 2: %s", wrong[i], output);
}

static void check__file__errors_are_status_1(void **state)
{
	assert_int_equal(posta_on("check", GOOD), 0);
	assert_says("ok, 1 routes, 1 brokers");
	assert_int_equal(posta_on("check", "brokers: { a: 'memory:a' }\nruotes: []\n"), 1);
	assert_says(":2:1: error: unknown key \"ruotes\"");
	assert_says("hint: did you mean \"routes\"?");
	assert_int_equal(posta("check /nowhere/at.all"), 1);
	assert_says("No such file");
}

static void run__idle__ends_with_a_summary(void **state)
{
	assert_int_equal(posta_on("run --quiet --until-idle 100ms", GOOD), 0);
	assert_says("dead-lettered");
	assert_int_equal(posta_on("run --quiet --json --until-idle 100ms", GOOD), 0);
	assert_says("{\"name\":\"r\",\"received\":0");
	assert_says("\"restarts\":0");
	assert_int_equal(posta_on("run", "routes: 3\n"), 1);
}

static void pub__bad_event__is_status_1(void **state)
{
	assert_int_equal(posta("pub memory: x </dev/null"), 0);
	assert_int_equal(posta("pub --envelope memory: x <<'E'\n{\nE\n"), 1);
	assert_says("line 1");
	assert_int_equal(posta("pub nothing://h x </dev/null"), 1);
}

/* Also where the URL is not what it should be. */
static void pub__no_broker__credentials_are_never_told(void **state)
{
	static const char *const urls[] = { "amqp://u:hush@127.0.0.1:1", "amqp://u:a/hush@127.0.0.1:1",
					    "mqtt://u:hush@127.0.0.1:1", "mqtt://u:a?hush@127.0.0.1:1",
					    "kafka://u:hush@127.0.0.1:1", "kafka://u:a#hush@127.0.0.1:1",
					    "xyz://u:hush@127.0.0.1",    "u:hush@127.0.0.1",
					    "amqp:u:hush@127.0.0.1",     "://u:hush@127.0.0.1" };
	char arguments[128];
	setenv("DEBUG", "1", 1);
	for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
		snprintf(arguments, sizeof arguments, "pub --timeout 10ms '%s' x <<'E'\n1\nE\n", urls[i]);
		assert_int_equal(posta(arguments), 1);
		if (strstr(output, "hush"))
			fail_msg("%s: %s", urls[i], output);
	}
	unsetenv("DEBUG");
}

static void sub__nothing__ends_when_idle(void **state)
{
	assert_int_equal(posta("sub --until-idle 100ms memory: x"), 0);
	assert_string_equal(output, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(help__each_command__is_told),      cmocka_unit_test(usage__wrong__is_status_2),
		cmocka_unit_test(check__file__errors_are_status_1), cmocka_unit_test(run__idle__ends_with_a_summary),
		cmocka_unit_test(pub__bad_event__is_status_1),      cmocka_unit_test(sub__nothing__ends_when_idle),
		cmocka_unit_test(pub__no_broker__credentials_are_never_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
