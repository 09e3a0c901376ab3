import subprocess
import sys
from importlib import import_module

import pytest

import msctl
import services
from msctl import ServiceConfig

HEAVY = {"asyncio", "fastapi", "httpx", "pydantic", "typer", "yaml", "dataclasses"}


def test_importing_msctl_is_cheap() -> None:
    program = f"import sys, msctl; print(*({HEAVY!r} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert run.stdout.split() == []


@pytest.mark.parametrize("name", msctl.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(msctl, name).__name__ == name if name != "__version__" else msctl.__version__
    assert name in dir(msctl)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        msctl.Nonsense  # noqa: B018  the rule
    with pytest.raises(ImportError):
        from msctl import Nonsense  # noqa: F401, PLC0415  the rule


def test_the_example_services_are_exported() -> None:
    kinds = (services.UserService, services.OrderService, services.PaymentService)
    assert [kind.config.port for kind in kinds] == [8001, 8002, 8003]


@pytest.mark.parametrize("name", ["user-service", "order-service", "payment-service"])
def test_each_example_service_is_where_the_default_app_says(name: str) -> None:
    module, _, attribute = (ServiceConfig(name=name, port=1).effective_app or "").partition(":")
    assert getattr(import_module(module), attribute).name == name


def test_a_service_loads_none_of_the_others() -> None:
    program = (
        "import sys, services.user_service; print(*(m for m in sys.modules if 'services.' in m))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    loaded = set(run.stdout.decode().split())
    assert loaded == {"services.fields", "services.storage", "services.user_service"}
