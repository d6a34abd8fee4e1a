#!/bin/sh
# Empties what a container never loads out of a cache of packages: tests' packages, the library for another C library,
# types and source maps. The folders stay, because Deno looks whether each package of the lock file is there.
# slim.sh DENO_DIR
set -eu
cd "$1/npm"/*
find @duckdb/node-bindings-*-musl playwright-core axe-core fast-check pure-rand @types undici-types csstype \
  -type f ! -name package.json ! -name '.*' -delete
find . -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.md' \) -delete
rm -rf "$1/gen"
