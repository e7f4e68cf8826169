# shellcheck shell=bash
# Python environments, one for each file of pinned packages.

# python::environment NAME: prints where the environment for requirements/NAME.txt is, or will be. Other pins, another place.
python::environment() {
    local sum
    sum=$(sha256sum "$HERE/requirements/$1.txt")
    printf '%s\n' "$CACHE/python/$1-${sum:0:12}"
}

# python::install NAME
python::install() {
    local environment
    environment=$(python::environment "$1")
    once "$environment/complete" python::build "$1" "$environment"
}

# python::build NAME ENVIRONMENT
python::build() {
    local python=${PYTHON:-python3}
    "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' &>/dev/null ||
        unavailable "$1 needs Python 3.10 or later with venv; set PYTHON to one"
    say "installing $1"
    rm -rf "$2"
    "$python" -m venv "$2" >&2
    # Wheels only: nothing is compiled, and no package's script runs.
    "$2/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: \
        --requirement "$HERE/requirements/$1.txt" >&2 ||
        unavailable "pip cannot get the packages of $1"
    touch "$2/complete"
}
