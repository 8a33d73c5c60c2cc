#!/bin/sh
# SPDX-License-Identifier: MIT
# tls.sh DIR: a CA, a server and a client certificate of it, and a stranger's
# certificate of another CA, as PEM files in DIR/tls. Keys are PKCS#8; EC ones,
# since an RSA key takes a tenth of a second each. KIT_CERTIFICATE: what is wrong with
# the server's, "expired" or "elsewhere" (brokers.h).
set -eu
umask 077
mkdir -p "$1/tls"
cd "$1/tls"

authority() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
		-days 3650 -subj "/CN=$1" -keyout "$1.key" -out "$1.pem"
}

signed() { # NAME AUTHORITY [DAYS]
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
		-subj "/CN=$1" -keyout "$1.key" -out "$1.csr"
	openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial \
		-days "${3:-3650}" -extfile names -out "$1.pem"
}

fault=${KIT_CERTIFICATE:-none}
days=3650 hosts=DNS:localhost,IP:127.0.0.1
[ $fault != expired ] || days=-1
[ $fault != elsewhere ] || hosts=DNS:elsewhere.example

echo "subjectAltName=$hosts" > names
{
	authority ca
	authority elsewhere
	signed server ca $days
	signed client ca
	signed stranger elsewhere
} 2> openssl.log || { cat openssl.log >&2; exit 1; }
# Kafka reads key and certificate from one file.
cat server.key server.pem > server.both.pem
