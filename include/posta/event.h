/* SPDX-License-Identifier: MIT */
#ifndef POSTA_EVENT_H
#define POSTA_EVENT_H

/*
 * Events: CloudEvents with JSON data. Built by one thread, read-only once published or received; reference counted.
 * On the wire the body is the event itself, {"specversion", "id", "type", "source", "time", "datacontenttype", "data",
 * "timestamp"}: what JSON.parse(message.value) gives a Node service. Thread: any one at a time while it is built.
 */

#include <posta/envelope.h>
#include <posta/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define POSTA_EVENT_RESERVA_CREADA "reserva.creada"
#define POSTA_EVENT_RESERVA_ACTUALIZADA "reserva.actualizada"
#define POSTA_EVENT_RESERVA_CANCELADA "reserva.cancelada"
#define POSTA_EVENT_RESERVA_CONFIRMADA "reserva.confirmada"
#define POSTA_EVENT_HORARIO_CREADO "horario.creado"
#define POSTA_EVENT_HORARIO_ACTUALIZADO "horario.actualizado"
#define POSTA_EVENT_HORARIO_ELIMINADO "horario.eliminado"
#define POSTA_EVENT_USUARIO_REGISTRADO "usuario.registrado"
#define POSTA_EVENT_USUARIO_ACTUALIZADO "usuario.actualizado"
#define POSTA_EVENT_USUARIO_ELIMINADO "usuario.eliminado"

struct posta_event;

/*
 * id: a fresh UUID v7; time: now. data_json: any JSON value, copied; NULL: no data.
 * Returns: owned; NULL: out of memory, type empty or NULL, data_json no JSON.
 */
struct posta_event *posta_event_create(const char *type, const char *data_json, const char *source);
/* Returns: the same one. The last unref frees it; NULL is allowed there. Thread: any. */
struct posta_event *posta_event_ref(const struct posta_event *event);
void posta_event_unref(const struct posta_event *event);

/*
 * Setters copy; NULL removes. Errors: ENOMEM, ETOOBIG, ESTATE (published already), EINVAL (header's name is no
 * extension).
 */
enum posta_err posta_event_set_id(struct posta_event *event, const char *id);
enum posta_err posta_event_set_key(struct posta_event *event, const char *key);
enum posta_err posta_event_set_subject(struct posta_event *event, const char *subject);
enum posta_err posta_event_set_correlation_id(struct posta_event *event, const char *correlation_id);
enum posta_err posta_event_set_traceparent(struct posta_event *event, const char *traceparent);
enum posta_err posta_event_set_time(struct posta_event *event, int64_t time_ms);
/* A member beside the standard ones: lower-case letters and digits. Source: CloudEvents 1.0.2, "Naming Conventions". */
enum posta_err posta_event_set_header(struct posta_event *event, const char *name, const char *value);

/* Borrows: as long as the event. "" where absent. */
const char *posta_event_id(const struct posta_event *event);
const char *posta_event_type(const struct posta_event *event);
const char *posta_event_source(const struct posta_event *event);
const char *posta_event_subject(const struct posta_event *event);
const char *posta_event_correlation_id(const struct posta_event *event);
const char *posta_event_traceparent(const struct posta_event *event);
/* The explicit key, else the subject, else the id: what orders and partitions it. */
const char *posta_event_key(const struct posta_event *event);
/* NULL where there is none. */
const char *posta_event_header(const struct posta_event *event, const char *name);
/* Milliseconds since 1970. */
int64_t posta_event_time(const struct posta_event *event);
/* The data as JSON text, zero-terminated; "null" where there is none. *len may be NULL. */
const char *posta_event_data(const struct posta_event *event, size_t *len);
/*
 * One text of the data by path, "reservaId" or "cliente.nombre", copied to out (size bytes, with its zero).
 * Returns: out; NULL: there is none, it is no text, or out is too small.
 */
const char *posta_event_data_text(const struct posta_event *event, const char *path, char *out, size_t size);

/*
 * The form on the wire. Returns: owned, free(). A received event that was not changed gives back the very text that
 * came, unknown fields included.
 */
enum posta_err posta_event_to_json(const struct posta_event *event, char **json, size_t *len);
/*
 * Reads a CloudEvent or plain {"type", "data", ...}; what lacks specversion, id, time gets them. JSON without "type"
 * and "data" is the data of an event without a type. Errors: EFORMAT (no JSON; says where), ETOOBIG, ENOMEM.
 */
enum posta_err posta_event_from_json(const char *json, size_t len, struct posta_event **event,
				     struct posta_error *error);

#ifdef __cplusplus
}
#endif
#endif
