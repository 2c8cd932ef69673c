#!/bin/sh
# A check of config/release.yaml: smoke.sh URL asks the new version itself, before any user sees it. Exit code 0 passes.
set -eu
curl --fail --silent --show-error --max-time 10 "$1/healthz"
