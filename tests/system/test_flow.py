"""The way of a photo, from the first /start to the final cause, as people see it."""

import pytest

from tests.system.stack import Stack, images, text_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_album_is_one_case_with_one_prediction(stack: Stack) -> None:
    clinician = await stack.clinician()

    await clinician.album(images(100, 3))
    case, card = await clinician.answer()
    await stack.settled()

    print(text_of(card), await stack.cases_of(clinician))
    for r in await stack.story(case):
        print(r.sequence, r.envelope.type, r.envelope.time)
