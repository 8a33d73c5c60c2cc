/* SPDX-License-Identifier: MIT */
#include "legs.h"

#include <posta/envelope.h>

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MSG_GO = 1 };

const char *const legs_broker_names[KIT_KIND_COUNT] = { "bus", "work", "field" };

static const enum kit_kind ways[LEGS][2] = {
	{ KIT_KAFKA, KIT_RABBITMQ },     { KIT_KAFKA, KIT_MOSQUITTO }, { KIT_RABBITMQ, KIT_KAFKA },
	{ KIT_RABBITMQ, KIT_MOSQUITTO }, { KIT_MOSQUITTO, KIT_KAFKA }, { KIT_MOSQUITTO, KIT_RABBITMQ },
};

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* -- The driver: one actor that publishes at all sources and reads at all sinks. */

static struct posta_envelope *make(unsigned leg, unsigned number)
{
	char id[32], key[16], body[BODY_BYTES + 1];
	struct posta_envelope *envelope = posta_envelope_new();
	snprintf(id, sizeof id, "%u-%u", leg, number);
	snprintf(key, sizeof key, "key-%u", number % KEYS);
	memset(body, '.', sizeof body);
	int n = snprintf(body, sizeof body, "{\"leg\":%u,\"number\":%u,\"fill\":\"", leg, number);
	body[n] = '.';
	memcpy(body + BODY_BYTES - 2, "\"}", 2);
	assert_non_null(envelope);
	assert_int_equal(posta_envelope_set_text(envelope, POSTA_ATTR_ID, id), POSTA_OK);
	assert_int_equal(posta_envelope_set_text(envelope, POSTA_ATTR_SOURCE, "legs"), POSTA_OK);
	assert_int_equal(posta_envelope_set_text(envelope, POSTA_ATTR_TYPE, "leg.moved"), POSTA_OK);
	assert_int_equal(posta_envelope_set_text(envelope, POSTA_ATTR_KEY, key), POSTA_OK);
	assert_int_equal(posta_envelope_set_text(envelope, POSTA_ATTR_CONTENT_TYPE, "application/json"), POSTA_OK);
	assert_int_equal(posta_envelope_set_body(envelope, body, BODY_BYTES), POSTA_OK);
	return envelope;
}

static struct posta_target target_of(enum kit_kind kind, const char *name)
{
	struct posta_target target = { .size = sizeof target };
	if (kind == KIT_RABBITMQ)
		target.queue = name;
	else
		target.topic = name;
	target.qos = kind == KIT_MOSQUITTO ? -1 : 0;
	return target;
}

static void publish_some(struct posta_actor *self, struct legs *legs)
{
	for (unsigned i = 0; i < LEGS && legs->flowing; i++) {
		struct leg *leg = &legs->leg[i];
		struct posta_target target = target_of(leg->from, leg->from_name);
		while (leg->published < MESSAGES && leg->published - leg->arrived < WINDOW) {
			struct posta_envelope *envelope = make(i, leg->published);
			enum posta_err err = posta_bridge_publish(self, legs->bridges[leg->from], &target, envelope, i);
			posta_envelope_unref(envelope);
			assert_int_equal(err, POSTA_OK);
			leg->published++;
		}
	}
}

static void arrived(struct leg *leg, unsigned index, const struct posta_envelope *envelope)
{
	unsigned from, number;
	if (sscanf(posta_envelope_text(envelope, POSTA_ATTR_ID), "%u-%u", &from, &number) != 2 || from != index ||
	    number >= MESSAGES || posta_envelope_body(envelope).len != BODY_BYTES) {
		leg->strangers++;
		return;
	}
	if (leg->seen[number]) {
		leg->duplicates++;
		return;
	}
	leg->seen[number] = 1;
	leg->arrived++;
	leg->disordered += (int)number < leg->last[number % KEYS];
	leg->last[number % KEYS] = (int)number;
}

static void on_delivery(struct posta_actor *self, struct legs *legs, const struct posta_delivery *delivery)
{
	for (unsigned i = 0; i < LEGS; i++) {
		if (delivery->token.bridge != posta_bridge_ref(legs->bridges[legs->leg[i].to]) ||
		    delivery->token.subscription != legs->subscriptions[i])
			continue;
		arrived(&legs->leg[i], i, delivery->envelope);
		break;
	}
	posta_settle(self, delivery->token, POSTA_ACK);
}

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct legs *legs = state;
	if (message->type == POSTA_MSG_DELIVERY) {
		on_delivery(self, legs, posta_data(message));
	} else if (message->type == POSTA_MSG_SUBSCRIBED) {
		const struct posta_subscribed *answer = posta_data(message);
		legs->subscribed += answer->result == POSTA_OK;
	} else if (message->type == POSTA_MSG_PUBLISHED) {
		const struct posta_published *published = posta_data(message);
		legs->leg[published->cookie].confirmed += published->result == POSTA_OK;
		if (published->result) {
			legs->refused++;
			snprintf(legs->refusal, sizeof legs->refusal, "%s", published->text);
		}
	}
	publish_some(self, legs);
	return POSTA_OK;
}

static enum posta_err start(struct posta_actor *self, void *state, void *argument)
{
	struct legs *legs = argument;
	struct posta_error error;
	for (unsigned i = 0; i < LEGS; i++) {
		const struct leg *leg = &legs->leg[i];
		struct posta_source source = { .size = sizeof source, .credit = 1024 };
		if (leg->to == KIT_RABBITMQ)
			source.queue = leg->to_name;
		else if (leg->to == KIT_KAFKA)
			source.topic = leg->to_name;
		else
			source.filter = leg->to_name;
		source.group = leg->to == KIT_KAFKA ? legs->group : NULL;
		source.qos = leg->to == KIT_MOSQUITTO ? -1 : 0;
		enum posta_err err =
			posta_bridge_subscribe(self, legs->bridges[leg->to], &source, &legs->subscriptions[i], &error);
		if (err)
			fail_msg("subscribe: %s", error.text);
	}
	return POSTA_OK;
}

static const struct posta_actor_class driver_class = { .name = "driver", .receive = receive, .start = start };

/* -- The posta process */

static void write_config(const struct legs *legs, const char *path)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs("brokers:\n", file);
	for (int i = 0; i < KIT_KIND_COUNT; i++) {
		char *client = kit_unique("posta");
		fprintf(file, "  %s: { url: \"%s\", client_id: %s, reconnect_max: 2s%s }\n", legs_broker_names[i],
			kit_broker_url(legs->brokers[i]), client,
			legs->saved && i == KIT_MOSQUITTO ? ", extra: { confirm_saved: 1 }" : "");
		free(client);
	}
	fputs("routes:\n", file);
	for (int i = 0; i < LEGS; i++) {
		const struct leg *leg = &legs->leg[i];
		char group[128] = "";
		if (leg->from == KIT_KAFKA)
			snprintf(group, sizeof group, ", group: %s-%d", legs->group, i);
		fprintf(file, "  - name: leg-%d\n    from: { broker: %s, %s: %s%s }\n    to: { broker: %s, %s: %s }\n",
			i, legs_broker_names[leg->from], leg->from == KIT_RABBITMQ ? "queue" : "topic", leg->from_name,
			group, legs_broker_names[leg->to], leg->to == KIT_RABBITMQ ? "queue" : "topic", leg->to_name);
	}
	assert_int_equal(fclose(file), 0);
}

static void path_of(const struct legs *legs, const char *name, char path[128])
{
	snprintf(path, 128, "%s/%s", legs->folder, name);
}

static char *read_file(const struct legs *legs, const char *name)
{
	char path[128];
	path_of(legs, name, path);
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 1 << 20);
	assert_non_null(text);
	if (file) {
		size_t len = fread(text, 1, (1 << 20) - 1, file);
		text[len] = '\0';
		fclose(file);
	}
	return text;
}

static void redirect(const char *path, int to)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || dup2(fd, to) < 0)
		_exit(127);
}

static void start_posta(struct legs *legs)
{
	char config[128], out[128], log[128];
	const char *program = getenv("POSTA");
	assert_non_null(program);
	path_of(legs, "routes.yaml", config);
	path_of(legs, "out", out);
	path_of(legs, "log", log);
	write_config(legs, config);
	legs->posta = fork();
	assert_true(legs->posta >= 0);
	if (legs->posta)
		return;
	redirect(out, STDOUT_FILENO);
	redirect(log, STDERR_FILENO);
	execl(program, "posta", "run", "--json", config, (char *)NULL);
	_exit(127);
}

static bool posta_runs(const struct legs *legs)
{
	siginfo_t info = { 0 };
	return waitid(P_PID, (id_t)legs->posta, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

static unsigned lines_with(const char *text, const char *words)
{
	unsigned count = 0;
	for (; (text = strstr(text, words)); text += strlen(words))
		count++;
	return count;
}

static bool posta_subscribed(void *context)
{
	struct legs *legs = context;
	char *log = read_file(legs, "log");
	unsigned count = lines_with(log, "route.subscribed");
	free(log);
	return count >= LEGS || !posta_runs(legs);
}

static bool readers_subscribed(void *context)
{
	return ((struct legs *)context)->subscribed >= LEGS;
}

static bool wait_until(struct legs *legs, bool (*done)(void *context), uint64_t timeout_ms)
{
	uint64_t until = now_ms() + timeout_ms;
	while (!done(legs)) {
		if (now_ms() > until)
			return false;
		posta_system_step(legs->system, 20);
	}
	return true;
}

static void explain_and_fail(struct legs *legs, const char *what)
{
	char *log = read_file(legs, "log");
	size_t len = strlen(log);
	print_error("%s\nthe end of posta's log:\n%s\n", what, len > 4000 ? log + len - 4000 : log);
	for (int i = 0; i < KIT_KIND_COUNT; i++) {
		struct posta_bridge_status status = { .size = sizeof status };
		posta_bridge_status(legs->bridges[i], &status);
		print_error("reader %s: %s, %s\n", status.url, posta_bridge_state_name(status.state),
			    status.last_error);
	}
	for (int i = 0; i < LEGS; i++)
		print_error("leg %d: published %u confirmed %u arrived %u\n", i, legs->leg[i].published,
			    legs->leg[i].confirmed, legs->leg[i].arrived);
	for (int i = 0; i < LEGS; i++)
		for (unsigned n = 0, told = 0; n < legs->leg[i].published && told < 10; n++)
			if (!legs->leg[i].seen[n] && ++told)
				print_error("leg %d: number %u has not arrived\n", i, n);
	free(log);
	kill(legs->posta, SIGKILL);
	fail_msg("%s", what);
}

static void open_bridges(struct legs *legs)
{
	static const char *const saved[] = { "confirm_saved", "1", NULL };

	for (int i = 0; i < KIT_KIND_COUNT; i++) {
		struct posta_error error;
		char *client = kit_unique("legs");
		struct posta_bridge_options options = {
			.size = sizeof options,
			.client_id = client,
			.backoff = { 100, 2000, 2, POSTA_JITTER_FULL, 0 },
			.extra = legs->saved && i == KIT_MOSQUITTO ? saved : NULL,
		};
		legs->bridges[i] = posta_bridge_open(legs->system, kit_broker_url(legs->brokers[i]), &options, &error);
		free(client);
		if (!legs->bridges[i])
			fail_msg("%s", error.text);
	}
}

void legs_begin(struct legs *legs, struct kit_broker *const brokers[KIT_KIND_COUNT], bool saved)
{
	struct posta_system_options options = { .size = sizeof options, .workers = POSTA_HOST_DRIVEN };
	memset(legs, 0, sizeof *legs);
	legs->saved = saved;
	memcpy(legs->brokers, brokers, sizeof legs->brokers);
	snprintf(legs->folder, sizeof legs->folder, "/tmp/posta-legs-XXXXXX");
	assert_non_null(mkdtemp(legs->folder));
	legs->group = kit_unique("group");
	for (int i = 0; i < LEGS; i++) {
		legs->leg[i].from = ways[i][0];
		legs->leg[i].to = ways[i][1];
		legs->leg[i].from_name = kit_unique("from");
		legs->leg[i].to_name = kit_unique("to");
		memset(legs->leg[i].last, 0xFF, sizeof legs->leg[i].last);
	}
	assert_int_equal(posta_system_start(&options, &legs->system, NULL), POSTA_OK);
	open_bridges(legs);
	legs->driver = posta_system_spawn(legs->system, &driver_class, legs, NULL, NULL);
	start_posta(legs);
	if (!wait_until(legs, readers_subscribed, 90000))
		explain_and_fail(legs, "the sinks could not be read");
	if (!wait_until(legs, posta_subscribed, 90000) || !posta_runs(legs))
		explain_and_fail(legs, "posta did not subscribe to all sources");
	legs->flowing = true;
}

unsigned legs_arrived(const struct legs *legs)
{
	unsigned all = 0;
	for (int i = 0; i < LEGS; i++)
		all += legs->leg[i].arrived;
	return all;
}

void legs_flow(struct legs *legs, unsigned wanted, uint64_t timeout_ms)
{
	uint64_t until = now_ms() + timeout_ms;
	posta_system_send(legs->system, legs->driver, MSG_GO, NULL, 0);
	while (legs_arrived(legs) < wanted) {
		if (legs->refused)
			explain_and_fail(legs, legs->refusal);
		if (now_ms() > until)
			explain_and_fail(legs, "messages did not arrive in time");
		if (!posta_runs(legs))
			explain_and_fail(legs, "posta ended by itself");
		for (int i = 0; i < 100; i++)
			posta_system_step(legs->system, 10);
	}
}

void legs_kill(struct legs *legs, enum kit_kind kind)
{
	kit_broker_pause(legs->brokers[kind]); /* so that Mosquitto isn't given the time to save first */
	kit_broker_kill9(legs->brokers[kind]);
	kit_broker_start_again(legs->brokers[kind]);
}

static bool posta_ended(void *context)
{
	return !posta_runs(context);
}

char *legs_end(struct legs *legs)
{
	int status = 0;
	kill(legs->posta, SIGTERM);
	if (!wait_until(legs, posta_ended, 30000))
		explain_and_fail(legs, "posta did not end on SIGTERM");
	assert_int_equal(waitpid(legs->posta, &status, 0), legs->posta);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	return read_file(legs, "out");
}

long legs_figure(const char *json, const char *list, const char *name, const char *figure)
{
	struct json_object *root = json_tokener_parse(json), *items = NULL, *value = NULL;
	long found = -1;
	json_object_object_get_ex(root, list, &items);
	for (size_t i = 0; items && i < json_object_array_length(items); i++) {
		struct json_object *item = json_object_array_get_idx(items, i);
		json_object_object_get_ex(item, "name", &value);
		if (strcmp(json_object_get_string(value), name) != 0)
			continue;
		if (json_object_object_get_ex(item, figure, &value))
			found = (long)json_object_get_int64(value);
	}
	json_object_put(root);
	return found;
}

void legs_check(const struct legs *legs)
{
	static const char *const names[] = { "Kafka", "RabbitMQ", "Mosquitto" };
	unsigned lost = 0, bad = 0;
	for (int i = 0; i < LEGS; i++) {
		const struct leg *leg = &legs->leg[i];
		print_message("%9s -> %-9s sent %u received %u duplicates %u lost %u out of order %u\n",
			      names[leg->from], names[leg->to], leg->published, leg->arrived, leg->duplicates,
			      MESSAGES - leg->arrived, leg->disordered);
		lost += MESSAGES - leg->arrived;
		bad += leg->disordered + leg->strangers;
	}
	assert_int_equal(lost, 0);
	assert_int_equal(bad, 0);
}

void legs_free(struct legs *legs)
{
	static const char *const files[] = { "routes.yaml", "out", "log" };
	char path[128];
	for (int i = 0; i < KIT_KIND_COUNT; i++)
		posta_bridge_close(legs->bridges[i], 0);
	posta_system_stop(legs->system, 5000, NULL);
	for (int i = 0; i < LEGS; i++) {
		free(legs->leg[i].from_name);
		free(legs->leg[i].to_name);
	}
	free(legs->group);
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		path_of(legs, files[i], path);
		unlink(path);
	}
	rmdir(legs->folder);
}
