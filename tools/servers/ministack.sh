# shellcheck shell=bash
# ministack: Secrets Manager, IAM and STS, with signatures checked and policies enforced. `test`/`test` may do anything;
# a user `reader` may read the secrets below `app/`.

ministack::install() {
    python::install ministack
}

ministack::start() {
    start ministack/ministack ministack::answers ministack::serve
    ministack::reader
}

# By default it serves more protocols on more ports, and tidies up Docker containers: none of that here.
ministack::serve() {
    become AUTH=true BIND_HOST=127.0.0.1 GATEWAY_PORT="$1" MINISTACK_HOST=localhost SERVICES=secretsmanager,iam,sts \
        IOT_MTLS_ENABLED=0 SFTP_ENABLED=0 DOCKER_HOST=unix:///nonexistent PYTHONUNBUFFERED=1 \
        "$(python::environment ministack)/bin/ministack"
}

ministack::answers() {
    fetch "http://127.0.0.1:$1/_ministack/health"
}

# ministack::call CREDENTIALS SERVICE FIELD=VALUE...
ministack::call() {
    local fields=() field
    for field in "${@:3}"; do fields+=(--data-urlencode "$field"); done
    fetch --user "$1" --aws-sigv4 "aws:amz:us-east-1:$2" "${fields[@]}" "$(ministack::url)/"
}

ministack::url() {
    printf 'http://127.0.0.1:%s' "$(<"$STATE/ministack/ministack.port")"
}

# Makes the user, unless an earlier one still works: all is forgotten when the server ends.
ministack::reader() {
    local keys=$STATE/ministack/reader answer id secret policy
    if [[ -e $keys ]] && ministack::call "$(<"$keys")" sts Action=GetCallerIdentity &>/dev/null; then
        return
    fi
    policy='{"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": "arn:aws:secretsmanager:us-east-1:000000000000:secret:app/*"
    }]}'
    ministack::call test:test iam Action=CreateUser UserName=reader >/dev/null
    ministack::call test:test iam Action=PutUserPolicy UserName=reader PolicyName=read-app \
        PolicyDocument="$policy" >/dev/null
    answer=$(ministack::call test:test iam Action=CreateAccessKey UserName=reader)
    id=$(grep -oP '(?<=<AccessKeyId>)[^<]+' <<<"$answer")
    secret=$(grep -oP '(?<=<SecretAccessKey>)[^<]+' <<<"$answer")
    printf '%s:%s\n' "$id" "$secret" >"$keys"
}

ministack::exports() {
    local keys
    keys=$(<"$STATE/ministack/reader")
    export_line SECRETS_TEST_MINISTACK_URL "$(ministack::url)"
    export_line SECRETS_TEST_MINISTACK_READER_ACCESS_KEY_ID "${keys%%:*}"
    export_line SECRETS_TEST_MINISTACK_READER_SECRET_ACCESS_KEY "${keys#*:}"
}
