# shellcheck shell=bash
# lowkey: Lowkey Vault, a stand-in for Azure Key Vault and for the managed identity endpoint. It takes any token.

# The newest that runs on Java 17.
readonly LOWKEY_VERSION=3.4.33
readonly LOWKEY=$CACHE/lowkey-vault-app-$LOWKEY_VERSION.jar

lowkey::install() {
    require_tools java
    java -version 2>&1 | awk -F '[".]' '/version/ { exit $2 < 17 }' || unavailable 'Lowkey Vault needs Java 17 or later'
    once "$LOWKEY" lowkey::download
}

lowkey::download() {
    require_tools mvn
    local log=$STATE/lowkey-download.log plugin=org.apache.maven.plugins:maven-dependency-plugin:3.6.1
    say "downloading Lowkey Vault $LOWKEY_VERSION"
    timeout 600 mvn --batch-mode --update-snapshots "$plugin:copy" -DoutputDirectory="$CACHE" -Dtransitive=false \
        -Dartifact="com.github.nagyesta.lowkey-vault:lowkey-vault-app:$LOWKEY_VERSION" &>"$log" ||
        unavailable "Maven cannot get Lowkey Vault $LOWKEY_VERSION: $(grep -m 1 -F '[ERROR]' "$log"); all of it is in $log"
}

lowkey::start() {
    # A second listener of the one process.
    [[ -e $STATE/lowkey/token.port ]] || {
        mkdir -p "$STATE/lowkey"
        choose_port >"$STATE/lowkey/token.port"
    }
    start lowkey/lowkey lowkey::answers lowkey::serve
    lowkey::vault "$(<"$STATE/lowkey/lowkey.port")"
}

# lowkey::vault PORT: the one vault. Those that it makes by itself do not let deleted secrets be purged.
lowkey::vault() {
    local management=https://127.0.0.1:$1/management/vault vault=https://localhost:$1
    ! fetch --cacert "$TLS/ca.crt" "$management" | grep -qF "\"$vault\"" || return 0
    fetch --cacert "$TLS/ca.crt" --output /dev/null --header 'content-type: application/json' --data \
        "{\"baseUri\":\"$vault\",\"recoveryLevel\":\"Recoverable+Purgeable\",\"recoverableDays\":90}" "$management"
}

lowkey::serve() {
    openssl pkcs12 -export -in "$TLS/server.crt" -inkey "$TLS/server.key" -name server -passout pass:test -out server.p12
    # By itself it speaks TLS 1.2 with RSA only, and the key of the certificate is of another kind.
    become java -Xmx256m -jar "$LOWKEY" --server.address=127.0.0.1 --server.port="$1" \
        --app.token.port="$(<"$STATE/lowkey/token.port")" \
        --server.ssl.key-store="file:$PWD/server.p12" --server.ssl.key-store-password=test \
        --server.ssl.key-store-type=PKCS12 --server.ssl.enabled-protocols=TLSv1.2,TLSv1.3 \
        --server.ssl.ciphers=TLS_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 --LOWKEY_VAULT_NAMES=-
}

lowkey::answers() {
    fetch --cacert "$TLS/ca.crt" "https://127.0.0.1:$1/ping"
}

lowkey::exports() {
    export_line SECRETS_TEST_LOWKEY_URL "https://localhost:$(<"$STATE/lowkey/lowkey.port")"
    export_line SECRETS_TEST_LOWKEY_CA_FILE "$TLS/ca.crt"
    export_line SECRETS_TEST_LOWKEY_TOKEN_URL \
        "http://127.0.0.1:$(<"$STATE/lowkey/token.port")/metadata/identity/oauth2/token"
}
