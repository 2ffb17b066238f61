"""gunicorn's configuration: nothing is set here, but what its workers need is imported before they are forked.

So they share that memory, and a worker that is started again is there at once. Importing opens no file, socket or
thread; the application itself is assembled in each worker.
"""

import broker.app  # noqa: F401
