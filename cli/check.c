/* SPDX-License-Identifier: MIT */
#include "command.h"
#include "findings.h"

#include <getopt.h>

static int run(int argc, char **argv)
{
	static const struct option options[] = { { NULL, 0, NULL, 0 } };
	struct posta_error error = { POSTA_OK, false, "" };
	struct cli_findings findings = { .out = stdout };
	if (getopt_long(argc, argv, "", options, NULL) != -1)
		return cli_usage_error("check", "unknown option");
	if (optind + 1 != argc)
		return cli_usage_error("check", "one FILE is needed");
	struct posta_router_config *config = posta_router_config_load(argv[optind], cli_finding, &findings, &error);
	if (!config && !findings.errors)
		return cli_fail("check", "%s", error.text);
	if (!config)
		return CLI_FAILED;
	printf("%s: ok, %zu routes, %zu brokers\n", argv[optind], posta_router_config_routes(config),
	       posta_router_config_brokers(config));
	posta_router_config_free(config);
	return CLI_OK;
}

const struct cli_command cli_check = {
	.name = "check",
	.summary = "checks a file of routes",
	.usage = "check FILE\n"
		 "Checks a file of routes, without any broker. Each finding is a line FILE:LINE:COL: error: ... or\n"
		 "warning: ..., with a hint behind it where there is one; all of them in one pass. ${VAR} and\n"
		 "${VAR:-default} are taken from the environment, as posta run does it.\n\n"
		 "Exit status: 0 no errors (there may be warnings), 1 errors, 2 wrong usage.\n",
	.run = run,
};
