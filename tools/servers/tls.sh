# shellcheck shell=bash
# One certificate for every server here and for the fakes of tests, from an authority whose key is gone at once: whoever
# trusts that authority trusts this one certificate and nothing else.

readonly TLS=$STATE/tls

tls::make() {
    # A day left is more than any run takes.
    ! openssl x509 -in "$TLS/server.crt" -noout -checkend 86400 &>/dev/null || return 0
    rm -rf "$TLS"
    mkdir -p "$TLS/new"
    tls::issue "$TLS/new" &>"$TLS/openssl.log" || fail "no certificate; openssl says: $(<"$TLS/openssl.log")"
    mv "$TLS/new"/{ca.crt,server.crt,server.key} "$TLS/"
    rm -rf "$TLS/new"
}

# tls::issue DIRECTORY
tls::issue() (
    cd "$1" || exit
    cat >config <<'END'
[req]
distinguished_name = subject
[subject]
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = IP:127.0.0.1, DNS:localhost, DNS:*.localhost, DNS:*.vault.azure.net, DNS:login.microsoftonline.com
END
    local key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -config config)
    openssl req -x509 "${key[@]}" -extensions authority -days 30 -subj '/CN=secrets test authority' \
        -keyout ca.key -out ca.crt
    openssl req "${key[@]}" -subj '/CN=secrets test server' -keyout server.key -out server.csr
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -set_serial 1 -days 30 \
        -extfile config -extensions server -out server.crt
)

tls::exports() {
    export_line SECRETS_TEST_RUN_DIR "$STATE"
    export_line SECRETS_TEST_CA_FILE "$TLS/ca.crt"
    export_line SECRETS_TEST_TLS_CERT_FILE "$TLS/server.crt"
    export_line SECRETS_TEST_TLS_KEY_FILE "$TLS/server.key"
}
