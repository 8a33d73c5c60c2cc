/* SPDX-License-Identifier: MIT */
/*
 * Topic aliases of MQTT 5 (option topic_aliases): a topic goes once with its number, then the number alone. As many
 * topics have one as the broker allows, those that come first; the others go by name. They end with the connection.
 */
#include "bridges/mqtt.h"

#include <stdlib.h>
#include <string.h>

void posta__mqtt_aliases_begin(struct posta__mqtt_aliases *aliases, uint32_t wanted, uint16_t allowed)
{
	posta__mqtt_aliases_fini(aliases);
	aliases->room = (uint16_t)(wanted < allowed ? wanted : allowed);
}

uint16_t posta__mqtt_alias_of(struct posta__mqtt_aliases *aliases, const char *topic, bool *is_new)
{
	*is_new = false;
	for (uint16_t i = 0; i < aliases->count; i++)
		if (strcmp(aliases->topics[i], topic) == 0)
			return (uint16_t)(i + 1);
	if (aliases->count == aliases->room)
		return 0;
	*is_new = true;
	return (uint16_t)(aliases->count + 1);
}

void posta__mqtt_alias_known(struct posta__mqtt_aliases *aliases, const char *topic)
{
	char *copy = strdup(topic);

	if (copy) /* else it goes with its name again */
		aliases->topics[aliases->count++] = copy;
}

void posta__mqtt_aliases_fini(struct posta__mqtt_aliases *aliases)
{
	while (aliases->count)
		free(aliases->topics[--aliases->count]);
	aliases->room = 0;
}
