"""Photos by their Telegram address."""

from adapters.telegram.api import ApiError, BotApi, Rejected
from commands.ports import Missing, TooLarge, Unavailable

SCHEME = "telegram"


class TelegramPhotos:
    """Fetches `telegram:<file id>` through getFile; its errors are the port's."""

    def __init__(self, api: BotApi) -> None:
        self._api = api

    async def fetch(self, address: str) -> bytes:
        scheme, file_id = address.split(":", 1)
        if scheme != SCHEME:
            raise Missing(f"no way to fetch from `{scheme}`")
        try:
            found = await self._api.call("getFile", {"file_id": file_id})
            return await self._api.download(found["file_path"])
        except Rejected as refused:
            raise (TooLarge if "too big" in refused.description else Missing)(
                str(refused)
            ) from None
        except ApiError as away:
            raise Unavailable(f"Telegram: {away}") from away
