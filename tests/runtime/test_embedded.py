import asyncio
from pathlib import Path

import pytest

from msctl import Microservice, MicroserviceOrchestrator, ServiceConfig, ServiceType, UsageError
from msctl.runtime import embedded
from services import OrderService, UserService


class Demanding(Microservice):
    config = ServiceConfig(name="demanding", port=8009)

    def __init__(self, region: str) -> None:
        self.region = region
        super().__init__()

    def setup_routes(self) -> None: ...


def test_before_the_start_everything_is_stopped() -> None:
    orchestrator = MicroserviceOrchestrator()
    orchestrator.add_service(UserService())
    orchestrator.add_service(
        ServiceConfig(
            name="cache", service_type=ServiceType.CACHE, port=6379, command="redis-server"
        )
    )
    assert orchestrator.get_service_status() == {
        "total_services": 2,
        "running_services": 0,
        "registered_services": 0,
        "services": [
            {"name": "user-service", "status": "stopped", "port": 8001},
            {"name": "cache", "status": "stopped", "port": 6379},
        ],
    }


def test_a_microservice_is_run_by_its_class() -> None:
    config = embedded._config_of(OrderService())
    assert (config.app, config.factory) == ("services.order_service:OrderService", True)
    assert config.dependencies == OrderService.config.dependencies


def test_a_class_of_the_program_itself_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(UserService, "__module__", "__main__")
    with pytest.raises(UsageError, match=r"UserService .* move it to a module"):
        MicroserviceOrchestrator().add_service(UserService())


def test_a_class_inside_a_function_is_refused() -> None:
    class Local(UserService):
        pass

    with pytest.raises(UsageError, match="inside a function"):
        MicroserviceOrchestrator().add_service(Local())


def test_a_class_that_wants_arguments_is_refused() -> None:
    with pytest.raises(UsageError, match="region"):
        MicroserviceOrchestrator().add_service(Demanding("north"))


def test_a_second_service_of_a_name_is_refused() -> None:
    orchestrator = MicroserviceOrchestrator()
    orchestrator.add_service(UserService())
    with pytest.raises(UsageError, match="user-service already"):
        orchestrator.add_service(ServiceConfig(name="user-service", port=8002))


def test_without_a_start_there_is_no_gateway() -> None:
    with pytest.raises(UsageError, match="start_all_services"):
        _ = MicroserviceOrchestrator().gateway_url


def test_nothing_to_start_is_refused_and_nothing_to_stop_is_fine(tmp_path: Path) -> None:
    async def scenario() -> None:
        orchestrator = MicroserviceOrchestrator(tmp_path)
        with pytest.raises(UsageError, match="add_service"):
            await orchestrator.start_all_services()
        await orchestrator.stop_all_services()

    asyncio.run(scenario())
    assert list(tmp_path.iterdir()) == []
