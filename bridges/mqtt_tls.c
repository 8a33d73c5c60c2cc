/* SPDX-License-Identifier: MIT */
/*
 * libmosquitto is given numeric addresses (it resolves in a blocking way) and would compare the certificate with
 * them, and send them as server name. So the context is ours: when a handshake begins, and before it says anything,
 * OpenSSL's info callback puts in the name that the URL has. OpenSSL itself then refuses a certificate of another
 * host. Why it did is written down there too: when it does so within the library's connect, the session is gone with
 * it.
 */
#include "bridges/mqtt.h"

/* Without memory for the name no certificate is good enough. */
static int refuse(int verified, X509_STORE_CTX *store)
{
	(void)verified;
	X509_STORE_CTX_set_error(store, X509_V_ERR_OUT_OF_MEM);
	return 0;
}

static void on_info(const SSL *ssl, int where, int result)
{
	struct posta__tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	SSL *mine = (SSL *)(uintptr_t)ssl;

	(void)result;
	if ((where & SSL_CB_WRITE_ALERT) == SSL_CB_WRITE_ALERT)
		tls->refusal = SSL_get_verify_result(ssl);
	if (!(where & SSL_CB_HANDSHAKE_START) || SSL_is_init_finished(ssl))
		return;
	if (!posta__tls_expect_host(mine, tls->host))
		SSL_set_verify(mine, SSL_get_verify_mode(ssl), refuse);
}

struct posta__tls *posta__mqtt_tls_new(const struct posta_tls *options, const char *host, struct posta_error *error)
{
	struct posta__tls *tls = posta__tls_new("mqtt", options, error);

	if (!tls)
		return NULL;
	tls->host = host;
	SSL_CTX_set_app_data(tls->context, tls);
	SSL_CTX_set_info_callback(tls->context, on_info);
	return tls;
}
