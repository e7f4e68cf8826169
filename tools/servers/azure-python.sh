# shellcheck shell=bash
# azure-python: Microsoft's own client for Key Vault, to hold our fake of Key Vault to. No server.

azure-python::install() {
    python::install azure-python
}

azure-python::start() {
    :
}

azure-python::exports() {
    export_line SECRETS_TEST_AZURE_PYTHON "$(python::environment azure-python)/bin/python"
}
