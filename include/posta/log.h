/* SPDX-License-Identifier: MIT */
#ifndef POSTA_LOG_H
#define POSTA_LOG_H

/*
 * Log records: a stable event name and key=value pairs. The library writes nothing by itself: without a hook
 * records go nowhere. posta_log_text is a ready-made hook.
 */

#include <posta/system.h>

#ifdef __cplusplus
extern "C" {
#endif

enum posta_log_level { POSTA_LOG_ERROR, POSTA_LOG_WARNING, POSTA_LOG_INFO, POSTA_LOG_DEBUG };

/*
 * What options.log is given: level is an enum posta_log_level; event: "bridge.down"; text: "name=bus error=...",
 * one line without control characters, both borrowed for the call. Called from any worker (and the watchdog), possibly
 * from several at once. Must not call back into the system.
 */
typedef void posta_log_fn(void *context, int level, const char *event, const char *text);

/* Formats and hands over; costs one comparison when the level is off. */
void posta_log(struct posta_system *system, enum posta_log_level level, const char *event, const char *format, ...)
#if defined(__GNUC__)
	__attribute__((format(printf, 4, 5)))
#endif
	;

/* Hooks; file is a FILE * (NULL: stderr). One line a record; _json: one JSON object a line. Thread: any. */
void posta_log_text(void *file, int level, const char *event, const char *text);
void posta_log_json(void *file, int level, const char *event, const char *text);
/* DEBUG as the environment has it: unset, "", "0", "false", "off", "no" mean INFO, all else DEBUG. */
enum posta_log_level posta_log_level_from_environment(void);

#ifdef __cplusplus
}
#endif
#endif
