/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_KIT_BROKERS_PROBE_H
#define POSTA_TESTS_KIT_BROKERS_PROBE_H

#include <stdbool.h>

/*
 * Does a broker on this port of 127.0.0.1 answer its protocol? An open port is
 * not enough: each of the three opens it before it serves. One connection, one
 * request, at most two seconds; no client library, so that the kit needs none.
 * user and password may be NULL.
 */
bool kit_probe_kafka(int port, const char *user, const char *password);
bool kit_probe_rabbitmq(int port, const char *user, const char *password);
bool kit_probe_mosquitto(int port, const char *user, const char *password);

#endif
