/* SPDX-License-Identifier: MIT */
/*
 * The MQTT bridge in the conformance suite: a Mosquitto of its own, whose sessions and queued messages outlive a
 * restart. One topic is closed by an ACL, so that there is something to refuse.
 */
#include "own_broker.h"

#include "bridges/mqtt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char acl[] = "/tmp/posta-acl-XXXXXX";

static void start(void)
{
	/* Rules of the other kind, "topic", would not hold for a session that nobody has resumed after a restart. */
	static const char rules[] = "pattern deny closed/#\npattern readwrite #\n";
	struct kit_broker_options options = { 0 };
	int fd = mkstemp(acl);
	char config[128];

	if (fd < 0 || write(fd, rules, sizeof rules - 1) != (ssize_t)(sizeof rules - 1)) {
		perror(acl);
		exit(1);
	}
	close(fd);
	/* Mosquitto 2.0.11 closes the connection behind a refusal when that queue has no bound. */
	snprintf(config, sizeof config, "max_queued_messages 1000000\nacl_file %s", acl);
	options.config = config;
	kit_own_start(KIT_MOSQUITTO, &options);
}

static void stop(void)
{
	kit_own_stop();
	unlink(acl);
	memcpy(strrchr(acl, '-'), "-XXXXXX", 8);
}

static void aim(struct kit_pair *pair)
{
	pair->target = (struct posta_target){ .size = sizeof pair->target, .topic = pair->names[0], .qos = -1 };
	pair->source = (struct posta_source){ .size = sizeof pair->source, .filter = pair->names[0], .qos = -1 };
}

static void topic(struct kit_pair *pair)
{
	kit_fresh(pair->names[0], "topic");
	aim(pair);
}

static void wildcard(struct kit_pair *first, struct kit_pair *second, struct posta_source *source,
		     char name[KIT_NAME_MAX])
{
	char root[64];
	char *unique = kit_unique("root");

	snprintf(root, sizeof root, "%s", unique);
	free(unique);
	snprintf(first->names[0], KIT_NAME_MAX, "%s/one/x", root);
	snprintf(second->names[0], KIT_NAME_MAX, "%s/two/x", root);
	snprintf(name, KIT_NAME_MAX, "%s/+/x", root);
	aim(first);
	aim(second);
	*source = (struct posta_source){ .size = sizeof *source, .filter = name, .qos = -1 };
}

static void no_such(struct kit_pair *pair)
{
	snprintf(pair->names[0], KIT_NAME_MAX, "closed/topic");
	aim(pair);
}

static void version_3(struct posta_bridge_options *options)
{
	options->mqtt_version = 4;
}

/*
 * Down is SIGTERM: Mosquitto writes all it has at its end, and what it acknowledged is kept. Killed in mid-flow it
 * loses what it acknowledged last, because it writes later, even when told to write every change; test_mqtt_faults
 * kills it when all is quiet. 3.1.1 cannot say that a publication was refused.
 */
const struct kit_bridge kit_bridge_mqtt3 = {
	.name = "mqtt3",
	.ops = &posta__mqtt_ops,
	.lacks = KIT_LACKS_SETTLE_APART | KIT_LACKS_HANDOVER | KIT_LACKS_BAD_TARGET,
	.start = start,
	.stop = stop,
	.url = kit_own_url,
	.far_url = kit_own_far_url,
	.fault = kit_own_fault,
	.options = version_3,
	.queue = topic,
	.topic = topic,
	.wildcard = wildcard,
	.down = kit_own_shutdown,
	.up = kit_own_up,
};

const struct kit_bridge kit_bridge_mqtt = {
	.name = "mqtt",
	.ops = &posta__mqtt_ops,
	.lacks = KIT_LACKS_SETTLE_APART | KIT_LACKS_HANDOVER,
	.start = start,
	.stop = stop,
	.url = kit_own_url,
	.far_url = kit_own_far_url,
	.fault = kit_own_fault,
	.queue = topic, /* a session; not $share, whose subscriptions Mosquitto forgets in a restart */
	.topic = topic,
	.wildcard = wildcard,
	.no_such = no_such,
	.down = kit_own_shutdown,
	.up = kit_own_up,
};
