"""A real S3 server for tests: OpenStack Swift with its s3api, four processes on free ports.

`pip install swift` brings it; it needs Linux and a temporary folder that keeps extended attributes.
"""

import asyncio
import os
import pwd
import subprocess
import sys
from pathlib import Path

from adapters.storage.blobs import open_blobs
from commands.ports import Blobs
from ictus.embedded import answers_ok
from ictus.kept import HOST, free_port
from ictus.supervisor import Child
from tests.servers import Server

ACCESS_KEY = "ictus:dev"
SECRET_KEY = "devsecret123"
REGION = "us-east-1"
STORAGE = ("account", "container", "object")

SWIFT_CONF = """\
[swift-hash]
swift_hash_path_suffix = ictus
swift_hash_path_prefix = ictus
[storage-policy:0]
name = gold
default = yes
"""

COMMON = """\
[DEFAULT]
bind_ip = {host}
bind_port = {port}
user = {user}
swift_dir = {folder}
devices = {folder}
mount_check = false
workers = 0
log_level = WARNING
[filter:healthcheck]
use = egg:swift#healthcheck
"""

STORAGE_CONF = """\
[pipeline:main]
pipeline = healthcheck {name}-server
[app:{name}-server]
use = egg:swift#{name}
"""

PROXY_CONF = """\
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck listing_formats cache s3api tempauth copy slo dlo \
proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:cache]
use = egg:swift#memcache
memcache_servers = {host}:{no_port}
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_ictus_dev = devsecret123 .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""

# One ring per server, each with one replica on one device, built in one process.
RINGS = """\
import sys
from swift.common.ring import RingBuilder
folder, host = sys.argv[1:3]
for word in sys.argv[3:]:
    name, port = word.split(":")
    builder = RingBuilder(4, 1, 0)
    builder.add_dev({"region": 1, "zone": 1, "ip": host, "port": int(port), "device": "d1",
                     "weight": 1.0, "replication_ip": host, "replication_port": int(port)})
    builder.rebalance()
    builder.get_ring().save(f"{folder}/{name}.ring.gz")
"""


class Swift:
    """The four servers; `endpoint` is where S3 clients connect, without TLS."""

    def __init__(self, folder: Path) -> None:
        ports = {name: free_port() for name in (*STORAGE, "proxy")}
        self.servers = [Server(_child(name, port, folder)) for name, port in ports.items()]
        self.endpoint = f"{HOST}:{ports['proxy']}"
        _configure(folder, ports)
        self.proxy = self.servers[-1]

    def start(self) -> None:
        for server in self.servers:
            server.launch()
        for server in self.servers:
            server.wait()

    def blobs(self, url: str, secret_key: str = SECRET_KEY) -> Blobs:
        """The bucket of `url`, which need not be there."""
        return open_blobs(
            url,
            endpoint=self.endpoint,
            access_key=ACCESS_KEY,
            secret_key=secret_key,
            region=REGION,
            secure=False,
        )

    def stop(self) -> None:
        """By SIGKILL: it is thrown away."""
        for server in self.servers:
            server.kill()


def _configure(folder: Path, ports: dict[str, int]) -> None:
    (folder / "d1").mkdir(parents=True)
    os.setxattr(folder, "user.ictus", b"fails here where Swift could not store anything")
    (folder / "swift.conf").write_text(SWIFT_CONF)
    rings = [f"{name}:{ports[name]}" for name in STORAGE]
    subprocess.run([sys.executable, "-c", RINGS, folder, HOST, *rings], check=True)
    for name, port in ports.items():
        text = COMMON + (PROXY_CONF if name == "proxy" else STORAGE_CONF)
        user = pwd.getpwuid(os.geteuid()).pw_name
        filled = text.format(
            host=HOST, port=port, user=user, folder=folder, name=name, no_port=free_port()
        )
        (folder / f"{name}.conf").write_text(filled)


def _child(name: str, port: int, folder: Path) -> Child:
    async def ready() -> bool:
        return await asyncio.to_thread(answers_ok, f"http://{HOST}:{port}/healthcheck")

    program = Path(sys.executable).with_name(f"swift-{name}-server")
    assert program.exists(), f"{program} is missing: pip install 'ictus[dev]'"
    return Child(
        name=f"swift-{name}",
        argv=(sys.executable, str(program), str(folder / f"{name}.conf")),
        env={"PATH": os.defpath},
        log=folder / f"{name}.log",
        ready=ready,
    )
