"""Three real nats-servers on one machine that are one cluster, for tests and measurements only."""

import asyncio
import shutil
from pathlib import Path

from msgspec.structs import replace

from ictus.embedded import Nats, answers_ok, nats_child, prepare_nats
from ictus.kept import HOST, free_port, make_private
from ictus.supervisor import Child

NODES = 3
CLUSTER_CONF = """\
cluster {{ name: ictus, listen: "{host}:{port}", routes: [{routes}], no_advertise: true }}
"""


def prepare_cluster(folder: Path, nodes: int = NODES) -> list[Nats]:
    """Nodes `0`, `1`, `2` in folders of that name, with one password."""
    prepared = [_prepare_node(folder, number) for number in range(nodes)]
    make_one(prepared)
    return prepared


def make_one(nodes: list[Nats]) -> None:
    """Writes into their configurations that these servers are a cluster."""
    ports = [free_port() for _ in nodes]
    routes = ", ".join(f'"nats-route://{HOST}:{port}"' for port in ports)
    for number, (node, port) in enumerate(zip(nodes, ports, strict=True)):
        path = node.data / "nats.conf"
        text = path.read_text().replace("server_name: ictus\n", f"server_name: {name_of(number)}\n")
        path.write_text(text + CLUSTER_CONF.format(host=HOST, port=port, routes=routes))


def name_of(number: int) -> str:
    """The server's name, which is how a stream's leader is told."""
    return f"ictus-{number}"


def node_child(node: Nats, number: int) -> Child:
    """Ready once the cluster has a leader and this node has caught up: start all, then wait."""

    async def ready() -> bool:
        return await asyncio.to_thread(answers_ok, f"{node.monitor_url}/healthz")

    return replace(nats_child(node), name=name_of(number), ready=ready)


def _prepare_node(folder: Path, number: int) -> Nats:
    data = folder / str(number)
    make_private(data)
    if number:
        shutil.copy(folder / "0" / "secrets.json", data / "secrets.json")
    return prepare_nats(data)
