/* SPDX-License-Identifier: MIT */
/* The control calls: what they send, and what the supervisor does with it. */
#include "runtime/supervisor.h"
#include "runtime/ask.h"
#include "runtime/cold.h"

#include <posta/ask.h>

#include <stdio.h>
#include <string.h>

/* -- In the supervisor -- */

/* Whether the caller still lives to hear it is not the supervisor's concern. */
static enum posta_err answer(struct posta_actor *self, enum posta_err result, posta_ref child)
{
	struct posta__control_done done = { .result = result, .child = child };
	posta__reply_sure(self, posta_caller(posta__worker(self)->current), POSTA__CONTROL_DONE, &done, sizeof done);
	return POSTA_OK;
}

static bool simple(const struct posta__supervisor *supervisor)
{
	return supervisor->plan->options.strategy == POSTA_SIMPLE_ONE_FOR_ONE;
}

/* Until here the spec's plan, if it has one, is the caller's; a template's stays where it is. */
static enum posta_err refuse(struct posta_actor *self, const struct posta__supervisor *supervisor,
			     const struct posta_child_spec *spec, enum posta_err result, posta_ref child)
{
	if (!simple(supervisor))
		posta__spec_give_back(spec);
	return answer(self, result, child);
}

static enum posta_err add_and_start(struct posta_actor *self, struct posta__supervisor *supervisor,
				    struct posta_message *message, const struct posta_child_spec *spec)
{
	if (supervisor->procedure == POSTA__PROCEDURE_EXIT)
		return refuse(self, supervisor, spec, POSTA_ESHUTDOWN, POSTA_NOBODY);
	if (supervisor->children.count >= supervisor->plan->options.children_max)
		return refuse(self, supervisor, spec, POSTA_EFULL, POSTA_NOBODY);
	struct posta__child *child = posta__child_add(self, &supervisor->children, spec);
	if (!child)
		return refuse(self, supervisor, spec, POSTA_ENOMEM, POSTA_NOBODY);
	child->owns_argument = !simple(supervisor) && spec->klass == &posta__supervisor_class;
	child->caller = posta_caller(message);
	posta__child_start(self, supervisor, child);
	return POSTA_OK;
}

static enum posta_err start_child(struct posta_actor *self, struct posta__supervisor *supervisor,
				  struct posta_message *message, struct posta__control_request *request)
{
	struct posta_error error;
	const struct posta_supervisor_options *options = &supervisor->plan->options;
	if (simple(supervisor) ||
	    posta__spec_check(&request->spec, POSTA_ONE_FOR_ONE, options->auto_shutdown, &error)) {
		posta__spec_give_back(&request->spec);
		return answer(self, POSTA_EINVAL, POSTA_NOBODY);
	}
	struct posta__child *child = posta__child_by_id(&supervisor->children, request->id);
	if (child)
		return refuse(self, supervisor, &request->spec, POSTA_EEXISTS, child->ref);
	return add_and_start(self, supervisor, message, &request->spec);
}

/* Of a template that is a supervisor all have the same plan. */
static enum posta_err start_simple(struct posta_actor *self, struct posta__supervisor *supervisor,
				   struct posta_message *message, struct posta__control_request *request)
{
	if (!simple(supervisor))
		return answer(self, POSTA_EINVAL, POSTA_NOBODY);
	struct posta_child_spec spec = supervisor->plan->options.children[0];
	if (spec.klass != &posta__supervisor_class)
		spec.argument = request->argument;
	return add_and_start(self, supervisor, message, &spec);
}

static enum posta_err stop(struct posta_actor *self, struct posta_message *message, struct posta__child *child,
			   enum posta__then then)
{
	if (!child)
		return answer(self, POSTA_ENOTFOUND, POSTA_NOBODY);
	if (!child->slot)
		return answer(self, POSTA_OK, POSTA_NOBODY);
	if (child->caller.ref != POSTA_NOBODY)
		return answer(self, POSTA_ESTATE, POSTA_NOBODY);
	child->caller = posta_caller(message);
	posta__child_stop(self, child, then);
	return POSTA_OK;
}

static enum posta_err stop_simple(struct posta_actor *self, const struct posta__supervisor *supervisor,
				  struct posta_message *message, const struct posta__control_request *request)
{
	if (!simple(supervisor))
		return answer(self, POSTA_EINVAL, POSTA_NOBODY);
	return stop(self, message, posta__child_by_ref(&supervisor->children, request->ref), POSTA__THEN_DELETE);
}

static enum posta_err restart_child(struct posta_actor *self, struct posta__supervisor *supervisor,
				    struct posta_message *message, struct posta__child *child)
{
	if (!child)
		return answer(self, POSTA_ENOTFOUND, POSTA_NOBODY);
	if (child->phase == POSTA__CHILD_UP)
		return answer(self, POSTA_EEXISTS, child->ref);
	if (child->slot || supervisor->procedure != POSTA__PROCEDURE_NONE)
		return answer(self, POSTA_ESTATE, POSTA_NOBODY);
	child->caller = posta_caller(message);
	child->start = POSTA__START_CALLED;
	child->then = POSTA__THEN_NOTHING;
	posta__child_start(self, supervisor, child);
	return POSTA_OK;
}

static enum posta_err delete_child(struct posta_actor *self, struct posta__supervisor *supervisor,
				   struct posta__child *child)
{
	if (!child)
		return answer(self, POSTA_ENOTFOUND, POSTA_NOBODY);
	if (child->slot)
		return answer(self, POSTA_ESTATE, POSTA_NOBODY);
	posta__child_remove(self, &supervisor->children, child);
	return answer(self, POSTA_OK, POSTA_NOBODY);
}

/* Down with a slot that was not let go: it waits with its group. */
static bool restarting(const struct posta__child *child)
{
	return child->phase == POSTA__CHILD_WAITING || (child->phase == POSTA__CHILD_STARTING && child->restarts) ||
	       (child->phase == POSTA__CHILD_DOWN && child->slot && !child->released);
}

static struct posta_child_info info_of(const struct posta__child *child)
{
	struct posta_child_info info = {
		.ref = child->ref,
		.running = child->phase == POSTA__CHILD_UP,
		.restarting = restarting(child),
		.supervisor = child->spec.supervisor,
		.restarts = child->restarts,
		.last_reason = child->last_reason,
	};
	snprintf(info.id, sizeof info.id, "%s", child->spec.id ? child->spec.id : "");
	snprintf(info.last_error, sizeof info.last_error, "%s", child->last_error);
	return info;
}

static enum posta_err which(struct posta_actor *self, const struct posta__supervisor *supervisor)
{
	const struct posta__children *children = &supervisor->children;
	struct posta_message *reply =
		posta_message_new(self, POSTA__CONTROL_CHILDREN, children->count * sizeof(struct posta_child_info));
	if (!reply) /* or so many that no message holds them */
		return answer(self, POSTA_ENOMEM, POSTA_NOBODY);
	struct posta_child_info *info = posta_data(reply);
	for (const struct posta__child *child = children->first; child; child = child->next)
		*info++ = info_of(child);
	posta__reply_with(self, posta_caller(posta__worker(self)->current), reply);
	return POSTA_OK;
}

static enum posta_err count(struct posta_actor *self, const struct posta__supervisor *supervisor)
{
	struct posta_child_count sum = { 0 };
	for (const struct posta__child *child = supervisor->children.first; child; child = child->next) {
		sum.specs++;
		sum.active += child->phase == POSTA__CHILD_UP || child->phase == POSTA__CHILD_STARTING;
		sum.supervisors += child->spec.supervisor;
	}
	sum.workers = sum.specs - sum.supervisors;
	posta__reply_sure(self, posta_caller(posta__worker(self)->current), POSTA__CONTROL_COUNTED, &sum, sizeof sum);
	return POSTA_OK;
}

enum posta_err posta__supervisor_control(struct posta_actor *self, struct posta__supervisor *supervisor,
					 struct posta_message *message)
{
	if (message->type == POSTA__CONTROL_WHICH)
		return which(self, supervisor);
	if (message->type == POSTA__CONTROL_COUNT)
		return count(self, supervisor);
	if (posta_size(message) != sizeof(struct posta__control_request))
		return POSTA_EUNHANDLED;
	struct posta__control_request *request = posta_data(message);
	request->spec.id = request->id[0] ? request->id : NULL;
	request->spec.spawn.name = request->name[0] ? request->name : NULL;
	switch (message->type) {
	case POSTA__CONTROL_START:
		return start_child(self, supervisor, message, request);
	case POSTA__CONTROL_START_SIMPLE:
		return start_simple(self, supervisor, message, request);
	case POSTA__CONTROL_STOP:
		return stop(self, message, posta__child_by_id(&supervisor->children, request->id), POSTA__THEN_KEEP);
	case POSTA__CONTROL_STOP_SIMPLE:
		return stop_simple(self, supervisor, message, request);
	case POSTA__CONTROL_RESTART:
		return restart_child(self, supervisor, message, posta__child_by_id(&supervisor->children, request->id));
	case POSTA__CONTROL_DELETE:
		return delete_child(self, supervisor, posta__child_by_id(&supervisor->children, request->id));
	default:
		return POSTA_EUNHANDLED;
	}
}

/* -- In the caller -- */

struct call {
	struct posta_system *system;
	uint32_t wanted; /* the type of a supervisor's answer */
	posta_control_fn *on_done;
	posta_children_fn *on_children;
	posta_count_fn *on_count;
	void *context;
	const struct posta_actor_class *klass; /* of the child that should start, with its argument */
	void *argument;
};

static struct call call_of(posta_control_fn *on_done, void *context)
{
	return (struct call){ .wanted = POSTA__CONTROL_DONE, .on_done = on_done, .context = context };
}

/* A supervisor may answer DONE instead of what is wanted: it says why. EINVAL: who answers is none. */
static struct posta__control_done done_of(uint32_t wanted, uint32_t type, const void *data)
{
	struct posta__control_done done = { .result = type == wanted ? POSTA_OK : POSTA_EINVAL };
	if (type == POSTA__CONTROL_DONE)
		memcpy(&done, data, sizeof done);
	return done;
}

static enum posta_err on_reply(struct posta_actor *self, void *state, enum posta_err status,
			       struct posta_message *reply, void *context)
{
	struct call call = *(struct call *)context;
	posta__free(call.system, context, sizeof call);
	if (status == POSTA_EDEAD) /* nobody took it */
		posta__spec_give_back(&(struct posta_child_spec){ .klass = call.klass, .argument = call.argument });
	struct posta__control_done done = { .result = status };
	if (reply)
		done = done_of(call.wanted, reply->type, posta_data(reply));
	if (call.on_done)
		return call.on_done(self, state, done.result, done.child, call.context);
	const void *data = done.result ? NULL : posta_data(reply);
	if (call.on_count)
		return call.on_count(self, state, done.result, data, call.context);
	if (call.on_children)
		return call.on_children(self, state, done.result, data,
					data ? posta_size(reply) / sizeof(struct posta_child_info) : 0, call.context);
	return POSTA_OK;
}

static void forget_call(void *context)
{
	struct call *call = context;
	posta__free(call->system, call, sizeof *call);
}

static enum posta_err ask(struct posta_actor *self, posta_ref supervisor, uint32_t type,
			  const struct posta__control_request *request, struct call call)
{
	call.system = posta__worker(self)->system;
	struct call *kept = posta__alloc(call.system, 16, sizeof *kept);
	if (!kept)
		return POSTA_ENOMEM;
	*kept = call;
	enum posta_err result = posta__ask(self, supervisor, type, request, request ? sizeof *request : 0, UINT64_MAX,
					   on_reply, kept, forget_call);
	if (result)
		posta__free(call.system, kept, sizeof *kept);
	return result;
}

static bool text_into(char *to, const char *text)
{
	return (size_t)snprintf(to, POSTA_NAME_MAX + 1, "%s", text ? text : "") <= POSTA_NAME_MAX;
}

static enum posta_err request_of_spec(const struct posta_child_spec *spec, struct posta__control_request *request)
{
	*request = (struct posta__control_request){ .spec = posta__spec_read(spec) };
	if (!text_into(request->id, request->spec.id) || !text_into(request->name, request->spec.spawn.name))
		return POSTA_EINVAL;
	struct posta_error error;
	/* The supervisor knows better what significant means there; here it is only what no supervisor would take. */
	enum posta_err result =
		posta__spec_check(&request->spec, POSTA_ONE_FOR_ONE, POSTA_SHUTDOWN_ANY_SIGNIFICANT, &error);
	return result ? result : posta__spec_take(&request->spec, &error);
}

enum posta_err posta_start_child(struct posta_actor *self, posta_ref supervisor, const struct posta_child_spec *spec,
				 posta_control_fn *on_done, void *context)
{
	struct posta__control_request request;
	enum posta_err result = request_of_spec(spec, &request);
	if (result)
		return result;
	struct call call = call_of(on_done, context);
	call.klass = spec->klass;
	call.argument = spec->argument;
	result = ask(self, supervisor, POSTA__CONTROL_START, &request, call);
	if (result)
		posta__spec_give_back(&request.spec);
	return result;
}

enum posta_err posta_start_simple_child(struct posta_actor *self, posta_ref supervisor, void *argument,
					posta_control_fn *on_done, void *context)
{
	struct posta__control_request request = { .argument = argument };
	return ask(self, supervisor, POSTA__CONTROL_START_SIMPLE, &request,
		   call_of(on_done, context));
}

static enum posta_err ask_by_id(struct posta_actor *self, posta_ref supervisor, uint32_t type, const char *id,
				posta_control_fn *on_done, void *context)
{
	struct posta__control_request request = { .id = "" };
	if (!id || !text_into(request.id, id))
		return POSTA_EINVAL;
	return ask(self, supervisor, type, &request, call_of(on_done, context));
}

enum posta_err posta_stop_child(struct posta_actor *self, posta_ref supervisor, const char *id,
				posta_control_fn *on_done, void *context)
{
	return ask_by_id(self, supervisor, POSTA__CONTROL_STOP, id, on_done, context);
}

enum posta_err posta_stop_simple_child(struct posta_actor *self, posta_ref supervisor, posta_ref child,
				       posta_control_fn *on_done, void *context)
{
	struct posta__control_request request = { .ref = child };
	return ask(self, supervisor, POSTA__CONTROL_STOP_SIMPLE, &request,
		   call_of(on_done, context));
}

enum posta_err posta_restart_child(struct posta_actor *self, posta_ref supervisor, const char *id,
				   posta_control_fn *on_done, void *context)
{
	return ask_by_id(self, supervisor, POSTA__CONTROL_RESTART, id, on_done, context);
}

enum posta_err posta_delete_child(struct posta_actor *self, posta_ref supervisor, const char *id,
				  posta_control_fn *on_done, void *context)
{
	return ask_by_id(self, supervisor, POSTA__CONTROL_DELETE, id, on_done, context);
}

enum posta_err posta_which_children(struct posta_actor *self, posta_ref supervisor, posta_children_fn *on_done,
				    void *context)
{
	const struct call call = { .wanted = POSTA__CONTROL_CHILDREN, .on_children = on_done, .context = context };
	return ask(self, supervisor, POSTA__CONTROL_WHICH, NULL, call);
}

enum posta_err posta_count_children(struct posta_actor *self, posta_ref supervisor, posta_count_fn *on_done,
				    void *context)
{
	const struct call call = { .wanted = POSTA__CONTROL_COUNTED, .on_count = on_done, .context = context };
	return ask(self, supervisor, POSTA__CONTROL_COUNT, NULL, call);
}

/* -- From a thread that is none of posta's -- */

enum posta_err posta_system_count_children(struct posta_system *system, posta_ref supervisor, uint64_t timeout_ms,
					   struct posta_child_count *count)
{
	struct posta_child_count answered;
	size_t size = sizeof answered;
	uint32_t type;
	enum posta_err result = posta_system_ask(system, supervisor, POSTA__CONTROL_COUNT, NULL, 0, timeout_ms, &type,
						 &answered, &size);
	if (result)
		return result;
	if (type != POSTA__CONTROL_COUNTED)
		return POSTA_EINVAL;
	*count = answered;
	return POSTA_OK;
}

enum posta_err posta_system_which_children(struct posta_system *system, posta_ref supervisor, uint64_t timeout_ms,
					   struct posta_child_info *children, size_t *count)
{
	size_t size = *count * sizeof *children;
	uint32_t type;
	enum posta_err result =
		posta_system_ask(system, supervisor, POSTA__CONTROL_WHICH, NULL, 0, timeout_ms, &type, children, &size);
	if (result)
		return result;
	if (type != POSTA__CONTROL_CHILDREN)
		return type == POSTA__CONTROL_DONE ? POSTA_ENOMEM : POSTA_EINVAL;
	*count = size / sizeof *children;
	return POSTA_OK;
}

/* Whether a question that ended so reached nobody: what it brought is the caller's still. */
static bool unheard(enum posta_err result)
{
	switch (result) {
	case POSTA_EDEAD:
	case POSTA_EFOREIGN:
	case POSTA_EFULL:
	case POSTA_ENOMEM:
	case POSTA_ECLOSED:
	case POSTA_EWRONGTHREAD:
		return true;
	default:
		return false;
	}
}

enum posta_err posta_system_start_child(struct posta_system *system, posta_ref supervisor,
					const struct posta_child_spec *spec, uint64_t timeout_ms, posta_ref *child)
{
	struct posta__control_request request;
	enum posta_err result = request_of_spec(spec, &request);
	if (result)
		return result;
	struct posta__control_done done;
	size_t size = sizeof done;
	uint32_t type;
	result = posta_system_ask(system, supervisor, POSTA__CONTROL_START, &request, sizeof request, timeout_ms, &type,
				  &done, &size);
	if (unheard(result))
		posta__spec_give_back(&request.spec);
	if (result)
		return result;
	done = done_of(POSTA__CONTROL_DONE, type, &done);
	if (done.result == POSTA_OK && child)
		*child = done.child;
	return done.result;
}
