/* SPDX-License-Identifier: MIT */
/*
 * libmosquitto is given numeric addresses (it resolves in a blocking way) and would compare the certificate with
 * them, and send them as server name. So the context is ours: when a handshake begins, and before it says anything,
 * OpenSSL's info callback puts in the name that the URL has. OpenSSL itself then refuses a certificate of another
 * host.
 */
#include "bridges/mqtt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/socket.h>

/* A name goes into SNI and is compared with DNS names; an address has no SNI (RFC 6066): compared with IP names. */
static void expect_host(SSL *ssl, const char *host)
{
	struct in6_addr address;

	if (inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1) {
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
		SSL_set_tlsext_host_name(ssl, NULL);
		return;
	}
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	SSL_set1_host(ssl, host);
	SSL_set_tlsext_host_name(ssl, host);
}

static void on_info(const SSL *ssl, int where, int result)
{
	(void)result;
	if (where & SSL_CB_HANDSHAKE_START && !SSL_is_init_finished(ssl))
		expect_host((SSL *)(uintptr_t)ssl, SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
}

/* A key with a pass phrase must not make the library ask on the terminal. */
static int no_pass_phrase(char *buffer, int size, int writing, void *context)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)context;
	return 0;
}

static enum posta_err file_error(struct posta_error *error, const char *what, const char *file)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	enum posta_err code = posta_error_set(error, POSTA_EINVAL,
					      "mqtt: cannot use the %s %s: %s (PEM without a pass phrase is needed)",
					      what, file, reason ? reason : "unreadable");

	ERR_clear_error();
	return code;
}

static enum posta_err load_files(SSL_CTX *context, const struct posta_tls *options, struct posta_error *error)
{
	if (options->ca && SSL_CTX_load_verify_locations(context, options->ca, NULL) != 1)
		return file_error(error, "CA file", options->ca);
	if (!options->ca && SSL_CTX_set_default_verify_paths(context) != 1)
		return file_error(error, "CA store", "of the system");
	if (!options->cert != !options->key)
		return posta_error_set(error, POSTA_EINVAL,
				       "mqtt: tls.cert and tls.key go together, one of them is missing");
	if (!options->cert)
		return POSTA_OK;
	if (SSL_CTX_use_certificate_chain_file(context, options->cert) != 1)
		return file_error(error, "certificate", options->cert);
	if (SSL_CTX_use_PrivateKey_file(context, options->key, SSL_FILETYPE_PEM) != 1)
		return file_error(error, "key", options->key);
	if (SSL_CTX_check_private_key(context) != 1)
		return file_error(error, "key for that certificate", options->key);
	return POSTA_OK;
}

SSL_CTX *posta__mqtt_tls_new(const struct posta_tls *options, const char *host, struct posta_error *error)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	ERR_clear_error();
	if (!context) {
		posta_error_set(error, POSTA_ENOMEM, "mqtt: no memory for TLS");
		return NULL;
	}
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_default_passwd_cb(context, no_pass_phrase);
	SSL_CTX_set_verify(context, options->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_app_data(context, (void *)(uintptr_t)host);
	SSL_CTX_set_info_callback(context, on_info);
	if (load_files(context, options, error)) {
		SSL_CTX_free(context);
		return NULL;
	}
	return context;
}

static int bio_write(BIO *bio, const char *data, int len)
{
	ssize_t n = send((int)(intptr_t)BIO_get_data(bio), data, (size_t)len, MSG_NOSIGNAL);

	BIO_clear_retry_flags(bio);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		BIO_set_retry_write(bio);
	return (int)n;
}

static int bio_read(BIO *bio, char *data, int len)
{
	ssize_t n = recv((int)(intptr_t)BIO_get_data(bio), data, (size_t)len, 0);

	BIO_clear_retry_flags(bio);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		BIO_set_retry_read(bio);
	return (int)n;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

/* OpenSSL's own socket BIO uses write(), which kills the process by SIGPIPE when the broker has gone. */
BIO_METHOD *posta__mqtt_tls_method(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "posta mqtt socket");

	if (!method)
		return NULL;
	BIO_meth_set_write(method, bio_write);
	BIO_meth_set_read(method, bio_read);
	BIO_meth_set_ctrl(method, bio_ctrl);
	return method;
}

enum posta_err posta__mqtt_tls_adopt(SSL *ssl, const BIO_METHOD *method, int fd)
{
	BIO *bio = BIO_new(method);

	if (!bio)
		return POSTA_ENOMEM;
	BIO_set_data(bio, (void *)(intptr_t)fd);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	return POSTA_OK;
}

const char *posta__mqtt_tls_words(const SSL *ssl)
{
	long verify = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;

	return verify == X509_V_OK ? "" : X509_verify_cert_error_string(verify);
}
