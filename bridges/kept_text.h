/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BRIDGES_KEPT_TEXT_H
#define POSTA_BRIDGES_KEPT_TEXT_H

/* Texts that are kept in the block of what they belong to: measured all, then moved behind it one after the other. */

#include <stddef.h>
#include <string.h>

static inline size_t posta__kept_size(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

/* Copies *text to *at and moves both. NULL stays NULL. */
static inline void posta__kept_move(const char **text, char **at)
{
	size_t size = posta__kept_size(*text);
	if (!size)
		return;
	*text = memcpy(*at, *text, size);
	*at += size;
}

#define POSTA__KEPT_LIST_MAX 128u

/* Of a NULL-terminated list; what is beyond the bound is left out, in pairs. */
static inline size_t posta__kept_list_count(const char *const *list)
{
	size_t n = 0;
	while (list && list[n] && n < POSTA__KEPT_LIST_MAX)
		n++;
	return n & ~(size_t)1;
}

static inline size_t posta__kept_list_size(const char *const *list)
{
	size_t n = posta__kept_list_count(list), size = list ? (n + 1) * sizeof *list : 0;
	for (size_t i = 0; i < n; i++)
		size += posta__kept_size(list[i]);
	return (size + sizeof *list - 1) & ~(sizeof *list - 1);
}

/* As posta__kept_move, of a list and its texts; before all single texts: *at is aligned for pointers, and stays so. */
static inline void posta__kept_list_move(const char *const **list, char **at)
{
	size_t n = posta__kept_list_count(*list);
	if (!*list)
		return;
	const char **copy = (const char **)(void *)*at;
	char *texts = *at + (n + 1) * sizeof *copy;
	*at += posta__kept_list_size(*list);
	for (size_t i = 0; i < n; i++) {
		copy[i] = (*list)[i];
		posta__kept_move(&copy[i], &texts);
	}
	copy[n] = NULL;
	*list = copy;
}

#endif
