/* SPDX-License-Identifier: MIT */
#include "command.h"
#include "findings.h"
#include "summary.h"

#include <getopt.h>
#include <string.h>
#include <unistd.h>

#define TICK_MS 50
#define DRAIN_MS 10000u
#define STOP_MS 5000u

struct settings {
	const char *file;
	uint64_t until_idle_ms; /* 0: runs until it is told to stop */
	uint64_t drain_ms;
	int workers;
	bool json;
	bool quiet;
	posta_log_fn *log;
};

struct running {
	struct settings settings;
	sigset_t signals;
	struct posta_system *system;
	struct posta_router *router;
	uint64_t started_ms;
	uint64_t moved; /* what was counted last */
	uint64_t moved_ms;
	uint64_t line_ms;
	uint64_t line_sent;
	bool failed;
};

static int take_option(struct settings *settings, int option)
{
	long long number;
	switch (option) {
	case 'i':
		return cli_duration(optarg, &settings->until_idle_ms) && settings->until_idle_ms
			       ? CLI_OK
			       : cli_usage_error("run", "--until-idle: \"%s\" is no duration: 5s, 500ms", optarg);
	case 'd':
		return cli_duration(optarg, &settings->drain_ms)
			       ? CLI_OK
			       : cli_usage_error("run", "--drain: \"%s\" is no duration: 10s, 500ms", optarg);
	case 'w':
		if (!cli_number(optarg, 1, 128, &number))
			return cli_usage_error("run", "--workers: 1 to 128");
		settings->workers = (int)number;
		return CLI_OK;
	case 'l':
		if (strcmp(optarg, "text") != 0 && strcmp(optarg, "json") != 0)
			return cli_usage_error("run", "--log: text or json");
		settings->log = *optarg == 'j' ? posta_log_json : posta_log_text;
		return CLI_OK;
	case 'j':
		settings->json = true;
		return CLI_OK;
	case 'q':
		settings->quiet = true;
		return CLI_OK;
	default:
		return CLI_USAGE;
	}
}

static int parse(int argc, char **argv, struct settings *settings)
{
	static const struct option options[] = {
		{ "until-idle", required_argument, NULL, 'i' },
		{ "workers", required_argument, NULL, 'w' },
		{ "drain", required_argument, NULL, 'd' },
		{ "log", required_argument, NULL, 'l' },
		{ "json", no_argument, NULL, 'j' },
		{ "quiet", no_argument, NULL, 'q' },
		{ NULL, 0, NULL, 0 },
	};
	for (int option; (option = getopt_long(argc, argv, "qj", options, NULL)) != -1;) {
		int status = take_option(settings, option);
		if (status)
			return status;
	}
	if (optind + 1 != argc)
		return cli_usage_error("run", "one FILE is needed");
	settings->file = argv[optind];
	return CLI_OK;
}

static struct posta_router_config *load(const char *file, struct posta_error *error)
{
	struct cli_findings findings = { .out = stderr };
	struct posta_router_config *config = posta_router_config_load(file, cli_finding, &findings, error);
	if (!config && !findings.errors)
		cli_fail("run", "%s", error->text);
	return config;
}

static void reload(struct running *run)
{
	struct posta_error error = { POSTA_OK, false, "" };
	struct posta_router_config *config = load(run->settings.file, &error);
	if (config && !posta_router_reload(run->router, config, &error))
		posta_log(run->system, POSTA_LOG_INFO, "run.reloaded", "file=%s", run->settings.file);
	else
		posta_log(run->system, POSTA_LOG_ERROR, "run.not_reloaded", "file=%s error=\"%s\" the old routes go on",
			  run->settings.file, error.text);
}

static void status_line(struct running *run, const struct cli_totals *totals, uint64_t now)
{
	if (run->settings.quiet || run->settings.json || !isatty(STDERR_FILENO) || now - run->line_ms < 1000)
		return;
	uint64_t elapsed = now - run->line_ms;
	fprintf(stderr,
		"\r\033[Kreceived %llu  sent %llu (%llu/s)  filtered %llu  dead %llu  in flight %llu  brokers %u/%u  "
		"restarts %llu",
		(unsigned long long)totals->received, (unsigned long long)totals->sent,
		(unsigned long long)((totals->sent - run->line_sent) * 1000 / elapsed),
		(unsigned long long)totals->filtered, (unsigned long long)totals->dead_lettered,
		(unsigned long long)totals->in_flight, totals->connected, totals->bridges,
		(unsigned long long)totals->restarts);
	run->line_ms = now;
	run->line_sent = totals->sent;
}

/* Idle: all brokers are there, nothing is on its way, and nothing has moved for a while. */
static bool idle(struct running *run, const struct cli_totals *totals, uint64_t now)
{
	uint64_t moved = totals->received + totals->sent + totals->dead_lettered;
	if (moved != run->moved || totals->in_flight || totals->connected < totals->bridges) {
		run->moved = moved;
		run->moved_ms = now;
	}
	return run->settings.until_idle_ms && now - run->moved_ms >= run->settings.until_idle_ms;
}

static void serve(struct running *run)
{
	struct cli_totals totals;
	run->started_ms = run->moved_ms = run->line_ms = cli_now_ms();
	for (;;) {
		int got = cli_wait_signal(&run->signals, TICK_MS);
		uint64_t now = cli_now_ms();
		if (got == SIGHUP)
			reload(run);
		else if (got)
			return;
		cli_total(run->router, &totals);
		status_line(run, &totals, now);
		if (totals.routes_ended) {
			run->failed = true;
			return;
		}
		if (idle(run, &totals, now))
			return;
	}
}

/* A second signal ends the patience. */
static void drain(struct running *run)
{
	uint64_t deadline = cli_now_ms() + run->settings.drain_ms + STOP_MS;
	posta_router_stop(run->router, (uint32_t)run->settings.drain_ms);
	while (!posta_router_stopped(run->router) && cli_now_ms() < deadline) {
		int got = cli_wait_signal(&run->signals, TICK_MS);
		if (!got || got == SIGHUP)
			continue;
		posta_router_stop(run->router, 0);
		deadline = cli_now_ms() + 1000;
	}
}

static int serve_and_sum_up(struct running *run)
{
	serve(run);
	drain(run);
	if (!run->settings.quiet && !run->settings.json && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	cli_summary(run->router, run->settings.json, cli_now_ms() - run->started_ms);
	bool stopped = posta_router_stopped(run->router);
	enum posta_err err = posta_system_stop(run->system, stopped ? STOP_MS : 1000, NULL);
	/* Actors that were abandoned may still look at the router. */
	if (!err)
		posta_router_free(run->router);
	return run->failed ? CLI_FAILED : CLI_OK;
}

static int run_routes(int argc, char **argv)
{
	struct running run = { .settings = { .drain_ms = DRAIN_MS, .log = posta_log_text } };
	struct posta_error error = { POSTA_OK, false, "" };
	int status = parse(argc, argv, &run.settings);
	if (status)
		return status;
	struct posta_router_config *config = load(run.settings.file, &error);
	if (!config)
		return CLI_FAILED;
	cli_block_signals(&run.signals, true);
	struct posta_system_options options = {
		.size = sizeof options,
		.workers = run.settings.workers,
		.log = run.settings.log,
		.log_level = run.settings.quiet ? POSTA_LOG_ERROR : (int)posta_log_level_from_environment(),
	};
	if (posta_system_start(&options, &run.system, &error)) {
		posta_router_config_free(config);
		return cli_fail("run", "%s", error.text);
	}
	run.router = posta_router_start(run.system, config, NULL, &error);
	if (run.router)
		return serve_and_sum_up(&run);
	posta_system_stop(run.system, STOP_MS, NULL);
	return cli_fail("run", "%s", error.text);
}

const struct cli_command cli_run = {
	.name = "run",
	.summary = "runs the routes of a file",
	.usage =
		"run [OPTION]... FILE\n"
		"Runs the routes of FILE until it is told to stop. A broker that is down is tried again for ever.\n\n"
		"  --until-idle TIME  ends when all brokers are connected and nothing has moved for TIME (5s, 500ms)\n"
		"  --drain TIME       at most this long for what is on its way when it ends; 10s\n"
		"  --workers N        threads; one a CPU\n"
		"  --log text|json    form of the log, on stderr; DEBUG=1 in the environment says more\n"
		"  -j, --json         the summary at the end as JSON, on stdout\n"
		"  -q, --quiet        errors only, no line of figures\n\n"
		"SIGTERM and SIGINT drain and end; a second one ends at once, and what is not finished stays at its\n"
		"broker. SIGHUP reads FILE again: new and changed routes start, removed ones drain, the others go on;\n"
		"a file with errors changes nothing.\n\n"
		"Exit status: 0 ended as asked, 1 a file with errors or a route that could not go on, 2 wrong usage.\n",
	.run = run_routes,
};
