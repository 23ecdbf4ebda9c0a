"""Makes anew what documents take from the code: `./.venv/bin/python -m tests.architecture.regenerate`."""

from tests.architecture.documents import OPENAPI, OPERATION, openapi_text, with_settings_table

if __name__ == "__main__":
    OPERATION.write_text(with_settings_table(OPERATION.read_text()))
    OPENAPI.write_text(openapi_text())
