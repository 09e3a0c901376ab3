"""Where the instances of a service are: the versioned list, cached, never a single instance.

Caching one instance would pin all traffic to it, dead or alive; the balancer chooses from
the list anew for every call (router.md, Registry and health, last paragraph).
"""

from dataclasses import dataclass

from msctl.core.registry import RegistryEvent, ServiceRegistry
from msctl.model import ServiceInstance

CACHE_TTL = 60.0
"""Seconds for which a remote client trusts a list (router.md)."""


@dataclass(frozen=True, slots=True)
class _Listing:
    instances: tuple[ServiceInstance, ...]
    version: int


class ServiceDiscovery:
    """Lists of instances beside their registry: an event drops one, so the next look is right."""

    def __init__(self, registry: ServiceRegistry) -> None:
        self.registry = registry
        self._listings: dict[str, _Listing] = {}
        self._unsubscribe = registry.subscribe(self._changed)

    def discover_service(self, name: str) -> tuple[ServiceInstance, ...]:
        """Return all registered instances of the service, whatever their state, by number."""
        listing = self._listings.get(name)
        # The version matters to a listener of the registry that looks before the event of
        # a change it made itself has been told.
        if listing is None or listing.version != self.registry.version(name):
            return self.refresh_cache(name)
        return listing.instances

    def refresh_cache(self, name: str) -> tuple[ServiceInstance, ...]:
        """Read the list from the registry again and return it."""
        instances = self.registry.get_service(name)
        self._listings[name] = _Listing(instances, self.registry.version(name))
        return instances

    def close(self) -> None:
        """Stop listening to the registry."""
        self._unsubscribe()
        self._listings.clear()

    def _changed(self, event: RegistryEvent) -> None:
        self._listings.pop(event.service, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedService:
    """What a remote client knows of a service.

    `instances` is None as long as nothing was ever heard. A `stale` list is older than the
    TTL and still the best there is. `refresh_wanted` is true when it should be fetched
    again and nobody does so yet.
    """

    instances: tuple[ServiceInstance, ...] | None
    version: int
    stale: bool
    refresh_wanted: bool


@dataclass(frozen=True, slots=True)
class _Entry:
    instances: tuple[ServiceInstance, ...]
    version: int
    written_at: float


class DiscoveryCache:
    """The lists of a client that is not beside the registry and hears no events.

    The TTL counts from the write, so a busy service is refreshed as often as an idle one;
    one refresh is in flight per service; a stale list is served, marked, while the registry
    does not answer. The caller does the fetching: `begin_refresh`, then `store` or `failed`.
    """

    def __init__(self, ttl: float = CACHE_TTL) -> None:
        self.ttl = ttl
        self._entries: dict[str, _Entry] = {}
        self._refreshing: set[str] = set()

    def lookup(self, name: str, now: float) -> CachedService:
        """Return what is known of the service, without waiting for anything."""
        entry = self._entries.get(name)
        idle = name not in self._refreshing
        if entry is None:
            return CachedService(instances=None, version=0, stale=False, refresh_wanted=idle)
        stale = now - entry.written_at >= self.ttl
        return CachedService(
            instances=entry.instances,
            version=entry.version,
            stale=stale,
            refresh_wanted=stale and idle,
        )

    def begin_refresh(self, name: str) -> bool:
        """Claim the refresh of a service; False if one is in flight already."""
        if name in self._refreshing:
            return False
        self._refreshing.add(name)
        return True

    def store(
        self, name: str, instances: tuple[ServiceInstance, ...], version: int, now: float
    ) -> None:
        """Keep what the registry answered, and end the refresh.

        A version lower than the last one is kept too: with one refresh in flight answers
        cannot overtake each other, so it is the registry that started anew.
        """
        self._entries[name] = _Entry(instances, version, now)
        self._refreshing.discard(name)

    def failed(self, name: str) -> None:
        """End the refresh without an answer; the old list stays and is tried again later."""
        self._refreshing.discard(name)
