#!/bin/sh
# SPDX-License-Identifier: MIT
# mosquitto.sh prepare DIR PLAIN TLS MTLS ...	write DIR/mosquitto.conf
# mosquitto.sh run DIR				become the broker
# The host process (host.c) calls this; brokers.h lists the KIT_ options.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
PATH=$PATH:/usr/sbin:/sbin
verb=$1 dir=$2

listener() { # PORT
	echo "listener $1 127.0.0.1"
	echo 'socket_domain ipv4'
}

secure_listener() { # PORT CLIENT-CERTIFICATE-REQUIRED
	listener "$1"
	echo "cafile $dir/tls/ca.pem"
	echo "certfile $dir/tls/server.pem"
	echo "keyfile $dir/tls/server.key"
	echo "require_certificate $2"
}

config() { # PLAIN TLS MTLS
	# Started by root it would become another user, who may not write here.
	[ "$(id -u)" -ne 0 ] || echo 'user root'
	# By default the 1001st queued message of a client is dropped.
	echo 'max_queued_messages 0'
	echo 'max_inflight_messages 100'
	echo 'set_tcp_nodelay true'
	echo 'sys_interval 0'
	echo 'log_dest stderr'
	echo 'log_timestamp_format %H:%M:%S'
	echo 'persistence true'
	echo "persistence_location $dir/data/"
	if [ -n "${KIT_PERSISTENT:-}" ]; then
		# With "on changes" the interval counts changes: 1 is every one.
		echo 'autosave_on_changes true'
		echo 'autosave_interval 1'
	fi
	[ -z "${KIT_MAX_BYTES:-}" ] || echo "max_packet_size $KIT_MAX_BYTES"
	if [ -n "${KIT_USER:-}" ]; then
		echo 'allow_anonymous false'
		echo "password_file $dir/passwords"
	else
		echo 'allow_anonymous true'
	fi
	listener "$1"
	if [ -n "${KIT_TLS:-}" ]; then
		secure_listener "$2" false
		secure_listener "$3" true
	fi
	printf '%s\n' "${KIT_CONFIG:-}"
}

case $verb in
prepare)
	command -v mosquitto > /dev/null || { echo 'mosquitto is not installed'; exit 77; }
	mkdir -p "$dir/data"
	[ -z "${KIT_USER:-}" ] ||
		mosquitto_passwd -b -c "$dir/passwords" "$KIT_USER" "$KIT_PASSWORD"
	[ -z "${KIT_TLS:-}" ] || "$here/tls.sh" "$dir"
	config "$3" "$4" "$5" > "$dir/mosquitto.conf"
	;;
run)
	exec mosquitto -c "$dir/mosquitto.conf"
	;;
esac
