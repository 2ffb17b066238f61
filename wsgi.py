"""`gunicorn wsgi:app`. A wrong configuration ends the server with the whole list of what is wrong."""

import sys

from broker.app import create_app
from broker.errors import BrokerError, ConfigurationError

APP_FAILED_TO_LOAD = 4
"""gunicorn's own exit status for it: the master stops instead of trying again and again."""

try:
    app = create_app()
except (ConfigurationError, BrokerError) as error:
    print(f"The broker cannot start:\n{error}", file=sys.stderr)  # noqa: T201
    sys.exit(APP_FAILED_TO_LOAD)
