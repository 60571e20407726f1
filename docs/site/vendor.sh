#!/usr/bin/env bash
# Copies what browsers need out of npm packages into docs/assets/vendor. Run by hand to take newer versions; what it
# copies is committed, so that building the site needs no network, and reading it no other host.
set -euo pipefail
cd "$(dirname "$0")/../.."
VENDOR=docs/assets/vendor
FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT
npm install --silent --prefix "$FOLDER" \
  katex@0.19 iframe-worker@1 axe-core@4 \
  @fontsource-variable/inter@5 @fontsource-variable/jetbrains-mono@5
MODULES=$FOLDER/node_modules

rm -rf "$VENDOR" tests/browser/vendor
mkdir -p "$VENDOR"/{katex/fonts,fonts,iframe-worker} tests/browser/vendor
cp "$MODULES"/katex/dist/{katex.min.js,contrib/auto-render.min.js} "$MODULES/katex/LICENSE" "$VENDOR/katex/"
cp "$MODULES"/katex/dist/fonts/*.woff2 "$VENDOR/katex/fonts/"
# only the woff2 sources, so that nothing is named that is not there; and text before the fonts have come
sed -E 's/,url\(fonts\/[^)]+\.(woff|ttf)\) format\("[a-z]+"\)//g' \
  "$MODULES/katex/dist/katex-swap.min.css" > "$VENDOR/katex/katex.min.css"

cp "$MODULES"/@fontsource-variable/inter/files/inter-latin-wght-{normal,italic}.woff2 "$VENDOR/fonts/"
cp "$MODULES/@fontsource-variable/inter/LICENSE" "$VENDOR/fonts/LICENSE.inter"
cp "$MODULES"/@fontsource-variable/jetbrains-mono/files/jetbrains-mono-latin-wght-normal.woff2 "$VENDOR/fonts/"
cp "$MODULES/@fontsource-variable/jetbrains-mono/LICENSE" "$VENDOR/fonts/LICENSE.jetbrains-mono"

# lets the search work where the site is read from disk
cp "$MODULES/iframe-worker/shim/index.js" "$VENDOR/iframe-worker/iframe-worker.js"
cp "$MODULES/iframe-worker/LICENSE" "$VENDOR/iframe-worker/"

# what the tests in a browser judge accessibility by
cp "$MODULES"/axe-core/{axe.min.js,LICENSE} tests/browser/vendor/

for package in katex iframe-worker axe-core @fontsource-variable/inter @fontsource-variable/jetbrains-mono; do
  node -p "const p = require('$MODULES/$package/package.json'); p.name + ' ' + p.version"
done > "$VENDOR/versions.txt"
