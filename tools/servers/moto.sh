# shellcheck shell=bash
# moto: Secrets Manager, SSM, IAM and STS; anybody may do anything.

moto::install() {
    python::install moto
}

moto::start() {
    start moto/moto moto::answers moto::serve
    start moto/moto-tls moto::answers_tls moto::serve -c "$TLS/server.crt" -k "$TLS/server.key"
}

moto::serve() {
    become "$(python::environment moto)/bin/moto_server" -H 127.0.0.1 -p "$@"
}

moto::answers() {
    fetch "http://127.0.0.1:$1/moto-api/"
}

moto::answers_tls() {
    fetch --cacert "$TLS/ca.crt" "https://127.0.0.1:$1/moto-api/"
}

moto::exports() {
    export_line SECRETS_TEST_MOTO_URL "http://127.0.0.1:$(<"$STATE/moto/moto.port")"
    export_line SECRETS_TEST_MOTO_TLS_URL "https://127.0.0.1:$(<"$STATE/moto/moto-tls.port")"
}
