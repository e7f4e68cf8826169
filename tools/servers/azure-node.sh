# shellcheck shell=bash
# azure-node: Microsoft's own client for Key Vault in JavaScript, to hold our fake of Key Vault to. No server.

# azure-node::modules: prints where the packages are, or will be. Other pins, another place.
azure-node::modules() {
    local sum
    sum=$(sha256sum "$HERE/requirements/azure-node/package-lock.json")
    printf '%s\n' "$CACHE/node/azure-node-${sum:0:12}"
}

azure-node::install() {
    local modules
    require_tools node npm
    node -e 'process.exit(+(process.versions.node.split(".")[0] < 20))' || unavailable 'azure-node needs Node 20 or later'
    modules=$(azure-node::modules)
    once "$modules/complete" azure-node::build "$modules"
}

# azure-node::build DIRECTORY
azure-node::build() {
    say 'installing azure-node'
    rm -rf "$1"
    mkdir -p "$1"
    cp "$HERE/requirements/azure-node"/*.json "$1"
    # No package's script runs.
    npm ci --prefix "$1" --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error >&2 ||
        unavailable 'npm cannot get the packages of azure-node'
    touch "$1/complete"
}

azure-node::start() {
    :
}

azure-node::exports() {
    export_line SECRETS_TEST_AZURE_NODE "$(type -P node)"
    export_line SECRETS_TEST_AZURE_NODE_PATH "$(azure-node::modules)/node_modules"
}
