import subprocess
import sys

import pytest

import msctl

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
    from services import OrderService, PaymentService, UserService  # noqa: PLC0415  the rule

    ports = [service().port for service in (UserService, OrderService, PaymentService)]
    assert ports == [8001, 8002, 8003]
