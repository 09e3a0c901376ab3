"""Programs and images that everybody knows: what they are, and how they are told their port."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from msctl.model import ServiceType


@dataclass(frozen=True, slots=True)
class Server:
    """A program that speaks a protocol of its own, on a port that it opens itself."""

    service_type: ServiceType
    port: int
    """Where it listens unless told otherwise."""
    port_option: str | None = None
    """The option that tells it its port; None where a command line is not enough to start it."""


_DATABASE, _CACHE, _QUEUE = ServiceType.DATABASE, ServiceType.CACHE, ServiceType.MESSAGE_QUEUE

_SERVERS: Mapping[str, Server] = {
    "redis-server": Server(_CACHE, 6379, "--port"),
    "valkey-server": Server(_CACHE, 6379, "--port"),
    "memcached": Server(_CACHE, 11211, "-p"),
    "nats-server": Server(_QUEUE, 4222, "-p"),
    "rabbitmq-server": Server(_QUEUE, 5672),
    "postgres": Server(_DATABASE, 5432),
    "mysqld": Server(_DATABASE, 3306),
    "mariadbd": Server(_DATABASE, 3306),
    "mongod": Server(_DATABASE, 27017),
    "kafka-server-start.sh": Server(_QUEUE, 9092),
    "elasticsearch": Server(_DATABASE, 9200),
}
_IMAGES: Mapping[str, str] = {
    "redis": "redis-server",
    "redis-stack-server": "redis-server",
    "valkey": "valkey-server",
    "memcached": "memcached",
    "nats": "nats-server",
    "rabbitmq": "rabbitmq-server",
    "postgres": "postgres",
    "postgresql": "postgres",
    "postgis": "postgres",
    "pgvector": "postgres",
    "timescaledb": "postgres",
    "mysql": "mysqld",
    "mariadb": "mariadbd",
    "mongo": "mongod",
    "mongodb": "mongod",
    "kafka": "kafka-server-start.sh",
    "elasticsearch": "elasticsearch",
}


def server_of(program: str) -> Server | None:
    """Return what is known of a program, given by name or path."""
    return _SERVERS.get(PurePosixPath(program).name)


def program_of_image(image: str) -> str | None:
    """Return the server program that an image is for, such as `docker.io/library/redis:7`."""
    name = PurePosixPath(image.partition("@")[0]).name.partition(":")[0]
    return _IMAGES.get(name)


def command_of(program: str) -> str | None:
    """Return a command line that starts a server on its service port, where one is enough."""
    option = _SERVERS[program].port_option
    return None if option is None else f"{program} {option} ${{PORT}}"


def with_port(argv: list[str]) -> list[str]:
    """Return a known server's arguments, told its port if nothing in them does."""
    server = server_of(argv[0])
    option = server.port_option if server else None
    told = option is None or any(option == part or "${PORT}" in part for part in argv)
    return argv if told or option is None else [*argv, option, "${PORT}"]
