#!/bin/sh
# The receiver as the forced command of a key in authorized_keys(5): `command="THIS DIRECTORY [RESTARTS]"`.
#
# Of what the runner asks for only the operation and its number count; the script that it sends is not run, this one is.
# DIRECTORY is prod_cert_dir. With RESTARTS, a file of one command a line, no other restart_cmd is run.
own_root=${1:?the folder of the certificates}
allowed_restarts=${2-}
asked=${SSH_ORIGINAL_COMMAND-}
set -f
# shellcheck disable=SC2086
set -- ${asked##* sslops-receiver }
set +f
if [ $# != 3 ] || [ "$3" != "$own_root" ]; then
    printf 'sslops-receiver 1\nrefused this key may only run the receiver, for %s\n' "$own_root"
    exit 23
fi

