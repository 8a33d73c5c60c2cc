/* SPDX-License-Identifier: MIT */
/* A process of ours between the brokers: posta run, with a route a flow. */
#include "chaos.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

const char *const chaos_kind_names[KIT_KIND_COUNT] = { "kafka", "rabbitmq", "mosquitto" };

static void path_of(const struct chaos_mover *mover, const char *name, char path[128])
{
	snprintf(path, 128, "%s/%s", mover->folder, name);
}

/* -- Its file of routes */

static void write_brokers(const struct chaos *chaos, const struct chaos_mover *mover, FILE *file)
{
	char url[256];

	fputs("brokers:\n", file);
	for (int i = 0; i < KIT_KIND_COUNT; i++) {
		if (!chaos->brokers[i])
			continue;
		chaos_url(chaos, (enum kit_kind)i, true, url, sizeof url);
		fprintf(file, "  %s:\n    url: \"%s\"\n    client_id: %s\n    reconnect_max: 2s\n", chaos_kind_names[i],
			url, mover->client);
		if (chaos->heartbeat_ms)
			fprintf(file, "    heartbeat: %ums\n", (unsigned)chaos->heartbeat_ms);
		if (chaos->saved && i == KIT_MOSQUITTO)
			fputs("    extra: { confirm_saved: 1 }\n", file);
	}
}

static const char *word_of(enum kit_kind kind)
{
	return kind == KIT_RABBITMQ ? "queue" : "topic";
}

static void write_route(const struct chaos *chaos, unsigned index, FILE *file)
{
	const struct chaos_flow *flow = &chaos->flows[index];

	fprintf(file, "  - name: flow-%u\n    from: { broker: %s, %s: %s", index, chaos_kind_names[flow->from],
		word_of(flow->from), flow->from_name);
	if (flow->from == KIT_KAFKA)
		fprintf(file, ", group: %s-%u", chaos->group, index);
	fprintf(file, " }\n    to: { broker: %s, %s: %s }\n", chaos_kind_names[flow->to], word_of(flow->to),
		flow->to_name);
	if (!chaos->poison_every)
		return;
	fputs("    steps:\n      - filter: data.number >= 0\n", file);
	fprintf(file, "    dead_letter: { broker: %s, %s: %s-dead }\n", chaos_kind_names[flow->to], word_of(flow->to),
		flow->to_name);
}

static void write_file(const struct chaos *chaos, const struct chaos_mover *mover)
{
	char path[128];

	path_of(mover, "routes.yaml", path);
	FILE *file = fopen(path, "w");
	if (!file) {
		perror(path);
		_exit(1);
	}
	write_brokers(chaos, mover, file);
	fputs("routes:\n", file);
	for (unsigned i = 0; i < chaos->flow_count; i++)
		write_route(chaos, i, file);
	fclose(file);
}

/* -- Its life */

static void redirect(const char *path, int to, int flags)
{
	int fd = open(path, O_WRONLY | O_CREAT | flags, 0600);

	if (fd < 0 || dup2(fd, to) < 0)
		_exit(127);
}

void chaos_mover_start(struct chaos *chaos, unsigned index)
{
	struct chaos_mover *mover = &chaos->movers[index];
	const char *program = getenv("POSTA");
	char config[128], out[128], log[128];

	if (!mover->client) {
		mover->client = kit_unique("posta");
		snprintf(mover->folder, sizeof mover->folder, "/tmp/posta-chaos-XXXXXX");
		if (!mkdtemp(mover->folder))
			abort();
		write_file(chaos, mover);
	}
	path_of(mover, "routes.yaml", config);
	path_of(mover, "out", out);
	path_of(mover, "log", log);
	mover->pid = fork();
	if (mover->pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	redirect(out, STDOUT_FILENO, O_TRUNC);
	redirect(log, STDERR_FILENO, O_TRUNC);
	execl(program, "posta", "run", "--json", config, (char *)NULL);
	_exit(127);
}

void chaos_mover_kill(struct chaos *chaos, unsigned index)
{
	struct chaos_mover *mover = &chaos->movers[index];
	int status;

	kill(mover->pid, SIGKILL);
	while (waitpid(mover->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status))
		chaos_trouble(chaos, "posta had ended by itself, status %d", WEXITSTATUS(status));
	mover->pid = 0;
	chaos->kills++;
}

static size_t read_file(const struct chaos_mover *mover, const char *name, char *text, size_t size, bool tail)
{
	char path[128];
	size_t len = 0;

	path_of(mover, name, path);
	FILE *file = fopen(path, "r");
	if (file) {
		if (tail && !fseek(file, 0, SEEK_END))
			fseek(file, ftell(file) > (long)size - 1 ? ftell(file) - (long)size + 1 : 0, SEEK_SET);
		len = fread(text, 1, size - 1, file);
		fclose(file);
	}
	text[len] = '\0';
	return len;
}

void chaos_mover_log(const struct chaos *chaos, unsigned index, char *tail, size_t size)
{
	read_file(&chaos->movers[index], "log", tail, size, true);
}

bool chaos_mover_ready(struct chaos *chaos, unsigned index)
{
	static char text[1 << 18];
	unsigned count = 0;

	read_file(&chaos->movers[index], "log", text, sizeof text, false);
	for (const char *at = text; (at = strstr(at, "route.subscribed")); at++)
		count++;
	return count >= chaos->flow_count;
}

static void add_figures(struct chaos *chaos, const char *json)
{
	struct json_object *root = json_tokener_parse(json), *items = NULL, *value = NULL;

	json_object_object_get_ex(root, "bridges", &items);
	for (size_t i = 0; items && i < json_object_array_length(items); i++)
		if (json_object_object_get_ex(json_object_array_get_idx(items, i), "restarts", &value))
			chaos->mover_restarts += (uint64_t)json_object_get_int64(value);
	json_object_put(root);
}

void chaos_mover_end(struct chaos *chaos, unsigned index)
{
	static char text[1 << 16];
	struct chaos_mover *mover = &chaos->movers[index];
	uint64_t until = chaos_now_ms() + 30000;
	int status = 0;
	pid_t got = 0;

	if (!mover->pid)
		return;
	kill(mover->pid, SIGTERM);
	while ((got = waitpid(mover->pid, &status, WNOHANG)) == 0 && chaos_now_ms() < until)
		chaos_pass(10);
	if (!got) {
		chaos_trouble(chaos, "posta did not end within 30 s of SIGTERM");
		chaos_mover_kill(chaos, index);
		return;
	}
	mover->pid = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		chaos_trouble(chaos, "posta ended with status %#x", status);
	read_file(mover, "out", text, sizeof text, false);
	add_figures(chaos, text);
}

void chaos_mover_free(struct chaos_mover *mover)
{
	static const char *const files[] = { "routes.yaml", "out", "log" };
	char path[128];

	if (!mover->client)
		return;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		path_of(mover, files[i], path);
		unlink(path);
	}
	rmdir(mover->folder);
	free(mover->client);
	*mover = (struct chaos_mover){ 0 };
}
