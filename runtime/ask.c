/* SPDX-License-Identifier: MIT */
#include "runtime/ask.h"
#include "runtime/block.h"
#include "runtime/cold.h"
#include "runtime/mailbox.h"

#include <posta/log.h>

#include <string.h>

#define TIMEOUT_DEFAULT_MS 5000u
#define NS_PER_MS UINT64_C(1000000)
#define QUESTIONS_FIRST 8u
#define QUESTIONS_MAX (1u << 20)

/* Types of replies made by the runtime itself. */
#define REPLY_TIMEOUT ((uint32_t)POSTA_MSG_SYSTEM_FIRST_ + 100)
#define REPLY_DEAD ((uint32_t)POSTA_MSG_SYSTEM_FIRST_ + 101)

/*
 * The questions of an actor: a table of a power of two, at most half full, in which a question's place is its number. A
 * number whose place is taken is passed over: so a reply finds its question at one look, however many wait.
 */
static struct posta__question *place_of(const struct posta__list *questions, uint32_t id)
{
	return (struct posta__question *)questions->items + (id & (questions->room - 1));
}

static struct posta__question *find(const struct posta__cold *cold, uint32_t id)
{
	struct posta__question *question = cold && cold->questions.room ? place_of(&cold->questions, id) : NULL;
	return question && question->id == id ? question : NULL;
}

static bool grow(struct posta_actor *self, struct posta__list *questions)
{
	struct posta__list grown = { .room = questions->room ? 2 * questions->room : QUESTIONS_FIRST };
	grown.items = posta__zalloc(posta__worker(self)->system, grown.room * sizeof(struct posta__question));
	if (!grown.items)
		return false;
	grown.count = questions->count;
	const struct posta__question *old = questions->items;
	for (uint32_t i = 0; i < questions->room; i++)
		if (old[i].id)
			*place_of(&grown, old[i].id) = old[i];
	posta__list_free(self, questions, sizeof *old);
	*questions = grown;
	return true;
}

static uint32_t next_id(struct posta__cold *cold)
{
	do
		++cold->next_question;
	while (!cold->next_question || place_of(&cold->questions, cold->next_question)->id);
	return cold->next_question;
}

static posta_timer arm_timeout(struct posta_actor *self, uint32_t id, uint64_t timeout_ms)
{
	struct posta_message *message = posta_message_new(self, REPLY_TIMEOUT, 0);
	if (!message)
		return 0;
	message->ask_ = id;
	message->bits_ |= POSTA__BIT_REPLY;
	uint64_t ms_max = UINT64_MAX / NS_PER_MS;
	return posta__timer_arm(self, (timeout_ms < ms_max ? timeout_ms : ms_max) * NS_PER_MS, 0, posta__self(self),
				message);
}

static struct posta__question *question_add(struct posta_actor *self, uint64_t timeout_ms)
{
	struct posta__cold *cold = posta__cold_get(self);
	if (!cold || cold->questions.count >= QUESTIONS_MAX)
		return NULL;
	if (2 * cold->questions.count >= cold->questions.room && !grow(self, &cold->questions))
		return NULL;
	uint32_t id = next_id(cold);
	posta_timer timer = arm_timeout(self, id, timeout_ms ? timeout_ms : TIMEOUT_DEFAULT_MS);
	if (!timer)
		return NULL;
	cold->questions.count++;
	struct posta__question *question = place_of(&cold->questions, id);
	*question = (struct posta__question){ .id = id, .timer = timer };
	return question;
}

static void question_remove(struct posta_actor *self, struct posta__question *question)
{
	question->id = 0;
	self->cold->questions.count--;
}

enum posta_err posta__ask(struct posta_actor *self, posta_ref to, uint32_t type, const void *data, size_t size,
			  uint64_t timeout_ms, posta_reply_fn *on_reply, void *context, void (*forget)(void *context))
{
	if (!on_reply || size > POSTA_COPY_MAX)
		return POSTA_EINVAL;
	struct posta__worker *worker = posta__worker(self);
	struct posta_message *message = posta__message_copy(worker, worker->system, type, data, size);
	struct posta__question *question = message ? question_add(self, timeout_ms) : NULL;
	if (!question) {
		posta_message_free(self, message);
		return POSTA_ENOMEM;
	}
	question->on_reply = on_reply;
	question->context = context;
	question->forget = forget;
	uint32_t id = question->id;
	posta_timer timer = question->timer;
	message->sender = posta__self(self);
	message->ask_ = id;
	enum posta_err result = posta__post(worker, to, message);
	question = result ? find(self->cold, id) : NULL;
	if (question) {
		posta_cancel(self, timer);
		question_remove(self, question);
	}
	return result;
}

enum posta_err posta_ask(struct posta_actor *self, posta_ref to, uint32_t type, const void *data, size_t size,
			 uint64_t timeout_ms, posta_reply_fn *on_reply, void *context)
{
	return posta__ask(self, to, type, data, size, timeout_ms, on_reply, context, NULL);
}

static enum posta_err status_of(const struct posta_message *reply)
{
	if (reply->type == REPLY_TIMEOUT)
		return POSTA_ETIMEDOUT;
	return reply->type == REPLY_DEAD ? POSTA_EDEAD : POSTA_OK;
}

enum posta_err posta__ask_answer(struct posta__worker *worker, struct posta_actor *actor, struct posta_message *reply)
{
	struct posta__question *found = find(actor->cold, reply->ask_);
	if (!found) {
		/*
		 * Our own time-out crosses the reply, our own "dead" the error that posta_ask returned: neither is a
		 * late reply.
		 */
		posta__count(&worker->counters.late_replies, status_of(reply) == POSTA_OK);
		return POSTA_OK;
	}
	struct posta__question question = *found;
	question_remove(actor, found);
	posta_cancel(actor, question.timer); /* false when it is the timer itself that speaks */
	enum posta_err status = status_of(reply);
	return question.on_reply(actor, actor->state, status, status ? NULL : reply, question.context);
}

void posta__ask_drop(struct posta_actor *actor)
{
	struct posta__question *questions = actor->cold->questions.items;
	for (uint32_t i = 0; i < actor->cold->questions.room; i++) {
		if (questions[i].id && questions[i].forget)
			questions[i].forget(questions[i].context);
		questions[i].id = 0;
	}
	actor->cold->questions.count = 0;
}

void posta__ask_dead(struct posta_system *system, struct posta__worker *worker, const struct posta_message *question)
{
	struct posta_message *reply = posta__message_copy(worker, system, REPLY_DEAD, NULL, 0);
	if (!reply)
		return; /* the asker's time-out tells it */
	reply->ask_ = question->ask_;
	reply->bits_ |= POSTA__BIT_REPLY;
	posta__send_any(system, worker, question->sender, reply);
}

/* -- Replies -- */

struct posta_caller posta_caller(const struct posta_message *message)
{
	return (struct posta_caller){ .ref = message->sender, .ask = message->ask_ };
}

enum posta_err posta__reply_with(struct posta_actor *self, struct posta_caller caller, struct posta_message *reply)
{
	if (!reply)
		return POSTA_ENOMEM;
	reply->sender = posta__self(self);
	reply->ask_ = caller.ask;
	if (caller.ask)
		reply->bits_ |= POSTA__BIT_REPLY;
	return posta__post(posta__worker(self), caller.ref, reply);
}

enum posta_err posta_reply_to(struct posta_actor *self, struct posta_caller caller, uint32_t type, const void *data,
			      size_t size)
{
	if (size > POSTA_COPY_MAX)
		return POSTA_EINVAL;
	struct posta__worker *worker = posta__worker(self);
	struct posta_message *reply = posta__message_copy(worker, worker->system, type, data, size);
	return posta__reply_with(self, caller, reply ? reply : posta__message_spare(worker->system, type, data, size));
}

void posta__reply_sure(struct posta_actor *self, struct posta_caller caller, uint32_t type, const void *data,
		       size_t size)
{
	struct posta__worker *worker = posta__worker(self);
	posta__reply_with(self, caller, posta__message_sure(worker, worker->system, type, data, size));
}

enum posta_err posta_reply(struct posta_actor *self, uint32_t type, const void *data, size_t size)
{
	const struct posta_message *message = posta__worker(self)->current;
	return message ? posta_reply_to(self, posta_caller(message), type, data, size) : POSTA_ESTATE;
}

/* -- A thread that is none of ours asks: a short-lived actor asks for it -- */

struct blocking {
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool finished;
	posta_ref to;
	uint32_t type;
	const void *data;
	size_t size;
	uint64_t timeout_ms;
	enum posta_err result;
	uint32_t reply_type;
	void *reply;
	size_t reply_room, reply_size;
};

static void finish(struct blocking *blocking, enum posta_err result)
{
	pthread_mutex_lock(&blocking->lock);
	if (!blocking->finished) {
		blocking->finished = true;
		blocking->result = result;
		pthread_cond_signal(&blocking->done);
	}
	pthread_mutex_unlock(&blocking->lock);
}

static enum posta_err on_answer(struct posta_actor *self, void *state, enum posta_err status,
				struct posta_message *reply, void *context)
{
	struct blocking *blocking = context;
	(void)state;
	if (status == POSTA_OK) {
		size_t size = posta_size(reply), cut = size < blocking->reply_room ? size : blocking->reply_room;
		blocking->reply_type = reply->type;
		blocking->reply_size = size;
		if (cut)
			memcpy(blocking->reply, posta_data(reply), cut);
	}
	posta_stop(self, posta_self(self), POSTA_OK);
	finish(blocking, status);
	return POSTA_OK;
}

static enum posta_err asker_start(struct posta_actor *self, void *state, void *argument)
{
	(void)argument;
	struct blocking *blocking = state;
	enum posta_err result = posta_ask(self, blocking->to, blocking->type, blocking->data, blocking->size,
					  blocking->timeout_ms, on_answer, blocking);
	if (result) {
		posta_stop(self, posta_self(self), POSTA_OK);
		finish(blocking, result);
	}
	return POSTA_OK;
}

static void asker_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	(void)self;
	if (reason != POSTA_OK) /* else it has answered, and who waited may be gone */
		finish(state, reason);
}

static enum posta_err asker_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self, (void)state, (void)message;
	return POSTA_EUNHANDLED;
}

static const struct posta_actor_class asker_class = {
	.name = "asker",
	.receive = asker_receive,
	.start = asker_start,
	.stop = asker_stop,
};

static void wait_for(struct blocking *blocking)
{
	pthread_mutex_lock(&blocking->lock);
	while (!blocking->finished)
		pthread_cond_wait(&blocking->done, &blocking->lock);
	pthread_mutex_unlock(&blocking->lock);
}

enum posta_err posta_system_ask(struct posta_system *system, posta_ref to, uint32_t type, const void *data, size_t size,
				uint64_t timeout_ms, uint32_t *reply_type, void *reply, size_t *reply_size)
{
	if (posta__worker_current())
		return POSTA_EWRONGTHREAD;
	struct blocking blocking = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.done = PTHREAD_COND_INITIALIZER,
		.to = to,
		.type = type,
		.data = data,
		.size = size,
		.timeout_ms = timeout_ms,
		.reply = reply,
		.reply_room = reply_size ? *reply_size : 0,
	};
	struct posta_error error;
	if (posta_system_spawn(system, &asker_class, &blocking, NULL, &error) == POSTA_NOBODY)
		return error.code;
	posta__drive_until(system, &blocking.finished);
	wait_for(&blocking);
	if (blocking.result == POSTA_OK && reply_size)
		*reply_size = blocking.reply_size;
	if (blocking.result == POSTA_OK && reply_type)
		*reply_type = blocking.reply_type;
	return blocking.result;
}
