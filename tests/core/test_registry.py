import logging
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msctl.core.registry import RegistryEvent, ServiceRegistry
from msctl.model import Health, ServiceInstance, ServiceStatus
from tests.core.instances import instance


def recording(registry: ServiceRegistry) -> list[RegistryEvent]:
    events: list[RegistryEvent] = []
    registry.subscribe(events.append)
    return events


def test_instances_are_listed_by_number_not_by_text_or_arrival() -> None:
    registry = ServiceRegistry()
    for number in (10, 2, 1):
        registry.register_service(instance(f"api-{number}"))
    assert [i.id for i in registry.get_service("api")] == ["api-1", "api-2", "api-10"]


def test_only_services_with_instances_are_listed() -> None:
    registry = ServiceRegistry()
    registry.register_service(instance("api-1"))
    registry.register_service(instance("web-1"))
    registry.unregister_service("web-1")
    assert registry.get_all_services() == {"api": (instance("api-1"),)}
    assert registry.get_service("web") == ()
    assert registry.get_instance("web-1") is None


def test_the_dict_of_all_services_can_be_changed_without_harm() -> None:
    registry = ServiceRegistry()
    registry.register_service(instance())
    for name in registry.get_all_services():
        registry.unregister_service(f"{name}-1")
    registry.register_service(instance())
    registry.get_all_services().clear()
    assert registry.get_service("api") == (instance(),)


def test_every_change_is_told_with_what_was_and_what_is() -> None:
    registry = ServiceRegistry()
    events = recording(registry)
    first = instance(health=Health.UNKNOWN)
    second = replace(first, health=Health.HEALTHY)
    registry.register_service(first)
    registry.update("api-1", 1, health=Health.HEALTHY)
    assert registry.unregister_service("api-1") == second
    assert [(e.before, e.after, e.version) for e in events] == [
        (None, first, 1),
        (first, second, 2),
        (second, None, 3),
    ]
    assert {(e.service, e.instance_id) for e in events} == {("api", "api-1")}


def test_a_change_that_changes_nothing_is_no_change() -> None:
    registry = ServiceRegistry()
    registry.register_service(instance())
    events = recording(registry)
    assert registry.register_service(instance())
    assert registry.update("api-1", 1, health=Health.HEALTHY) == instance()
    assert registry.unregister_service("api-2") is None
    assert events == []
    assert registry.version("api") == 1


def test_the_list_is_the_same_object_until_something_changes() -> None:
    registry = ServiceRegistry()
    registry.register_service(instance("api-2"))
    listing = registry.get_service("api")
    registry.update("api-2", 1, status=ServiceStatus.RUNNING)
    assert registry.get_service("api") is listing
    registry.register_service(instance("api-1"))
    assert [i.id for i in registry.get_service("api")] == ["api-1", "api-2"]
    assert [i.id for i in listing] == ["api-2"]


def test_a_newer_generation_takes_the_place_of_the_older_one() -> None:
    registry = ServiceRegistry()
    registry.register_service(instance(generation=1))
    newer = instance(generation=2, status=ServiceStatus.STARTING)
    assert registry.register_service(newer)
    assert registry.get_service("api") == (newer,)


@pytest.mark.parametrize("generation", [1, 3])
def test_only_the_registered_generation_can_be_updated(generation: int) -> None:
    registry = ServiceRegistry()
    registry.register_service(instance(generation=2))
    events = recording(registry)
    assert registry.update("api-1", generation, status=ServiceStatus.ERROR) is None
    assert registry.get_instance("api-1") == instance(generation=2)
    assert events == []


def test_an_older_generation_stays_out_even_after_the_newer_one_has_left() -> None:
    registry = ServiceRegistry()
    registry.register_service(instance(generation=2))
    registry.unregister_service("api-1")
    assert not registry.register_service(instance(generation=1))
    assert registry.get_service("api") == ()
    assert registry.last_generation("api-1") == 2
    assert registry.last_generation("api-2") == 0


def test_an_instance_may_be_entered_again_after_it_has_left() -> None:
    registry = ServiceRegistry()
    registry.register_service(instance())
    registry.unregister_service("api-1")
    assert registry.register_service(instance())
    assert registry.version("api") == 3


def test_what_identifies_an_instance_cannot_be_updated() -> None:
    registry = ServiceRegistry()
    registry.register_service(instance())
    with pytest.raises(TypeError, match="cannot change id, service of api-1"):
        registry.update("api-1", 1, id="api-2", service="web")  # type: ignore[call-arg]
    assert registry.get_instance("api-1") == instance()


def test_an_id_belongs_to_one_service() -> None:
    registry = ServiceRegistry()
    registry.register_service(instance())
    with pytest.raises(ValueError, match="instance of api already"):
        registry.register_service(replace(instance(), service="web", generation=2))
    assert registry.get_service("web") == ()


def test_a_listener_that_raises_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    registry = ServiceRegistry()

    def broken(event: RegistryEvent) -> None:
        raise RuntimeError(event.instance_id)

    registry.subscribe(broken)
    events = recording(registry)
    with caplog.at_level(logging.ERROR):
        registry.register_service(instance())
        registry.unregister_service("api-1")
    assert len(events) == 2
    assert [vars(r)["instance"] for r in caplog.records] == ["api-1", "api-1"]


def test_a_listener_is_told_nothing_after_it_has_left() -> None:
    registry = ServiceRegistry()
    told: list[str] = []

    def note(event: RegistryEvent) -> None:
        told.append(event.instance_id)

    leave = registry.subscribe(note)
    registry.subscribe(lambda _: leave())
    leave_later = registry.subscribe(note)
    registry.register_service(instance("api-1"))
    leave_later()
    leave_later()
    registry.register_service(instance("api-2"))
    assert told == ["api-1", "api-1"]


def test_one_that_leaves_while_all_are_told_is_not_told_any_more() -> None:
    registry = ServiceRegistry()
    leave: list[object] = []
    registry.subscribe(lambda _: unsubscribe())
    unsubscribe = registry.subscribe(leave.append)
    registry.register_service(instance())
    assert leave == []


def test_a_change_made_by_a_listener_is_told_after_its_cause() -> None:
    registry = ServiceRegistry()

    def deregister(event: RegistryEvent) -> None:
        if event.after is not None:
            registry.unregister_service(event.instance_id)

    registry.subscribe(deregister)
    events = recording(registry)
    registry.register_service(instance())
    assert [event.version for event in events] == [1, 2]
    assert registry.get_service("api") == ()


def test_its_repr_shows_the_state() -> None:
    registry = ServiceRegistry()
    assert repr(registry) == "<ServiceRegistry empty>"
    registry.register_service(instance(generation=3))
    assert repr(registry) == "<ServiceRegistry api-1@3 running/healthy>"


ids = st.sampled_from(["api-1", "api-2", "web-1"])
generations = st.integers(1, 4)
operations = st.lists(
    st.tuples(
        st.sampled_from(["register", "update", "unregister"]),
        ids,
        generations,
        st.sampled_from(ServiceStatus),
    ),
    max_size=30,
)


def apply(registry: ServiceRegistry, what: str, entry: ServiceInstance) -> None:
    match what:
        case "register":
            registry.register_service(entry)
        case "update":
            registry.update(entry.id, entry.generation, status=entry.status)
        case _:
            registry.unregister_service(entry.id)


@given(operations)
def test_versions_grow_by_one_with_every_event_and_only_then(
    steps: list[tuple[str, str, int, ServiceStatus]],
) -> None:
    registry = ServiceRegistry()
    events = recording(registry)
    for what, id_, generation, status in steps:
        apply(registry, what, instance(id_, status, generation=generation))
    for service in ("api", "web"):
        versions = [event.version for event in events if event.service == service]
        assert versions == list(range(1, registry.version(service) + 1))


@given(operations)
def test_an_older_generation_never_changes_anything(
    steps: list[tuple[str, str, int, ServiceStatus]],
) -> None:
    registry = ServiceRegistry()
    highest: dict[str, int] = {}
    for what, id_, generation, status in steps:
        before = registry.get_all_services(), registry.version("api"), registry.version("web")
        apply(registry, what, instance(id_, status, generation=generation))
        after = registry.get_all_services(), registry.version("api"), registry.version("web")
        if what != "unregister" and generation < highest.get(id_, 0):
            assert before == after
        elif what == "register":
            highest[id_] = generation
        assert registry.last_generation(id_) == highest.get(id_, 0)


@given(operations)
def test_the_events_alone_tell_the_whole_state(
    steps: list[tuple[str, str, int, ServiceStatus]],
) -> None:
    registry = ServiceRegistry()
    told: dict[str, ServiceInstance] = {}

    def follow(event: RegistryEvent) -> None:
        assert told.pop(event.instance_id, None) == event.before
        if event.after is not None:
            told[event.instance_id] = event.after

    registry.subscribe(follow)
    for what, id_, generation, status in steps:
        apply(registry, what, instance(id_, status, generation=generation))
    listed = [i for instances in registry.get_all_services().values() for i in instances]
    assert sorted(told) == sorted(i.id for i in listed)
    assert all(told[i.id] == i for i in listed)
