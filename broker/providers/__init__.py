"""One file a provider; a module here that defines `PROVIDER` is one. No list, route or enum names them.

Others come by pip, each under its name in the entry-point group `broker.providers`.
"""

import importlib
import pkgutil
import re
from importlib.metadata import entry_points

from broker.errors import ConfigurationError
from broker.providers.base import Provider

NAME = re.compile(r"[a-z][a-z0-9]{0,31}")
"""It stands in settings and in paths."""


def built_in() -> dict[str, Provider]:
    """The providers that ship with the broker, by name."""
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    found = [module.PROVIDER for module in modules if hasattr(module, "PROVIDER")]
    return {provider.name: provider for provider in found}


def installed() -> dict[str, Provider]:
    """Those, and what other packages bring. Raises `ConfigurationError`."""
    found = built_in()
    for point in entry_points(group="broker.providers"):
        provider = point.load()
        fits = isinstance(provider, Provider) and provider.name == point.name and NAME.fullmatch(point.name)
        if not fits or point.name in found:
            raise ConfigurationError([f"The entry point {point.name} is no provider of that name, or stands twice."])
        found[point.name] = provider
    return found
