# shellcheck shell=bash disable=SC2153
# kube: the API server of Kubernetes over its etcd, without controllers and nodes. `admin` may do anything; `reader` may
# get, list and watch the secrets of the namespace `app`.

readonly KUBE=$CACHE/kube-v1.20.2

kube::install() {
    once "$KUBE/kube-apiserver" kube::build
}

kube::build() {
    require_tools apt-get apt-cache dpkg-deb dpkg-source
    say 'building the Kubernetes API server; that takes some minutes'
    "$HERE/build-kube" "$KUBE"
}

kube::start() {
    start kube/etcd kube::etcd_answers kube::etcd
    start kube/apiserver kube::apiserver_answers kube::apiserver
    kube::populate
}

kube::etcd() {
    local here=http://127.0.0.1:$1
    # A cluster of one: nobody else ever connects to the peer port, so any will do. A test's data needs no fsync.
    become "$KUBE/etcd" --name=one --data-dir=data --unsafe-no-fsync \
        --advertise-client-urls="$here" --listen-client-urls="$here" \
        --initial-advertise-peer-urls=http://127.0.0.1:0 --listen-peer-urls=http://127.0.0.1:0 \
        --initial-cluster=one=http://127.0.0.1:0
}

kube::etcd_answers() {
    fetch "http://127.0.0.1:$1/health"
}

kube::apiserver() {
    # Both survive a restart of the server: who has a kubeconfig keeps it.
    [[ -e tokens ]] || {
        printf '%s,admin,1,system:masters\n' "$(openssl rand -hex 20)"
        printf '%s,reader,2\n' "$(openssl rand -hex 20)"
    } >tokens
    [[ -e service-account.key ]] || openssl genrsa -out service-account.key 2048
    become "$KUBE/kube-apiserver" \
        --bind-address=127.0.0.1 --secure-port="$1" --insecure-port=0 --advertise-address=127.0.0.1 \
        --tls-cert-file="$TLS/server.crt" --tls-private-key-file="$TLS/server.key" \
        --etcd-servers="http://127.0.0.1:$(<"$STATE/kube/etcd.port")" \
        --authorization-mode=RBAC --token-auth-file=tokens \
        --service-account-issuer=https://kubernetes.default.svc \
        --service-account-key-file=service-account.key --service-account-signing-key-file=service-account.key \
        --disable-admission-plugins=ServiceAccount \
        --endpoint-reconciler-type=none --service-cluster-ip-range=10.0.0.0/24
}

kube::apiserver_answers() {
    kube::call "https://127.0.0.1:$1/readyz"
}

# kube::call CURL-ARGUMENT...: as `admin`.
kube::call() {
    # Through a file descriptor: arguments are anybody's to read.
    fetch --cacert "$TLS/ca.crt" --config <(printf 'header = "Authorization: Bearer %s"\n' "$(kube::token admin)") "$@"
}

# kube::token USER
kube::token() {
    grep -oP "^[^,]+(?=,$1,)" "$STATE/kube/apiserver/tokens"
}

kube::populate() {
    kube::ensure /api/v1/namespaces '{"metadata": {"name": "app"}}'
    kube::ensure /apis/rbac.authorization.k8s.io/v1/namespaces/app/roles '{
        "metadata": {"name": "reader"},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch"]}]
    }'
    kube::ensure /apis/rbac.authorization.k8s.io/v1/namespaces/app/rolebindings '{
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "reader"}]
    }'
    kube::config admin "$(kube::token admin)"
    kube::config reader "$(kube::token reader)"
    kube::config badtoken 'not-a-token'
}

# kube::ensure COLLECTION OBJECT: creates it; that it exists already (409) is as good.
kube::ensure() {
    local status
    status=$(kube::call --no-fail --output /dev/null --write-out '%{http_code}' \
        --header 'Content-Type: application/json' --data "$2" "https://127.0.0.1:$(<"$STATE/kube/apiserver.port")$1")
    [[ $status == 201 || $status == 409 ]] || fail "the API server answers $status to the creation of $1"
}

# kube::config USER TOKEN
kube::config() {
    cat >"$STATE/kube/$1.kubeconfig" <<END
apiVersion: v1
kind: Config
clusters:
- name: test
  cluster:
    server: https://127.0.0.1:$(<"$STATE/kube/apiserver.port")
    certificate-authority-data: $(base64 --wrap=0 "$TLS/ca.crt")
users:
- name: $1
  user:
    token: $2
contexts:
- name: $1
  context:
    cluster: test
    user: $1
    namespace: app
current-context: $1
END
}

kube::exports() {
    export_line SECRETS_TEST_KUBECONFIG "$STATE/kube/admin.kubeconfig"
    export_line SECRETS_TEST_KUBECONFIG_READER "$STATE/kube/reader.kubeconfig"
    export_line SECRETS_TEST_KUBECONFIG_BADTOKEN "$STATE/kube/badtoken.kubeconfig"
    export_line SECRETS_TEST_ETCD_URL "http://127.0.0.1:$(<"$STATE/kube/etcd.port")"
}
