from msctl.core.discovery import DiscoveryCache, ServiceDiscovery
from msctl.core.registry import RegistryEvent, ServiceRegistry
from msctl.model import Health, ServiceInstance
from tests.core.instances import instance


class CountingRegistry(ServiceRegistry):
    """Counts how often it is asked for a list."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def get_service(self, name: str) -> tuple[ServiceInstance, ...]:
        self.reads += 1
        return super().get_service(name)


def test_the_list_is_cached_until_something_changes() -> None:
    registry = CountingRegistry()
    registry.register_service(instance())
    discovery = ServiceDiscovery(registry)
    assert discovery.discover_service("api") is discovery.discover_service("api")
    assert registry.reads == 1


def test_a_change_is_seen_by_the_very_next_look() -> None:
    registry = ServiceRegistry()
    discovery = ServiceDiscovery(registry)
    assert discovery.discover_service("api") == ()
    registry.register_service(instance("api-1"))
    registry.register_service(instance("api-2"))
    assert [i.id for i in discovery.discover_service("api")] == ["api-1", "api-2"]
    registry.update("api-2", 1, health=Health.UNHEALTHY)
    assert [i.in_rotation for i in discovery.discover_service("api")] == [True, False]
    registry.unregister_service("api-1")
    assert [i.id for i in discovery.discover_service("api")] == ["api-2"]


def test_a_change_of_one_service_leaves_the_list_of_another_cached() -> None:
    registry = CountingRegistry()
    discovery = ServiceDiscovery(registry)
    discovery.discover_service("api")
    registry.register_service(instance("web-1"))
    discovery.discover_service("api")
    assert registry.reads == 1


def test_a_listener_that_changes_the_registry_sees_its_own_change_at_once() -> None:
    registry = ServiceRegistry()
    discovery = ServiceDiscovery(registry)
    seen: list[tuple[ServiceInstance, ...]] = []

    def react(event: RegistryEvent) -> None:
        if event.before is None:
            discovery.discover_service("api")
            registry.unregister_service("api-1")
            seen.append(discovery.discover_service("api"))

    registry.subscribe(react)
    registry.register_service(instance())
    assert seen == [()]


def test_refresh_reads_the_registry_again() -> None:
    registry = CountingRegistry()
    discovery = ServiceDiscovery(registry)
    registry.register_service(instance())
    discovery.discover_service("api")
    assert discovery.refresh_cache("api") == (instance(),)
    assert registry.reads == 2


def test_a_closed_discovery_is_right_without_listening() -> None:
    registry = ServiceRegistry()
    discovery = ServiceDiscovery(registry)
    discovery.discover_service("api")
    discovery.close()
    registry.register_service(instance())
    assert discovery.discover_service("api") == (instance(),)


LIST = (instance("api-1"), instance("api-2"))


def test_what_was_never_heard_of_is_wanted() -> None:
    entry = DiscoveryCache().lookup("api", now=0)
    assert entry.instances is None
    assert entry.refresh_wanted
    assert not entry.stale


def test_a_list_is_fresh_until_its_ttl_from_the_write_however_often_it_is_read() -> None:
    cache = DiscoveryCache(ttl=60)
    cache.store("api", LIST, version=7, now=100)
    for now in (100, 130, 159.9):
        entry = cache.lookup("api", now)
        assert (entry.instances, entry.version) == (LIST, 7)
        assert not entry.stale
        assert not entry.refresh_wanted
    assert cache.lookup("api", 160).stale
    assert cache.lookup("api", 160).refresh_wanted


def test_one_refresh_is_in_flight_per_service() -> None:
    cache = DiscoveryCache()
    assert cache.begin_refresh("api")
    assert not cache.begin_refresh("api")
    assert not cache.lookup("api", now=0).refresh_wanted
    assert cache.begin_refresh("web")
    cache.store("api", LIST, version=1, now=0)
    assert cache.begin_refresh("api")


def test_a_stale_list_is_served_marked_while_the_registry_does_not_answer() -> None:
    cache = DiscoveryCache(ttl=60)
    cache.store("api", LIST, version=1, now=0)
    assert cache.begin_refresh("api")
    during = cache.lookup("api", now=61)
    assert during.instances == LIST
    assert during.stale
    assert not during.refresh_wanted
    cache.failed("api")
    after = cache.lookup("api", now=62)
    assert after.instances == LIST
    assert after.stale
    assert after.refresh_wanted


def test_a_registry_that_started_anew_is_believed_despite_its_lower_version() -> None:
    cache = DiscoveryCache()
    cache.store("api", LIST, version=900, now=0)
    cache.store("api", LIST[:1], version=1, now=1)
    assert cache.lookup("api", now=2).instances == LIST[:1]
