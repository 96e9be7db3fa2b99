"""The event store of the production stack, on this machine: deploy/nats.conf and what `ictus nkeys`
makes, with other ports and folders."""

import asyncio
import json
import os
import sys
from functools import partial
from pathlib import Path
from signal import SIGHUP

from adapters.storage.nkeys import Nkey, load_nkey
from ictus.embedded import answers_ok
from ictus.kept import free_port
from ictus.nkeys import keep, nkey_file
from ictus.settings import NatsSettings, Settings
from ictus.supervisor import Child
from tests.servers import Server

HEALTH = "/healthz?js-enabled-only=true"
"""What compose.yaml asks."""
CONFIG = Path(__file__).resolve().parents[1] / "deploy" / "nats.conf"


class Production(Server):
    """nats-server on `folder`: its streams in `data`, all seeds in `nkeys`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.data, self.nkeys = folder, folder / "data", folder / "nkeys"
        self.port, self.monitor = free_port(), free_port()
        keep(self.nkeys)
        self.config = folder / "nats.conf"
        self.config.write_text(self._configuration())
        super().__init__(
            Child(
                name="nats",
                argv=(
                    str(Path(sys.executable).with_name("nats-server")),
                    "--config",
                    str(self.config),
                ),
                env={"PATH": os.defpath},
                log=folder / "nats.log",
                ready=partial(asyncio.to_thread, answers_ok, f"{self.monitor_url}{HEALTH}"),
            )
        )

    def _configuration(self) -> str:
        text = CONFIG.read_text()
        for old, new in (
            ("0.0.0.0:4222", f"127.0.0.1:{self.port}"),
            ("0.0.0.0:8222", f"127.0.0.1:{self.monitor}"),
            ("store_dir: /data", f"store_dir: {json.dumps(str(self.data))}"),
            ("accounts/accounts.conf", "nkeys/server/accounts.conf"),
        ):
            assert text.count(old) == 1
            text = text.replace(old, new)
        return text

    @property
    def address(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def monitor_url(self) -> str:
        return f"http://127.0.0.1:{self.monitor}"

    @property
    def settings(self) -> Settings:
        nats = NatsSettings(self.address, self.monitor_url, nkeys=str(self.nkeys))
        return Settings(data=str(self.folder), nats=nats)

    def key(self, user: str) -> Nkey:
        return load_nkey(nkey_file(self.nkeys, user))

    def reload(self) -> None:
        """Has it read its configuration anew, which takes it a moment."""
        self.process.send_signal(SIGHUP)
