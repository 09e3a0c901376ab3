import json
from pathlib import Path

from msctl.config.loader import load_fleet
from msctl.config.location import find_config
from msctl.config.messages import FLEET_KEYS, SERVICE_KEYS
from msctl.config.schema import file_schema

ROOT = Path(__file__).parents[2]


def test_the_schema_has_every_key_and_none_that_is_internal() -> None:
    definitions = file_schema()["$defs"]
    assert set(definitions["ServiceConfig"]["properties"]) == SERVICE_KEYS
    assert set(definitions["Fleet"]["properties"]) == FLEET_KEYS
    assert "file_environment" not in json.dumps(definitions)


def test_every_reference_of_the_schema_leads_somewhere() -> None:
    schema = file_schema()

    def references(part: object) -> set[str]:
        if isinstance(part, list):
            return set().union(*map(references, part)) if part else set()
        if not isinstance(part, dict):
            return set()
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*map(references, part.values())) if part else own

    known = {f"#/$defs/{name}" for name in schema["$defs"]}
    assert references(schema) <= known


def test_every_key_is_described() -> None:
    properties = file_schema()["$defs"]["ServiceConfig"]["properties"]
    assert [key for key, schema in properties.items() if not schema.get("description")] == []


def test_short_forms_are_in_the_schema() -> None:
    properties = file_schema()["$defs"]["ServiceConfig"]["properties"]
    assert {"enum": [True, False, "on", "off"]} in properties["breaker"]["anyOf"]
    assert {"type": "string", "minLength": 1} in properties["command"]["anyOf"]


def test_the_examples_are_a_fleet_of_three() -> None:
    fleet = load_fleet(find_config(ROOT, [ROOT / "configs"], {}), {})
    services = fleet.services
    assert {name: service.port for name, service in services.items()} == {
        "user-service": 8001,
        "order-service": 8002,
        "payment-service": 8003,
    }
    assert {
        name: [each.name for each in service.dependencies] for name, service in services.items()
    } == {
        "user-service": [],
        "order-service": ["user-service"],
        "payment-service": ["user-service", "order-service"],
    }
    assert all(service.description for service in services.values())
