/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_KIT_BROKERS_HOST_H
#define POSTA_TESTS_KIT_BROKERS_HOST_H

/* What the host process and the tests' side of it agree on. */

/* plain, TLS, TLS with client certificate, SASL, and two for the broker's own
 * use; the first four are in the order of enum kit_door. */
#define KIT_PORTS 6

/* No message between the two is longer. */
#define KIT_MESSAGE 256

#endif
