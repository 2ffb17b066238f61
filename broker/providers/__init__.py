"""One file a provider; a module here that defines `PROVIDER` is one. No list, route or enum names them."""

import importlib
import pkgutil

from broker.providers.base import Provider


def built_in() -> dict[str, Provider]:
    """The providers that ship with the broker, by name."""
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    found = [module.PROVIDER for module in modules if hasattr(module, "PROVIDER")]
    return {provider.name: provider for provider in found}
