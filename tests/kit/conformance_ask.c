/* SPDX-License-Identifier: MIT */
/* Questions and replies, between an asker and a responder on bridges of their own. */
#include "conformance_world.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define PATIENT_MS 60000u /* of a question that is to be answered */

struct talk {
	struct posta_bridge *asking, *answering;
	struct kit_user *asker, *responder;
	struct kit_pair pair;
};

static bool talk(struct kit_world *world, struct talk *talk)
{
	talk->asking = kit_open(world, NULL);
	talk->answering = kit_open(world, NULL);
	talk->asker = kit_user(world);
	talk->responder = kit_user(world);
	talk->responder->acks = true;
	kit_pair(world, &talk->pair, true);
	return kit_subscribe(talk->responder, talk->answering, &talk->pair.source);
}

static bool is_reply(const struct kit_user *user, size_t at, uint64_t cookie, const char *text)
{
	struct posta_bytes body = { 0 };
	if (user->replies[at].envelope)
		body = posta_envelope_body(user->replies[at].envelope);
	return user->replies[at].result == POSTA_OK && user->replies[at].cookie == cookie &&
	       body.len == strlen(text) && memcmp(body.data, text, body.len) == 0;
}

static bool is_failure(const struct kit_user *user, size_t at, uint64_t cookie, enum posta_err result)
{
	return user->replies[at].cookie == cookie && user->replies[at].result == result && !user->replies[at].envelope;
}

static bool late_replies(struct kit_world *world, const struct talk *talk, uint64_t count)
{
	return kit_wait_status(world, talk->asking, offsetof(struct posta_bridge_status, late_replies), count) &&
	       kit_status(talk->asking).late_replies == count;
}

static void ask__answered__reply_comes_with_its_cookie(struct kit_world *world)
{
	struct talk t = { 0 };
	KIT_EXPECT(world, talk(world, &t));
	KIT_EXPECT(world, kit_ask(t.asker, t.asking, &t.pair.target, "question", PATIENT_MS, 7) == POSTA_OK);
	KIT_EXPECT(world, kit_wait(world, &t.responder->delivered, 1));
	const struct posta_envelope *question = t.responder->deliveries[0].envelope;
	KIT_EXPECT(world, *posta_envelope_text(question, POSTA_ATTR_REPLY_TO));
	KIT_EXPECT(world, *posta_envelope_text(question, POSTA_ATTR_CORRELATION_ID));
	KIT_EXPECT(world, kit_reply(t.responder, t.answering, 0, "answer") == POSTA_OK);
	KIT_EXPECT(world, kit_wait(world, &t.responder->confirmed, 1));
	KIT_EXPECT(world, kit_wait(world, &t.asker->replied, 1));
	KIT_EXPECT(world, is_reply(t.asker, 0, 7, "answer"));
	KIT_EXPECT(world, t.asker->answered == 0);
	KIT_EXPECT(world, kit_status(t.asking).late_replies == 0);
}

static void ask__answered_in_reverse__each_gets_its_own(struct kit_world *world)
{
	struct talk t = { 0 };
	char text[16];
	KIT_EXPECT(world, talk(world, &t));
	for (unsigned i = 0; i < 20; i++) {
		snprintf(text, sizeof text, "%u", i);
		KIT_EXPECT(world, kit_ask(t.asker, t.asking, &t.pair.target, text, PATIENT_MS, i) == POSTA_OK);
	}
	KIT_EXPECT(world, kit_wait(world, &t.responder->delivered, 20));
	for (unsigned i = 20; i-- > 0;) {
		snprintf(text, sizeof text, "%ld", kit_number(t.responder, i));
		KIT_EXPECT(world, kit_reply(t.responder, t.answering, i, text) == POSTA_OK);
	}
	KIT_EXPECT(world, kit_wait(world, &t.asker->replied, 20));
	for (unsigned i = 0; i < 20; i++) {
		snprintf(text, sizeof text, "%llu", (unsigned long long)t.asker->replies[i].cookie);
		KIT_EXPECT(world, is_reply(t.asker, i, t.asker->replies[i].cookie, text));
	}
	KIT_EXPECT(world, kit_number(t.responder, 0) == (long)t.asker->replies[19].cookie);
}

static void ask__nobody_answers__times_out(struct kit_world *world)
{
	struct talk t = { 0 };
	KIT_EXPECT(world, talk(world, &t));
	KIT_EXPECT(world, kit_ask(t.asker, t.asking, &t.pair.target, "question", 200, 1) == POSTA_OK);
	KIT_EXPECT(world, kit_wait(world, &t.asker->replied, 1));
	KIT_EXPECT(world, is_failure(t.asker, 0, 1, POSTA_ETIMEDOUT));
	kit_quiet(world, 50);
	KIT_EXPECT(world, t.asker->replied == 1);
}

static void ask__reply_is_late__is_counted_and_ignored(struct kit_world *world)
{
	struct talk t = { 0 };
	KIT_EXPECT(world, talk(world, &t));
	KIT_EXPECT(world, kit_ask(t.asker, t.asking, &t.pair.target, "one", 3000, 1) == POSTA_OK);
	KIT_EXPECT(world, kit_wait(world, &t.responder->delivered, 1));
	KIT_EXPECT(world, kit_wait(world, &t.asker->replied, 1));
	KIT_EXPECT(world, is_failure(t.asker, 0, 1, POSTA_ETIMEDOUT));
	KIT_EXPECT(world, kit_reply(t.responder, t.answering, 0, "late") == POSTA_OK);
	KIT_EXPECT(world, late_replies(world, &t, 1));
	KIT_EXPECT(world, kit_ask(t.asker, t.asking, &t.pair.target, "two", PATIENT_MS, 2) == POSTA_OK);
	KIT_EXPECT(world, kit_wait(world, &t.responder->delivered, 2));
	KIT_EXPECT(world, kit_reply(t.responder, t.answering, 1, "in time") == POSTA_OK);
	KIT_EXPECT(world, kit_wait(world, &t.asker->replied, 2));
	KIT_EXPECT(world, is_reply(t.asker, 1, 2, "in time"));
}

static void ask__answered_twice__one_reply_comes(struct kit_world *world)
{
	struct talk t = { 0 };
	KIT_EXPECT(world, talk(world, &t));
	KIT_EXPECT(world, kit_ask(t.asker, t.asking, &t.pair.target, "question", PATIENT_MS, 1) == POSTA_OK);
	KIT_EXPECT(world, kit_wait(world, &t.responder->delivered, 1));
	KIT_EXPECT(world, kit_reply(t.responder, t.answering, 0, "first") == POSTA_OK);
	KIT_EXPECT(world, kit_reply(t.responder, t.answering, 0, "second") == POSTA_OK);
	KIT_EXPECT(world, late_replies(world, &t, 1));
	KIT_EXPECT(world, t.asker->replied == 1);
	KIT_EXPECT(world, is_reply(t.asker, 0, 1, "first"));
}

static void ask__no_such_target__says_so(struct kit_world *world)
{
	struct kit_pair missing = { 0 };
	struct posta_bridge *bridge = kit_open(world, NULL);
	struct kit_user *user = kit_user(world);
	world->kit->no_such(&missing);
	KIT_EXPECT(world, kit_ask(user, bridge, &missing.target, "question", PATIENT_MS, 1) == POSTA_OK);
	KIT_EXPECT(world, kit_wait(world, &user->replied, 1));
	KIT_EXPECT(world, is_failure(user, 0, 1, POSTA_EREFUSED));
}

/* What was asked before may come again first. Returns: which delivery it is. */
static size_t question_of(struct kit_world *world, const struct kit_user *responder, long number)
{
	size_t at = 0;
	while (kit_wait(world, &responder->delivered, at + 1) && kit_number(responder, at) != number)
		at++;
	return at;
}

static void ask__broker_is_away__is_answered_when_it_is_back(struct kit_world *world)
{
	struct talk t = { 0 };
	char text[16];
	KIT_EXPECT(world, talk(world, &t));
	for (unsigned round = 1; round <= 2; round++) { /* the first time replies are not subscribed to yet */
		size_t subscribed = t.responder->subscribed;
		kit_down(world);
		KIT_EXPECT(world, kit_wait_state(world, t.asking, POSTA_BRIDGE_DOWN));
		KIT_EXPECT(world, kit_wait_state(world, t.answering, POSTA_BRIDGE_DOWN));
		snprintf(text, sizeof text, "%u", round);
		KIT_EXPECT(world, kit_ask(t.asker, t.asking, &t.pair.target, text, PATIENT_MS, round) == POSTA_OK);
		kit_up(world);
		KIT_EXPECT(world, kit_wait(world, &t.responder->subscribed, subscribed + 1));
		size_t question = question_of(world, t.responder, round);
		KIT_EXPECT(world, question < t.responder->delivered);
		KIT_EXPECT(world, kit_reply(t.responder, t.answering, question, "answer") == POSTA_OK);
		KIT_EXPECT(world, kit_wait(world, &t.asker->replied, round));
		KIT_EXPECT(world, is_reply(t.asker, round - 1, round, "answer"));
	}
}

static void ask__bridge_is_closed__tells_the_asker(struct kit_world *world)
{
	struct talk t = { 0 };
	KIT_EXPECT(world, talk(world, &t));
	KIT_EXPECT(world, kit_ask(t.asker, t.asking, &t.pair.target, "question", PATIENT_MS, 1) == POSTA_OK);
	KIT_EXPECT(world, kit_wait(world, &t.responder->delivered, 1));
	KIT_EXPECT(world, kit_close(world, t.asking, 2000));
	KIT_EXPECT(world, kit_wait(world, &t.asker->replied, 1));
	KIT_EXPECT(world, is_failure(t.asker, 0, 1, POSTA_ECLOSED));
	/* Nobody waits where the reply goes now, and that is no harm. */
	KIT_EXPECT(world, kit_reply(t.responder, t.answering, 0, "answer") == POSTA_OK);
	KIT_EXPECT(world, kit_wait(world, &t.responder->answered, 1));
}

static void ask__raw__is_an_error(struct kit_world *world)
{
	struct talk t = { 0 };
	KIT_EXPECT(world, talk(world, &t));
	t.pair.target.format = POSTA_FORMAT_RAW;
	KIT_EXPECT(world, kit_ask(t.asker, t.asking, &t.pair.target, "question", PATIENT_MS, 1) == POSTA_EINVAL);
	t.pair.target.format = POSTA_FORMAT_STRUCTURED;
	KIT_EXPECT(world, kit_ask(t.asker, t.asking, &t.pair.target, "question", PATIENT_MS, 1) == POSTA_OK);
	KIT_EXPECT(world, kit_wait(world, &t.responder->delivered, 1));
	KIT_EXPECT(world, kit_reply(t.responder, t.answering, 0, "answer") == POSTA_OK);
	KIT_EXPECT(world, kit_wait(world, &t.asker->replied, 1));
	KIT_EXPECT(world, is_reply(t.asker, 0, 1, "answer"));
}

/* Every bridge replies, also one that cannot ask. */
static void reply__request_names_no_place__is_an_error(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, true));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 1);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 1));
	KIT_EXPECT(world, kit_reply(flow.user, flow.bridge, 0, "answer") == POSTA_EINVAL);
}

#define BEHAVIOUR(needs, not_with, name) { #name, needs, not_with, name }

const struct kit_behaviour kit_ask_behaviours[] = {
	BEHAVIOUR(POSTA_CAN_ASK, 0, ask__answered__reply_comes_with_its_cookie),
	BEHAVIOUR(POSTA_CAN_ASK, 0, ask__answered_in_reverse__each_gets_its_own),
	BEHAVIOUR(POSTA_CAN_ASK, 0, ask__nobody_answers__times_out),
	BEHAVIOUR(POSTA_CAN_ASK, 0, ask__reply_is_late__is_counted_and_ignored),
	BEHAVIOUR(POSTA_CAN_ASK, 0, ask__answered_twice__one_reply_comes),
	BEHAVIOUR(POSTA_CAN_ASK, KIT_LACKS_BAD_TARGET, ask__no_such_target__says_so),
	BEHAVIOUR(POSTA_CAN_ASK, 0, ask__broker_is_away__is_answered_when_it_is_back),
	BEHAVIOUR(POSTA_CAN_ASK, 0, ask__bridge_is_closed__tells_the_asker),
	BEHAVIOUR(POSTA_CAN_ASK, 0, ask__raw__is_an_error),
	BEHAVIOUR(0, 0, reply__request_names_no_place__is_an_error),
	{ NULL, 0, 0, NULL },
};
