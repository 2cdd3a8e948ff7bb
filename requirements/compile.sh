#!/usr/bin/env bash
# Renews the pinned, hashed requirement files from the .in files (needs uv on PATH).
set -euo pipefail
cd "$(dirname "$0")"
for name in sandbox dev; do
  uv pip compile "$name.in" --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
    --no-emit-find-links --no-strip-extras --quiet "$@" -o "$name.txt" >/dev/null
done
