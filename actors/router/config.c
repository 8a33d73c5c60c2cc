/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX (4u << 20)

static void read_already(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
			 void *owner)
{
}

static const struct posta__key top_keys[] = {
	{ "brokers", read_already, NULL },
	{ "routes", posta__read_routes, NULL },
	{ "store", NULL, "routes pass messages through at least once, without a disk" },
	{ "control", NULL, "use posta run --json and signals" },
	{ "http", NULL, "use posta run --json" },
	{ "tests", NULL, "test a route with memory: brokers" },
	{ NULL, NULL, NULL },
};

/* Routes name brokers, so these are read first, wherever they stand. */
static void read_top(struct posta__reader *reader, struct fy_node *root)
{
	struct posta_router_config *config = posta__config_of(reader);
	struct fy_node *node = NULL;
	if (fy_node_is_mapping(root))
		node = fy_node_mapping_lookup_by_string(root, "brokers", FY_NT);
	if (node)
		posta__read_brokers(reader, "brokers", node, node, NULL);
	posta__read_mapping(reader, root, "the file", top_keys, NULL);
	if (!config->route_count && !reader->errors)
		posta__wrong(reader, root, "routes: is a list of { name, from, to }", "the file has no routes");
}

static void report_syntax(struct posta__reader *reader, struct fy_diag *diag)
{
	void *at = NULL;
	struct fy_diag_error *found = fy_diag_errors_iterate(diag, &at);
	struct posta__place place = { found->line > 0 ? found->line : 1, found->column > 0 ? found->column : 1 };
	posta__report(reader, place, false, NULL, "%s", found->msg);
}

static void read_document(struct posta__reader *reader, const char *text, size_t len)
{
	struct fy_diag_cfg diag_cfg;
	fy_diag_cfg_default(&diag_cfg);
	diag_cfg.fp = NULL;
	diag_cfg.output_fn = NULL;
	struct fy_diag *diag = fy_diag_create(&diag_cfg);
	if (!diag) {
		reader->no_memory = true;
		return;
	}
	fy_diag_set_collect_errors(diag, true);
	struct fy_parse_cfg parse_cfg = { .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG, .diag = diag };
	struct fy_document *document = fy_document_build_from_string(&parse_cfg, text, len);
	struct fy_node *root = document ? fy_document_root(document) : NULL;
	void *at = NULL;
	bool broken = !document && fy_diag_errors_iterate(diag, &at);
	if (broken)
		report_syntax(reader, diag);
	else if (!root)
		posta__report(reader, (struct posta__place){ 1, 1 }, false,
			      "it needs brokers: and routes:", "the file is empty");
	else
		read_top(reader, root);
	if (root && !reader->errors && !reader->no_memory && !reader->arena->no_memory)
		posta__config_check(reader);
	fy_document_destroy(document);
	fy_diag_destroy(diag);
}

/* Directives (%YAML, %TAG) mean nothing here, and libfyaml 0.7 never comes back from some broken ones. */
static bool has_directive(struct posta__reader *reader, const char *text, size_t len)
{
	int line = 1;
	for (size_t i = 0; i < len; i++) {
		bool begins = i == 0 || text[i - 1] == '\n' || text[i - 1] == '\r';
		line += i > 0 && text[i - 1] == '\n';
		if (!begins || text[i] != '%')
			continue;
		posta__report(reader, (struct posta__place){ line, 1 }, false, "quote the text that begins with it",
			      "a line may not begin with %%");
		return true;
	}
	return false;
}

struct posta_router_config *posta_router_config_parse(const char *text, size_t len, const char *file,
						      posta_diagnostic_fn *report, void *context,
						      struct posta_error *error)
{
	struct posta_router_config *config = calloc(1, sizeof *config);
	if (!config) {
		posta_error_set(error, POSTA_ENOMEM, "out of memory");
		return NULL;
	}
	struct posta__loader loader = { .config = config };
	loader.reader = (struct posta__reader){
		.file = file,
		.arena = &config->arena,
		.report = report,
		.context = context,
		.error = error,
	};
	if (!has_directive(&loader.reader, text, len))
		read_document(&loader.reader, text, len);
	bool no_memory = loader.reader.no_memory || config->arena.no_memory;
	if (no_memory) /* whatever else seemed to be wrong */
		posta_error_set(error, POSTA_ENOMEM, "out of memory");
	if (!no_memory && !loader.reader.errors)
		return config;
	posta_router_config_free(config);
	return NULL;
}

static char *read_all(FILE *file, size_t *len)
{
	char *text = malloc(FILE_BYTES_MAX + 1);
	if (!text)
		return NULL;
	*len = fread(text, 1, FILE_BYTES_MAX + 1, file);
	if (ferror(file) || *len > FILE_BYTES_MAX) {
		errno = ferror(file) ? errno : EFBIG;
		free(text);
		return NULL;
	}
	return text;
}

struct posta_router_config *posta_router_config_load(const char *file, posta_diagnostic_fn *report, void *context,
						     struct posta_error *error)
{
	struct posta_error why = { 0 };
	size_t len = 0;
	FILE *in = fopen(file, "re");
	char *text = in ? read_all(in, &len) : NULL;
	if (!text)
		posta_error_set(&why, POSTA_EIO, "%s: %s", file, strerror(errno));
	if (in)
		fclose(in);
	if (text) {
		struct posta_router_config *config = posta_router_config_parse(text, len, file, report, context, error);
		free(text);
		return config;
	}
	if (error)
		*error = why;
	return NULL;
}

static void free_step(struct posta__step *step)
{
	posta__expression_free(step->filter);
	for (struct posta__change *change = step->changes; change; change = change->next)
		posta__template_free(change->value);
}

void posta_router_config_free(struct posta_router_config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->route_count; i++) {
		struct posta__route_config *route = &config->routes[i];
		for (size_t j = 0; j < route->step_count; j++)
			free_step(&route->steps[j]);
		for (size_t j = 0; j < route->to_count; j++)
			posta__template_free(route->to[j].key);
		posta__template_free(route->dead_letter.key);
	}
	posta__arena_free(&config->arena);
	free(config);
}

size_t posta_router_config_routes(const struct posta_router_config *config)
{
	return config->route_count;
}

size_t posta_router_config_brokers(const struct posta_router_config *config)
{
	return config->broker_count;
}
