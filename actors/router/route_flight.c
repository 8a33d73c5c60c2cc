/* SPDX-License-Identifier: MIT */
/* Flights: from here on a message is out, waits, is tried again, or is given up. Failure is decided in fail(), only. */
#include "route.h"

#include <posta/log.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FULL_WAIT_MAX_MS 1000u
#define FLIGHTS_PER_CREDIT 4u

static void fail(struct posta__route *route, struct posta__flight *flight, enum posta_err reason, const char *words);
static void lane_moves(struct posta__route *route, struct posta__lane *lane);

enum posta_err posta__flights_init(struct posta__route *route)
{
	uint32_t credit = route->config->from.source.credit;
	if (route->lanes)
		return POSTA_OK; /* of before the restart */
	route->flight_max = (credit ? credit : POSTA__CREDIT_DEFAULT) * FLIGHTS_PER_CREDIT;
	route->flights = calloc(route->flight_max, sizeof *route->flights);
	route->free_places = malloc(route->flight_max * sizeof *route->free_places);
	route->lanes = calloc(POSTA__LANE_BUCKETS, sizeof(struct posta__lane *));
	if (!route->flights || !route->free_places || !route->lanes) {
		posta__flights_fini(route);
		return POSTA_ENOMEM;
	}
	for (uint32_t i = 0; i < route->flight_max; i++)
		route->free_places[i] = route->flight_max - 1 - i;
	return POSTA_OK;
}

static void release(struct posta__route *route, struct posta__flight *flight)
{
	route->stale -= route->stale && flight->token.generation != route->generation;
	posta_envelope_unref(flight->envelope);
	free(flight->words);
	flight->envelope = NULL;
	flight->words = NULL;
	flight->phase = POSTA__FLIGHT_FREE;
	flight->serial++;
	route->in_flight--;
	route->free_places[route->flight_max - 1 - route->in_flight] = (uint32_t)(flight - route->flights);
	posta__route_count(&route->counters.in_flight, -1);
}

void posta__flights_fini(struct posta__route *route)
{
	for (uint32_t i = 0; route->flights && i < route->flight_max; i++) {
		if (route->flights[i].phase == POSTA__FLIGHT_FREE)
			continue;
		posta__lane_leave(route, &route->flights[i]);
		release(route, &route->flights[i]);
	}
	free(route->flights);
	free(route->free_places);
	free(route->lanes);
	free(route->scratch);
	route->flights = NULL;
	route->free_places = NULL;
	route->lanes = NULL;
	route->scratch = NULL;
	route->scratch_room = 0;
}

static void end(struct posta__route *route, struct posta__flight *flight, enum posta_outcome outcome)
{
	struct posta__lane *lane = posta__lane_leave(route, flight);
	posta_settle(route->self, flight->token, outcome);
	release(route, flight);
	if (lane)
		lane_moves(route, lane);
}

static uint64_t cookie_of(const struct posta__route *route, const struct posta__flight *flight, uint32_t target)
{
	return (uint64_t)flight->serial << 32 | (uint64_t)(flight - route->flights) << 8 | target;
}

static struct posta__flight *flight_of(struct posta__route *route, uint64_t cookie)
{
	uint32_t place = (uint32_t)cookie >> 8;
	if (place >= route->flight_max || route->flights[place].serial != cookie >> 32)
		return NULL;
	return route->flights[place].phase == POSTA__FLIGHT_FREE ? NULL : &route->flights[place];
}

/* A target with a key of its own gets a copy with that key; the body is shared. */
static enum posta_err publish(struct posta__route *route, const struct posta__flight *flight,
			      const struct posta__outlet *outlet, uint64_t cookie, struct posta_error *error)
{
	struct posta_envelope *envelope = posta_envelope_ref(flight->envelope);
	enum posta_err err = POSTA_OK;
	size_t len;
	if (outlet->key) {
		err = posta__template_fill(outlet->key, envelope, &route->scratch, &route->scratch_room, &len, error);
		if (!err)
			err = posta_envelope_edit(&envelope);
		if (!err)
			err = posta_envelope_set(envelope, POSTA_ATTR_KEY, len ? route->scratch : NULL, len);
	}
	if (!err)
		err = posta_bridge_publish_to(route->self, outlet->bridge, outlet->target, envelope, cookie);
	posta_envelope_unref(envelope);
	if (err && error->code != err)
		posta_error_set(error, err, "%s", posta_strerror(err));
	return err;
}

static void keep_words(struct posta__flight *flight, enum posta_err reason, const char *words)
{
	flight->reason = reason;
	free(flight->words);
	flight->words = strdup(words && *words ? words : posta_strerror(reason));
}

static void leave(struct posta__route *route, struct posta__flight *flight)
{
	struct posta_error error = { POSTA_OK, false, "" };
	enum posta_err err = POSTA_OK;
	flight->phase = POSTA__FLIGHT_OUT;
	flight->attempts++;
	for (uint32_t i = 0; i < route->config->to_count; i++) {
		if (flight->confirmed & 1u << i)
			continue;
		enum posta_err one = publish(route, flight, &route->outlets[i], cookie_of(route, flight, i), &error);
		if (one)
			keep_words(flight, err = one, error.text);
		else
			flight->waiting |= 1u << i;
	}
	if (err && !flight->waiting)
		fail(route, flight, err, error.text);
}

static bool strict(const struct posta__route *route)
{
	return route->config->attempts > 1;
}

/* The next one that may go; after: the last one that went and is still there, or NULL. */
static struct posta__flight *next_to_go(const struct posta__route *route, const struct posta__lane *lane,
					const struct posta__flight *after)
{
	if (strict(route))
		return lane->first && lane->first->phase == POSTA__FLIGHT_HELD ? lane->first : NULL;
	struct posta__flight *flight = after ? after->lane_next : lane->first;
	while (flight && flight->phase != POSTA__FLIGHT_HELD)
		flight = flight->lane_next;
	return lane->retrying ? NULL : flight;
}

/* One that goes may end at once and lead back here: the outer call goes on for it. */
static void lane_moves(struct posta__route *route, struct posta__lane *lane)
{
	struct posta__flight *flight;
	struct posta__flight *after = NULL;
	if (lane->moving)
		return;
	lane->moving = true;
	while ((flight = next_to_go(route, lane, after))) {
		leave(route, flight);
		after = flight->phase == POSTA__FLIGHT_OUT ? flight : NULL;
	}
	lane->moving = false;
	posta__lane_prune(route, lane);
}

static void depart(struct posta__route *route, struct posta__flight *flight)
{
	const struct posta__lane *lane = flight->lane;
	if (!lane || (strict(route) ? lane->first == flight : !lane->retrying))
		leave(route, flight);
}

/* -- Waiting */

static void wake_in(struct posta__route *route, const struct posta__flight *flight, uint64_t ms)
{
	uint64_t cookie = cookie_of(route, flight, 0);
	if (!posta_send_after(route->self, ms, posta_self(route->self), POSTA__ROUTE_RETRY, &cookie, sizeof cookie))
		posta_send(route->self, posta_self(route->self), POSTA__ROUTE_RETRY, &cookie, sizeof cookie);
}

static void wait_a_while(struct posta__route *route, struct posta__flight *flight, uint64_t ms)
{
	if (flight->lane)
		flight->lane->retrying++;
	flight->phase = POSTA__FLIGHT_RETRY;
	flight->wait_ms = ms;
	posta__route_count(&route->counters.retried, 1);
	wake_in(route, flight, ms);
}

static bool no_room(enum posta_err reason)
{
	return reason == POSTA_EFULL || reason == POSTA_ENOMEM;
}

void posta__flights_resume(struct posta__route *route)
{
	for (uint32_t i = 0; i < route->flight_max; i++)
		if (route->flights[i].phase == POSTA__FLIGHT_RETRY)
			wake_in(route, &route->flights[i], route->flights[i].wait_ms);
}

/* No room is no failure of the message: it waits, as long as it takes. */
static void wait_for_room(struct posta__route *route, struct posta__flight *flight)
{
	uint64_t ms = flight->wait_ms ? 2 * flight->wait_ms : 10;
	wait_a_while(route, flight, ms < FULL_WAIT_MAX_MS ? ms : FULL_WAIT_MAX_MS);
}

/* -- Giving up */

static void tell(struct posta__route *route, const struct posta__flight *flight, bool kept)
{
	struct posta_route_letter letter = { route->config->name, flight->envelope,
					     flight->reason,      flight->words ? flight->words : "",
					     flight->attempts,    kept };
	posta__route_count(&route->counters.dead_lettered, 1);
	posta__route_error(route, letter.text);
	posta_log(route->system, POSTA_LOG_WARNING, "route.dead_letter",
		  "route=%s id=%s reason=%s attempts=%u kept=%s error=\"%s\"", route->config->name,
		  posta_envelope_text(flight->envelope, POSTA_ATTR_ID), posta_err_name(flight->reason),
		  flight->attempts, kept ? "yes" : "no", letter.text);
	if (route->options->dead_letter)
		route->options->dead_letter(route->options->dead_letter_context, &letter);
}

static enum posta_err describe(const struct posta__route *route, struct posta__flight *flight)
{
	char attempts[16];
	const char *const headers[][2] = {
		{ "posta-route", route->config->name },
		{ "posta-reason", posta_err_name(flight->reason) },
		{ "posta-error", flight->words ? flight->words : "" },
		{ "posta-attempts", attempts },
	};
	snprintf(attempts, sizeof attempts, "%u", flight->attempts);
	enum posta_err err = posta_envelope_edit(&flight->envelope);
	for (size_t i = 0; i < sizeof headers / sizeof headers[0] && !err; i++)
		err = posta_envelope_put_header(flight->envelope, headers[i][0], headers[i][1], strlen(headers[i][1]));
	return err;
}

static void dead_failed(struct posta__route *route, struct posta__flight *flight, enum posta_err reason,
			const char *words)
{
	if (reason == POSTA_ECLOSED || reason == POSTA_EDEAD) {
		end(route, flight, POSTA_REQUEUE);
	} else if (no_room(reason)) {
		wait_for_room(route, flight);
	} else {
		posta_log(route->system, POSTA_LOG_ERROR, "route.dead_letter_refused", "route=%s error=\"%s\"",
			  route->config->name, words);
		tell(route, flight, false);
		end(route, flight, POSTA_REJECT);
	}
}

static void send_dead(struct posta__route *route, struct posta__flight *flight)
{
	struct posta_error error = { POSTA_OK, false, "" };
	flight->phase = POSTA__FLIGHT_DEAD;
	enum posta_err err = describe(route, flight);
	if (!err || err == POSTA_ETOOBIG) /* what has no room for our words goes without them */
		err = publish(route, flight, &route->dead_letter, cookie_of(route, flight, POSTA__DEAD_TARGET), &error);
	if (err)
		dead_failed(route, flight, err, error.text);
}

static void give_up(struct posta__route *route, struct posta__flight *flight)
{
	if (route->dead_letter.bridge) {
		flight->dead = true;
		flight->wait_ms = 0;
		send_dead(route, flight);
		return;
	}
	tell(route, flight, false);
	end(route, flight, POSTA_REJECT);
}

static void dead_answer(struct posta__route *route, struct posta__flight *flight,
			const struct posta_published *published)
{
	if (published->result) {
		dead_failed(route, flight, published->result, published->text);
		return;
	}
	tell(route, flight, true);
	end(route, flight, POSTA_ACK);
}

/* -- Failing */

static bool permanent(enum posta_err reason)
{
	return reason == POSTA_ETOOBIG || reason == POSTA_EFORMAT || reason == POSTA_EEXPIRED ||
	       reason == POSTA_EINVAL || reason == POSTA_EUNSUPPORTED;
}

/* A bridge that closes ends the route's work: the message goes back to its source. */
static void fail(struct posta__route *route, struct posta__flight *flight, enum posta_err reason, const char *words)
{
	keep_words(flight, reason, words);
	if (reason == POSTA_ECLOSED || reason == POSTA_EDEAD) {
		end(route, flight, POSTA_REQUEUE);
	} else if (no_room(reason)) {
		flight->attempts--;
		wait_for_room(route, flight);
	} else if (!permanent(reason) && flight->attempts < route->config->attempts) {
		wait_a_while(route, flight,
			     posta_backoff_delay_ms(&route->config->backoff, flight->attempts - 1, flight->wait_ms,
						    posta_random(route->self)));
	} else {
		give_up(route, flight);
	}
}

/* -- What calls in */

/* The order of a message without a key is that of the first target's. */
static struct posta_bytes key_of(struct posta__route *route, struct posta_envelope *envelope)
{
	struct posta_bytes key = posta_envelope_get(envelope, POSTA_ATTR_KEY);
	struct posta_error error;
	size_t len;
	if (key.data || !route->outlets[0].key)
		return key;
	if (posta__template_fill(route->outlets[0].key, envelope, &route->scratch, &route->scratch_room, &len, &error))
		return key;
	return (struct posta_bytes){ route->scratch, len };
}

bool posta__flight_begin(struct posta__route *route, struct posta_envelope *envelope, struct posta_token token,
			 enum posta_err broken, const char *words)
{
	if (route->in_flight == route->flight_max) {
		posta_envelope_unref(envelope);
		return false;
	}
	struct posta__flight *flight = &route->flights[route->free_places[route->flight_max - 1 - route->in_flight]];
	uint32_t serial = flight->serial;
	memset(flight, 0, sizeof *flight);
	flight->serial = serial;
	flight->envelope = envelope;
	flight->token = token;
	flight->phase = POSTA__FLIGHT_HELD;
	route->in_flight++;
	posta__route_count(&route->counters.in_flight, 1);
	if (broken) {
		keep_words(flight, broken, words);
		give_up(route, flight);
		return true;
	}
	if (!posta__lane_join(route, flight, key_of(route, envelope))) {
		release(route, flight);
		return false;
	}
	depart(route, flight);
	return true;
}

static bool same_bytes(struct posta_bytes a, struct posta_bytes b)
{
	return a.len == b.len && (!a.len || memcmp(a.data, b.data, a.len) == 0);
}

bool posta__flight_adopt(struct posta__route *route, const struct posta_envelope *envelope, struct posta_token token)
{
	struct posta_bytes id = posta_envelope_get(envelope, POSTA_ATTR_ID);
	struct posta_bytes source = posta_envelope_get(envelope, POSTA_ATTR_SOURCE);
	if (!id.len || !route->stale)
		return false;
	for (uint32_t i = 0; i < route->flight_max; i++) {
		struct posta__flight *flight = &route->flights[i];
		if (flight->phase == POSTA__FLIGHT_FREE || flight->token.generation == token.generation ||
		    !same_bytes(id, posta_envelope_get(flight->envelope, POSTA_ATTR_ID)) ||
		    !same_bytes(source, posta_envelope_get(flight->envelope, POSTA_ATTR_SOURCE)))
			continue;
		flight->token = token;
		route->stale--;
		return true;
	}
	return false;
}

void posta__flights_stale(struct posta__route *route)
{
	route->stale = route->in_flight;
	for (uint32_t i = 0; i < route->flight_max; i++) {
		struct posta__flight *flight = &route->flights[i];
		if (flight->phase != POSTA__FLIGHT_HELD)
			continue;
		posta__lane_leave(route, flight);
		release(route, flight);
	}
}

void posta__flight_answer(struct posta__route *route, const struct posta_published *published)
{
	struct posta__flight *flight = flight_of(route, published->cookie);
	uint32_t target = (uint32_t)published->cookie & 0xFF;
	if (!flight)
		return;
	if (target == POSTA__DEAD_TARGET) {
		dead_answer(route, flight, published);
		return;
	}
	flight->waiting &= ~(1u << target);
	if (published->result == POSTA_OK) {
		flight->confirmed |= 1u << target;
		posta__route_count(&route->counters.sent, 1);
	} else {
		keep_words(flight, published->result, published->text);
	}
	if (flight->waiting)
		return;
	if (flight->confirmed == (uint32_t)((UINT64_C(1) << route->config->to_count) - 1)) {
		end(route, flight, POSTA_ACK);
		return;
	}
	char words[POSTA_ERROR_TEXT_MAX];
	snprintf(words, sizeof words, "%s", flight->words ? flight->words : "");
	fail(route, flight, flight->reason, words);
}

void posta__flight_retry(struct posta__route *route, uint64_t cookie)
{
	struct posta__flight *flight = flight_of(route, cookie);
	if (!flight || flight->phase != POSTA__FLIGHT_RETRY)
		return;
	struct posta__lane *lane = flight->lane;
	if (lane)
		lane->retrying--;
	if (flight->dead) {
		send_dead(route, flight);
		return;
	}
	leave(route, flight);
	if (lane && flight->phase == POSTA__FLIGHT_OUT && flight->lane == lane)
		lane_moves(route, lane);
}
