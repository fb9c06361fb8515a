#!/bin/sh
# Firefox that goes on when one of its content processes is killed: geckodriver's own setting ends the whole browser then.
unset MOZ_CRASHREPORTER_SHUTDOWN
exec "${FIREFOX:-/usr/bin/firefox-esr}" "$@"
