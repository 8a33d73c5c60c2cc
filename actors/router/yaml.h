/* SPDX-License-Identifier: MIT */
#ifndef POSTA_ACTORS_ROUTER_YAML_H
#define POSTA_ACTORS_ROUTER_YAML_H

/*
 * Reading a file of settings: findings with their place, memory that lives as long as the settings, texts with the
 * environment filled in, and mappings read by a table of keys. Only these files know libfyaml.
 */

#include <posta/router.h>

#include <libfyaml.h>

/* Zeroed is empty. Everything is freed at once. */
struct posta__arena {
	struct posta__chunk *chunks;
	bool no_memory; /* an allocation failed: what was read from it is not whole */
};

/* Returns: zeroed; NULL when out of memory. */
void *posta__arena_alloc(struct posta__arena *arena, size_t size);
char *posta__arena_text(struct posta__arena *arena, const char *text, size_t len);
void posta__arena_free(struct posta__arena *arena);

struct posta__reader {
	const char *file;
	struct posta__arena *arena;
	posta_diagnostic_fn *report;
	void *context;
	struct posta_error *error; /* the first error */
	unsigned errors;
	bool no_memory;
};

/* Where a finding is. */
struct posta__place {
	int line;
	int column;
};

struct posta__place posta__place(struct fy_node *node);
/* A finding; hint may be NULL. */
void posta__report(struct posta__reader *reader, struct posta__place place, bool warning, const char *hint,
		   const char *format, ...) __attribute__((format(printf, 5, 6)));
#define posta__wrong(reader, node, hint, ...) posta__report(reader, posta__place(node), false, hint, __VA_ARGS__)

/* The name of names (NULL-terminated) that is most like word, or NULL if none is. */
const char *posta__nearest(const char *word, const char *const *names);

/* What a value of a mapping is read by. key is zero-terminated; owner is the caller's. */
typedef void posta__read_fn(struct posta__reader *reader, const char *key, struct fy_node *key_node,
			    struct fy_node *value, void *owner);

struct posta__key {
	const char *name; /* NULL ends the table */
	posta__read_fn *read;
	const char *later; /* known, but not in this version: the words for it */
};

/* Reads a mapping; what is not in keys is an error with the nearest name. what: "a route", for the words. */
void posta__read_mapping(struct posta__reader *reader, struct fy_node *node, const char *what,
			 const struct posta__key *keys, void *owner);

/* Each returns whether it could be read; what is wrong was reported. Texts live in the arena. */
bool posta__read_text(struct posta__reader *reader, struct fy_node *node, const char **text);
bool posta__read_bool(struct posta__reader *reader, struct fy_node *node, bool *value);
bool posta__read_integer(struct posta__reader *reader, struct fy_node *node, long long min, long long max,
			 long long *value);
bool posta__read_number(struct posta__reader *reader, struct fy_node *node, double min, double max, double *value);
/* "500ms", "1s", "2m", "1h". */
bool posta__read_duration(struct posta__reader *reader, struct fy_node *node, uint64_t *ms);
/* One of names (NULL-terminated): its index. */
bool posta__read_choice(struct posta__reader *reader, struct fy_node *node, const char *const *names, int *index);

#endif
